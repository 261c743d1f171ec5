package sched

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xrash/smetrics"
)

// FieldError says which field of a calendar is wrong. Field and Value are what
// the author wrote; Reason says what would be right. Field is empty when the
// calendar as a whole is wrong.
type FieldError struct {
	Field, Value, Reason string
}

// Error names field, value and reason in one line.
func (e *FieldError) Error() string {
	switch {
	case e.Field == "":
		return e.Reason
	case e.Value == "":
		return fmt.Sprintf("field %q: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("field %q: value %q: %s", e.Field, e.Value, e.Reason)
}

// field is one of the eight fields of a calendar. fallback is its value when
// only more significant fields are given; empty stands for "*".
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
	fallback string
}

const (
	firstYear = 1970
	finalYear = 9999
)

// fields returns the fields, the most significant first.
func fields() []field {
	return []field{
		{name: "year", min: firstYear, max: finalYear},
		{name: "month", min: 1, max: 12, names: monthNames(), fallback: "1"},
		{name: "day", min: 1, max: 31, fallback: "1"},
		{name: "week", min: 1, max: 53},
		{name: "day_of_week", min: 0, max: 6, names: weekdayNames()},
		{name: "hour", min: 0, max: 23, fallback: "0"},
		{name: "minute", min: 0, max: 59, fallback: "0"},
		{name: "second", min: 0, max: 59, fallback: "0"},
	}
}

func monthNames() []string {
	return []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
}

func weekdayNames() []string {
	return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
}

// ParseCalendar reads a calendar from its fields: year, month, day, week (ISO),
// day_of_week (0 is Monday), hour, minute, second, start_date and end_date.
// Values are text; a number is its decimal digits. loc is the time zone in
// which the fields are read; nil means the machine's.
//
// A field that is left out is "*" if a less significant one is given, else its
// minimum (week and day_of_week: "*"). start_date and end_date are inclusive.
//
// A calendar that never fires is no error: see [Calendar.Next]. An error is
// always a [*FieldError].
func ParseCalendar(values map[string]string, loc *time.Location) (*Calendar, error) {
	if loc == nil {
		loc = time.Local
	}
	if err := checkNames(values); err != nil {
		return nil, err
	}
	c := &Calendar{loc: loc}
	table := fields()
	least := -1 // the least significant field given
	for i, f := range table {
		if _, ok := values[f.name]; ok {
			least = i
		}
	}
	if least < 0 {
		return nil, &FieldError{Reason: "no field says when: give at least one of " + fieldNames(table)}
	}
	for i, f := range table {
		value, ok := values[f.name]
		if !ok {
			value = "*"
			if i > least && f.fallback != "" {
				value = f.fallback
			}
		}
		if reason := c.setField(f, value); reason != "" {
			return nil, &FieldError{Field: f.name, Value: value, Reason: reason}
		}
	}
	if err := c.setDates(values); err != nil {
		return nil, err
	}
	c.prepare()
	return c, nil
}

func checkNames(values map[string]string) error {
	known := []string{"start_date", "end_date"}
	for _, f := range fields() {
		known = append(known, f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			reason := "no such field"
			if near := nearest(name, known); near != "" {
				reason += fmt.Sprintf("; did you mean %q?", near)
			}
			return &FieldError{Field: name, Reason: reason + " Known are " + fieldNames(fields()) + ", start_date, end_date"}
		}
	}
	return nil
}

func fieldNames(table []field) string {
	var names []string
	for _, f := range table {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// setField reads a comma separated list of expressions into c. The result is
// empty, or says what is wrong.
func (c *Calendar) setField(f field, value string) (reason string) {
	for item := range strings.SplitSeq(value, ",") {
		item = strings.ToLower(strings.TrimSpace(item))
		if f.name == "day" {
			if known, reason := c.addWeekdayOfMonth(item); reason != "" {
				return reason
			} else if known {
				continue
			}
		}
		lo, hi, step, reason := f.parseRange(item)
		if reason != "" {
			return reason
		}
		for v := lo; v <= hi; v += step {
			c.add(f.name, v)
		}
	}
	return ""
}

// parseRange reads *, */step, first, first-last, first/step, first-last/step.
func (f field) parseRange(item string) (lo, hi, step int, reason string) {
	body, stepText, stepped := strings.Cut(item, "/")
	step = 1
	if stepped {
		n, ok := number(stepText)
		if !ok || n < 1 || n > f.max-f.min {
			return 0, 0, 0, fmt.Sprintf("the step %q is not allowed: allowed are 1 to %d", stepText, f.max-f.min)
		}
		step = n
	}
	if body == "*" {
		return f.min, f.max, step, ""
	}
	first, last, ranged := strings.Cut(body, "-")
	if lo, reason = f.parseValue(first); reason != "" {
		return 0, 0, 0, reason
	}
	hi = lo
	switch {
	case ranged:
		if hi, reason = f.parseValue(last); reason != "" {
			return 0, 0, 0, reason
		}
		if hi < lo {
			return 0, 0, 0, fmt.Sprintf("the range %q runs backwards: write two, as in %q", body,
				fmt.Sprintf("%s-%s,%s-%s", first, f.text(f.max), f.text(f.min), last))
		}
	case stepped:
		hi = f.max
	}
	return lo, hi, step, ""
}

// text returns the value as an author would write it.
func (f field) text(v int) string {
	if len(f.names) > 0 {
		return f.names[v-f.min]
	}
	return strconv.Itoa(v)
}

func (f field) parseValue(text string) (int, string) {
	text = strings.TrimSpace(text)
	if i := slices.Index(f.names, text); i >= 0 {
		return f.min + i, ""
	}
	if n, ok := number(text); ok && n >= f.min && n <= f.max {
		return n, ""
	}
	reason := fmt.Sprintf("%q is not allowed: allowed are %s", text, f.allowed())
	if near := nearest(text, f.names); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", near)
	}
	return 0, reason
}

func (f field) allowed() string {
	s := fmt.Sprintf("%d to %d", f.min, f.max)
	switch f.name {
	case "day":
		s += ", last, 1st to 5th or last with a weekday as in \"2nd mon\""
	case "day_of_week":
		s += " (0 is Monday) or mon to sun"
	case "month":
		s += " or jan to dec"
	}
	return s + ", *, and ranges, steps and lists as in \"*/2\" or \"a-b/2,c\""
}

// addWeekdayOfMonth reads "last", "last fri" and "2nd mon".
func (c *Calendar) addWeekdayOfMonth(item string) (known bool, reason string) {
	words := strings.Fields(item)
	if len(words) == 0 {
		return false, ""
	}
	place := slices.Index([]string{"1st", "2nd", "3rd", "4th", "5th", "last"}, words[0])
	switch {
	case place < 0:
		return false, ""
	case len(words) == 1 && words[0] == "last":
		c.lastDay = true
		return true, ""
	case len(words) != 2:
		return false, fmt.Sprintf("%q is not allowed: after %s comes one weekday, as in \"%s mon\"", item, words[0], words[0])
	}
	weekday := slices.Index(weekdayNames(), words[1])
	if weekday < 0 {
		return false, fmt.Sprintf("%q is no weekday: allowed are mon to sun", words[1])
	}
	c.nth[weekday] |= 1 << place
	return true, ""
}

// setDates reads start_date and end_date. A reading that a clock change repeats
// starts at its first and ends at its last time; one that is skipped is the
// change itself.
func (c *Calendar) setDates(values map[string]string) error {
	for _, name := range []string{"start_date", "end_date"} {
		value, ok := values[name]
		if !ok {
			continue
		}
		reading, ok := parseDate(value)
		if !ok {
			return &FieldError{Field: name, Value: value,
				Reason: "is no date: allowed are \"2026-07-31\" and \"2026-07-31 23:59:59\", in the check's time zone"}
		}
		first, last := instants(reading, c.loc)
		if name == "start_date" {
			c.start = first
		} else {
			c.end = last
		}
	}
	if !c.start.IsZero() && !c.end.IsZero() && c.end.Before(c.start) {
		return &FieldError{Field: "end_date", Value: values["end_date"],
			Reason: fmt.Sprintf("is before start_date %q", values["start_date"])}
	}
	return nil
}

func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-1-2", "2006-1-2 15:4:5", "2006-1-2T15:4:5"} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// number reads up to four decimal digits and nothing else.
func number(s string) (int, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 4 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// nearest returns the candidate that is at most two edits away from word, or "".
func nearest(word string, candidates []string) string {
	best, found := min(3, len(word)), ""
	for _, c := range candidates {
		if d := smetrics.WagnerFischer(strings.ToLower(word), c, 1, 1, 1); d < best {
			best, found = d, c
		}
	}
	return found
}
