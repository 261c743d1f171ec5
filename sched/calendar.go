package sched

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"time"
)

// Calendar is a set of instants: all those at which a clock on the wall of its
// time zone shows what its fields ask for. A reading that a clock change skips
// does not occur; one that it repeats occurs both times. It never changes and
// may be shared.
//
// Inside, a reading is the number of seconds from 1970-01-01 00:00:00 to it, as
// if there were no time zones. Within a stretch of constant offset readings and
// instants differ by that offset only, which is all that the search has to know
// about time zones.
type Calendar struct {
	loc        *time.Location
	start, end time.Time // inclusive; zero: open

	years    []uint64 // nil: all
	months   uint16
	days     uint32
	lastDay  bool
	nth      [7]uint8 // by weekday, Monday first: bits 0 to 4 the 1st to 5th, bit 5 the last
	weeks    uint64
	weekdays uint8
	hours    uint32
	minutes  uint64
	seconds  uint64

	allWeeks   bool
	kinds      uint32            // of the years, by their index
	byWeekday  [7]uint32         // days of a month that weekdays allows, by the weekday of its first
	firstOfDay int64             // the earliest second of a day that matches
	identity   [sha256.Size]byte // equal for calendars with the same fields, dates and time zone
}

const (
	daySeconds = 24 * 60 * 60
	// slack is more than any two offsets of one time zone ever differed by.
	slack = 48 * 60 * 60
)

// Location returns the time zone in which the calendar is read.
func (c *Calendar) Location() *time.Location { return c.loc }

// add puts one value of a field into the set.
func (c *Calendar) add(name string, v int) {
	switch name {
	case "year":
		if c.years == nil {
			c.years = make([]uint64, (finalYear-firstYear)/64+1)
		}
		c.years[(v-firstYear)/64] |= 1 << ((v - firstYear) % 64)
	case "month":
		c.months |= 1 << v
	case "day":
		c.days |= 1 << v
	case "week":
		c.weeks |= 1 << v
	case "day_of_week":
		c.weekdays |= 1 << v
	case "hour":
		c.hours |= 1 << v
	case "minute":
		c.minutes |= 1 << v
	case "second":
		c.seconds |= 1 << v
	}
}

// prepare derives what the search would otherwise compute each time.
func (c *Calendar) prepare() {
	const everyWeek = 1<<54 - 2
	c.allWeeks = c.weeks == everyWeek
	given := 0
	for _, word := range c.years {
		given += bits.OnesCount64(word)
	}
	if given == finalYear-firstYear+1 {
		c.years = nil
		c.kinds = 1<<yearKinds - 1
	} else {
		for y, ok := c.nextYear(firstYear); ok; y, ok = c.nextYear(y + 1) {
			c.kinds |= 1 << kindOf(y).index()
		}
	}
	for first := range c.byWeekday {
		for day := 1; day <= 31; day++ {
			if c.weekdays&(1<<((first+day-1)%7)) != 0 {
				c.byWeekday[first] |= 1 << day
			}
		}
	}
	c.firstOfDay = int64(bits.TrailingZeros32(c.hours))*3600 +
		int64(bits.TrailingZeros64(c.minutes))*60 + int64(bits.TrailingZeros64(c.seconds))
	_, offset := time.Unix(0, 0).In(c.loc).Zone() // tells fixed zones of the same name apart
	c.identity = sha256.Sum256(fmt.Append(nil, c.loc, offset, c.start.Unix(), c.end.Unix(), c.years, c.months, c.days,
		c.lastDay, c.nth, c.weeks, c.weekdays, c.hours, c.minutes, c.seconds))
}

// Next returns the calendar's first instant at or after from, in its time zone,
// or false if there is none up to the end of the year 9999. It takes
// microseconds, also when that instant is decades away or does not exist.
func (c *Calendar) Next(from time.Time) (time.Time, bool) {
	if from.Before(c.start) {
		from = c.start
	}
	t := from.Unix()
	if from.Nanosecond() > 0 {
		t++
	}
	for c.end.IsZero() || t <= c.end.Unix() {
		here := time.Unix(t, 0).In(c.loc)
		_, offset := here.Zone()
		zoneEnd := endOfStretch(here)
		reading, found := c.nextReading(t + int64(offset))
		if at := reading - int64(offset); found && (zoneEnd.IsZero() || at < zoneEnd.Unix()) {
			if !c.end.IsZero() && at > c.end.Unix() {
				break
			}
			return time.Unix(at, 0).In(c.loc), true
		}
		if zoneEnd.IsZero() {
			break
		}
		if zoneEnd.Unix()-t <= slack {
			// The change may be about to turn the clock back before here.
			t = zoneEnd.Unix()
			continue
		}
		if !found {
			break
		}
		// No reading before the one found matches, and all later stretches but
		// those within slack of it show earlier readings only.
		t = max(zoneEnd.Unix(), reading-slack)
	}
	return time.Time{}, false
}

// endOfStretch is when the offset of a time next changes, or may change; zero if it
// never does. Where a rule says so and no table, the runtime takes each year to
// have 365 days: on the last day of a longer one its answer lies in the past.
func endOfStretch(at time.Time) time.Time {
	_, end := at.ZoneBounds()
	if end.IsZero() || end.After(at) {
		return end
	}
	return time.Date(at.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
}

// nextReading returns the first matching reading at or after r.
func (c *Calendar) nextReading(r int64) (int64, bool) {
	day := r / daySeconds
	if r < 0 {
		day, r = 0, 0
	}
	next, ok := c.nextDay(day)
	if ok && next == day {
		if second, ok := c.nextSecond(int(r % daySeconds)); ok {
			return day*daySeconds + int64(second), true
		}
		next, ok = c.nextDay(day + 1)
	}
	return next*daySeconds + c.firstOfDay, ok
}

// nextSecond returns the first matching second of a day at or after s.
func (c *Calendar) nextSecond(s int) (int, bool) {
	hour, minute, second := s/3600, s/60%60, s%60
	if c.hours&(1<<hour) != 0 {
		if c.minutes&(1<<minute) != 0 {
			if rest := c.seconds >> second; rest != 0 {
				return s + bits.TrailingZeros64(rest), true
			}
		}
		if rest := c.minutes >> (minute + 1); rest != 0 {
			minute += 1 + bits.TrailingZeros64(rest)
			return hour*3600 + minute*60 + bits.TrailingZeros64(c.seconds), true
		}
	}
	rest := c.hours >> (hour + 1)
	if rest == 0 {
		return 0, false
	}
	hour += 1 + bits.TrailingZeros32(rest)
	return hour*3600 + int(c.firstOfDay%3600), true
}

// nextYear returns the first matching year at or after y.
func (c *Calendar) nextYear(y int) (int, bool) {
	if y > finalYear || c.years == nil {
		return y, y <= finalYear
	}
	i := (y - firstYear) / 64
	word := c.years[i] >> ((y - firstYear) % 64)
	if word != 0 {
		return y + bits.TrailingZeros64(word), true
	}
	for i++; i < len(c.years); i++ {
		if c.years[i] != 0 {
			return firstYear + i*64 + bits.TrailingZeros64(c.years[i]), true
		}
	}
	return 0, false
}

// nextDay returns the first matching day, counted from 1970-01-01, at or after
// the one given.
//
// There are only 21 kinds of year. One that was searched from end to end in
// vain is not searched again, which bounds the search of an impossible or rare
// combination whatever the years asked for.
func (c *Calendar) nextDay(day int64) (int64, bool) {
	date := time.Unix(day*daySeconds, 0).UTC()
	start, month, dayOfMonth := date.Year(), int(date.Month()), date.Day()
	var barren uint32
	for y, ok := c.nextYear(start); ok && barren != c.kinds; y, ok = c.nextYear(y + 1) {
		if y > start {
			month, dayOfMonth = 1, 1
		}
		kind := kindOf(y)
		if barren&(1<<kind.index()) != 0 {
			continue
		}
		if found, ok := c.nextDayOfYear(kind, month, dayOfMonth); ok {
			return daysTo(y) + int64(found), true
		}
		if month == 1 && dayOfMonth == 1 {
			barren |= 1 << kind.index()
		}
	}
	return 0, false
}

// nextDayOfYear returns the first matching day of such a year, 0 being the
// first of January, at or after the date given.
func (c *Calendar) nextDayOfYear(kind yearKind, month, dayOfMonth int) (int, bool) {
	for ; month <= 12; month++ {
		if c.months&(1<<month) != 0 {
			if match := c.daysOfMonth(kind, month) >> dayOfMonth; match != 0 {
				return kind.daysBefore(month) + dayOfMonth - 1 + bits.TrailingZeros32(match), true
			}
		}
		dayOfMonth = 1
	}
	return 0, false
}

// daysOfMonth returns the matching days of a month, day d as bit d.
func (c *Calendar) daysOfMonth(kind yearKind, month int) uint32 {
	length := kind.daysBefore(month+1) - kind.daysBefore(month)
	first := (kind.firstWeekday + kind.daysBefore(month)) % 7
	days := c.days
	if c.lastDay {
		days |= 1 << length
	}
	for weekday, places := range c.nth {
		day := 1 + (weekday-first+7)%7
		if places&(1<<5) != 0 {
			days |= 1 << (day + (length-day)/7*7)
		}
		for places &= 1<<5 - 1; places != 0; places >>= 1 {
			if places&1 != 0 && day <= length {
				days |= 1 << day
			}
			day += 7
		}
	}
	days &= c.byWeekday[first] & (1<<(length+1) - 2)
	if days == 0 || c.allWeeks {
		return days
	}
	return days & c.daysInWeeks(kind, kind.daysBefore(month), length, first)
}

// daysInWeeks returns the days of a month whose ISO week matches. before is the
// number of days of the year before the month, first the weekday of its first.
func (c *Calendar) daysInWeeks(kind yearKind, before, length, first int) uint32 {
	var days uint32
	for day := 1; day <= length; {
		untilMonday := 7 - (first+day-1)%7
		if c.weeks&(1<<kind.isoWeek(before+day-1)) != 0 {
			days |= (1<<untilMonday - 1) << day
		}
		day += untilMonday
	}
	return days
}
