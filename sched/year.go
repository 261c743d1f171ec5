package sched

import "time"

// yearKind is all of a year that decides which of its days carries which
// weekday and ISO week.
type yearKind struct {
	firstWeekday   int // of the first of January, 0 being Monday
	leap, prevLeap bool
}

func leapYear(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// daysTo returns the days from 1970-01-01 to the first day of year y.
func daysTo(y int) int64 {
	y--
	const to1970 = 1969*365 + 1969/4 - 1969/100 + 1969/400
	return int64(y*365 + y/4 - y/100 + y/400 - to1970)
}

func kindOf(y int) yearKind {
	const thursday = 3 // 1970-01-01
	return yearKind{
		firstWeekday: int((daysTo(y) + thursday) % 7),
		leap:         leapYear(y),
		prevLeap:     leapYear(y - 1),
	}
}

// yearKinds is how many there are: 14, and 7 more because a year that is not leap
// may follow one that is.
const yearKinds = 21

// index numbers the kinds from 0.
func (k yearKind) index() int {
	switch {
	case k.leap:
		return k.firstWeekday
	case k.prevLeap:
		return 7 + k.firstWeekday
	}
	return 14 + k.firstWeekday
}

// daysBefore returns the days of the year before the month, 1 to 13.
func (k yearKind) daysBefore(month int) int {
	days := [...]int{0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}[month]
	if k.leap && month > 2 {
		days++
	}
	return days
}

// isoWeek returns the ISO week, 1 to 53, of a day of the year, 0 being the
// first of January. It may be one of the year before or after.
func (k yearKind) isoWeek(day int) int {
	weekday := (k.firstWeekday + day) % 7
	week := (day - weekday + 10) / 7
	switch {
	case week == 0:
		length := 365
		if k.prevLeap {
			length++
		}
		return isoWeeks((k.firstWeekday-length%7+7)%7, k.prevLeap)
	case week > isoWeeks(k.firstWeekday, k.leap):
		return 1
	}
	return week
}

// isoWeeks returns how many ISO weeks a year has: 53 if it has 53 Thursdays.
func isoWeeks(firstWeekday int, leap bool) int {
	const wednesday, thursday = 2, 3
	if firstWeekday == thursday || leap && firstWeekday == wednesday {
		return 53
	}
	return 52
}

// instants returns the first and the last instant at which a clock in loc shows
// the reading, given as a time in UTC. A reading that is skipped yields the
// instant of the change, and the second before it.
func instants(reading time.Time, loc *time.Location) (first, last time.Time) {
	offsetAt := func(t time.Time) time.Duration {
		_, offset := t.In(loc).Zone()
		return time.Duration(offset) * time.Second
	}
	before := offsetAt(reading.Add(-slack * time.Second / 2))
	after := offsetAt(reading.Add(slack * time.Second / 2))
	for _, offset := range []time.Duration{before, after} {
		if t := reading.Add(-offset); offsetAt(t) == offset {
			if first.IsZero() || t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
	}
	if first.IsZero() {
		change, _ := reading.Add(-before).In(loc).ZoneBounds()
		return change, change.Add(-time.Second)
	}
	return first.In(loc), last.In(loc)
}
