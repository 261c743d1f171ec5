package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// random makes random calendars together with a plain statement of what they
// match, which knows nothing of the parser.
type random struct {
	*rand.Rand
}

// matcher says whether a clock that shows this matches one field.
type matcher func(clock time.Time) bool

// field returns an expression over low to high, and the values it stands for.
func (r random) field(low, high int, names []string) (string, func(int) bool) {
	var items []string
	allowed := make([]bool, high+1)
	for range 1 + r.IntN(3) {
		a := low + r.IntN(high-low+1)
		b := a + r.IntN(high-a+1)
		step := 1 + r.IntN(max(1, min(high-low, 12)))
		name := func(v int) string {
			if names != nil && r.IntN(2) == 0 {
				return names[v-low]
			}
			return fmt.Sprint(v)
		}
		item := ""
		switch r.IntN(6) {
		case 0:
			item, a, b = fmt.Sprintf("*/%d", step), low, high
		case 1:
			item = fmt.Sprintf("%s-%s/%d", name(a), name(b), step)
		case 2:
			item, step = name(a)+"-"+name(b), 1
		case 3:
			item, b = fmt.Sprintf("%s/%d", name(a), step), high
		default:
			item, b, step = name(a), a, 1
		}
		items = append(items, item)
		for v := a; v <= b; v += step {
			allowed[v] = true
		}
	}
	return strings.Join(items, ","), func(v int) bool { return v <= high && allowed[v] }
}

// days returns an expression for the field day.
func (r random) days() (string, matcher) {
	text, plain := r.field(1, 31, nil)
	match := func(c time.Time) bool { return plain(c.Day()) }
	if r.IntN(2) == 0 {
		return text, match
	}
	weekday := r.IntN(7)
	place := r.IntN(7)
	isLast := func(c time.Time, days int) bool { return c.AddDate(0, 0, days).Month() != c.Month() }
	special := "last"
	extra := func(c time.Time) bool { return isLast(c, 1) }
	if place < 6 {
		special = []string{"1st", "2nd", "3rd", "4th", "5th", "last"}[place] + " " +
			[]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[weekday]
		extra = func(c time.Time) bool {
			if c.Weekday() != time.Weekday(weekday) {
				return false
			}
			if place == 5 {
				return isLast(c, 7)
			}
			return (c.Day()-1)/7 == place
		}
	}
	if r.IntN(2) == 0 {
		return special, extra
	}
	return special + "," + text, func(c time.Time) bool { return match(c) || extra(c) }
}

// dates returns random fields of the date, and what they match.
func (r random) dates(f object) []matcher {
	var all []matcher
	put := func(name, text string, match matcher) {
		f[name] = text
		all = append(all, match)
	}
	if r.IntN(4) == 0 {
		text, ok := r.field(2020, 2036, nil)
		if !strings.Contains(text, "/") { // a step would run on from 1970, or to 9999
			put("year", text, func(c time.Time) bool { return ok(c.Year()) })
		}
	}
	if r.IntN(3) == 0 {
		text, ok := r.field(1, 12, monthNames())
		put("month", text, func(c time.Time) bool { return ok(int(c.Month())) })
	}
	if r.IntN(3) == 0 {
		text, match := r.days()
		put("day", text, match)
	}
	if r.IntN(4) == 0 {
		text, ok := r.field(1, 53, nil)
		put("week", text, func(c time.Time) bool { _, week := c.ISOWeek(); return ok(week) })
	}
	if r.IntN(3) == 0 {
		text, ok := r.field(0, 6, weekdayNames())
		put("day_of_week", text, func(c time.Time) bool { return ok((int(c.Weekday()) + 6) % 7) })
	}
	return all
}

// clocks returns random fields of the time of day, and what they match. Fields
// that are left out default by hand.
func (r random) clocks(f object) []matcher {
	var all []matcher
	given := r.IntN(8) // a bit for each field
	for i, unit := range []struct {
		name string
		high int
		of   func(time.Time) int
	}{{"hour", 23, time.Time.Hour}, {"minute", 59, time.Time.Minute}, {"second", 59, time.Time.Second}} {
		if given&(1<<i) != 0 {
			text, ok := r.field(0, unit.high, nil)
			f[unit.name] = text
			all = append(all, func(c time.Time) bool { return ok(unit.of(c)) })
		} else if given>>i == 0 {
			all = append(all, func(c time.Time) bool { return unit.of(c) == 0 })
		}
	}
	return all
}

func matches(all []matcher, clock time.Time) bool {
	return !slices.ContainsFunc(all, func(m matcher) bool { return !m(clock) })
}

// changes are moments shortly before a clock change, in their zones.
func changes() map[string][]string {
	return map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:20:00+01:00", "2026-10-25T02:20:00+02:00", "2045-10-29T02:20:00+02:00"},
		"America/New_York":    {"2026-03-08T01:20:00-05:00", "2026-11-01T01:20:00-04:00"},
		"Australia/Lord_Howe": {"2026-04-05T01:20:00+11:00", "2026-10-04T01:20:00+10:30"},
		"Africa/Casablanca":   {"2026-02-15T02:20:00+01:00", "2026-03-22T01:20:00Z"},
		"Asia/Kolkata":        {"2026-06-30T23:20:00+05:30"},
		"UTC":                 {"2027-12-31T23:20:00Z", "2038-01-19T02:50:00Z"},
	}
}

// TestSecondBySecond holds Next against looking at the clock each second.
func TestSecondBySecond(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 9))}
	places := changes()
	zones := make([]string, 0, len(places))
	for zone := range places {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	const window = 2400 // seconds
	fired := 0
	for range 1500 {
		zone := zones[r.IntN(len(zones))]
		from := at(t, places[zone][r.IntN(len(places[zone]))]).Add(time.Duration(r.IntN(3000)) * time.Second)
		f := object{}
		var all []matcher
		if r.IntN(3) == 0 {
			all = r.dates(f)
		}
		all = append(all, r.clocks(f)...)
		if len(f) == 0 {
			continue
		}
		c := mustParse(t, f, zone)
		fired += holdSeconds(t, c, all, from, window, f)
	}
	if fired < 10000 {
		t.Errorf("only %d fire times were compared", fired)
	}
}

// holdSeconds returns how many fire times it compared.
func holdSeconds(t *testing.T, c *Calendar, all []matcher, from time.Time, window int, f object) int {
	t.Helper()
	next, ok := c.Next(from)
	fired := 0
	for i := range window {
		now := from.Add(time.Duration(i) * time.Second).In(c.loc)
		if !matches(all, now) {
			if ok && next.Equal(now) {
				t.Fatalf("%v in %s, from %v: fires at %v, where it does not match", f, c.loc, from, now)
			}
			continue
		}
		if !ok || !next.Equal(now) {
			t.Fatalf("%v in %s, from %v: next is %v %v, want %v", f, c.loc, from, next, ok, now)
		}
		fired++
		next, ok = c.Next(now.Add(1))
	}
	return fired
}

// TestDayByDay holds Next against looking at each day's noon for a year.
func TestDayByDay(t *testing.T) {
	r := random{rand.New(rand.NewPCG(2, 7))}
	fired := 0
	for range 2000 {
		f := object{"hour": "12"}
		all := r.dates(f)
		c := mustParse(t, f, "UTC")
		noon := time.Date(2019+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(31), 12, 0, 0, 0, time.UTC)
		next, ok := c.Next(noon)
		for range 365 {
			if matches(all, noon) {
				if !ok || !next.Equal(noon) {
					t.Fatalf("%v: next is %v %v, want %v", f, next, ok, noon)
				}
				fired++
				next, ok = c.Next(noon.Add(1))
			}
			noon = noon.AddDate(0, 0, 1)
		}
		if ok && next.Before(noon) {
			t.Fatalf("%v: fires at %v, where it does not match", f, next)
		}
	}
	if fired < 10000 {
		t.Errorf("only %d fire times were compared", fired)
	}
}
