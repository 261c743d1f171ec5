package checkfile

import (
	"errors"
	"maps"
	"time"

	"massive-passive/sched"
)

// readSchedule reads the interval, which needs the time zone.
func (r *reader) readSchedule(n node) error {
	switch n.kind {
	case object:
		return r.readCalendar(n)
	case number, text:
		if r.check.Jitter > 0 {
			r.warn(r.jitter, "jitter", "is ignored: it is for a calendar; runs every so many seconds are spread by themselves")
			r.check.Jitter = 0
		}
		var err error
		r.check.Every, err = r.seconds("interval", n, shortest, "a positive number of seconds")
		return err
	}
	return r.wanted(n, "interval", `a number of seconds or a calendar such as {"hour": "9-17"}`)
}

func (r *reader) readCalendar(n node) error {
	values := map[string]string{}
	where := map[string]field{}
	for _, f := range r.unique("interval.", n) {
		if f.value.kind != number && f.value.kind != text {
			return r.wanted(f.value, "interval."+f.key, "a number or a string")
		}
		values[f.key], where[f.key] = f.value.str, f
	}
	calendar, err := sched.ParseCalendar(values, r.check.Timezone)
	if err != nil {
		return r.calendarError(n, where, err)
	}
	r.check.Calendar, r.check.fields = calendar, values
	return nil
}

// calendarError puts the error of a calendar where its field stands.
func (r *reader) calendarError(n node, where map[string]field, err error) error {
	var wrong *sched.FieldError
	if !errors.As(err, &wrong) {
		return r.wrong(n, "interval", "is not a calendar: %v", err)
	}
	f, ok := where[wrong.Field]
	switch {
	case !ok:
		return r.wrong(n, "interval", "is not a calendar: %s", wrong.Reason)
	case wrong.Value == "":
		return &Error{Place: r.place(f.offset), Key: "interval." + wrong.Field, Reason: "is wrong: " + wrong.Reason}
	}
	return r.wrong(f.value, "interval."+wrong.Field, "is wrong: %s", wrong.Reason)
}

// sameSchedule compares calendars by what was written: two that are written
// differently may be the same, and count as changed, which does no harm.
func sameSchedule(a, b Check) bool {
	return a.Every == b.Every && (a.Calendar == nil) == (b.Calendar == nil) && maps.Equal(a.fields, b.fields) && sameZone(a.Timezone, b.Timezone)
}

// sameZone goes by the name, because each reading makes another Location.
func sameZone(a, b *time.Location) bool {
	return a == b || a != nil && b != nil && a.String() == b.String()
}
