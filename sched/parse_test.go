package sched

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBadFields(t *testing.T) {
	for _, test := range []struct {
		name, field, value string
		wants              []string // in the reason
	}{
		{"hour over", "hour", "25", []string{`"25"`, "0 to 23"}},
		{"hour that is negative", "hour", "-1", []string{"0 to 23"}},
		{"hour with a sign", "hour", "+1", []string{`"+1"`, "0 to 23"}},
		{"hour with a fraction", "hour", "1.5", []string{`"1.5"`, "0 to 23"}},
		{"hour too long", "hour", "00000000000000000000000000000000001", []string{"0 to 23"}},
		{"minute over", "minute", "60", []string{"0 to 59"}},
		{"second over", "second", "60", []string{"0 to 59"}},
		{"month zero", "month", "0", []string{"1 to 12", "jan to dec"}},
		{"month unknown", "month", "sept", []string{`"sept"`, `did you mean "sep"?`}},
		{"day zero", "day", "0", []string{"1 to 31", "last", "2nd mon"}},
		{"day over", "day", "32", []string{"1 to 31"}},
		{"week zero", "week", "0", []string{"1 to 53"}},
		{"year before 1970", "year", "1969", []string{"1970 to 9999"}},
		{"year of five digits", "year", "10000", []string{"1970 to 9999"}},
		{"weekday unknown", "day_of_week", "mun", []string{`"mun"`, "0 is Monday", "mon to sun", `did you mean "mon"?`}},
		{"weekday seven", "day_of_week", "7", []string{"0 to 6"}},
		{"weekday of a month as day of week", "day_of_week", "2nd mon", []string{"0 to 6"}},
		{"step zero", "minute", "*/0", []string{`"0"`, "1 to 59"}},
		{"step missing", "minute", "*/", []string{"step", "1 to 59"}},
		{"step over", "minute", "*/60", []string{"1 to 59"}},
		{"step twice", "minute", "*/2/2", []string{"step"}},
		{"range backwards", "hour", "9-5", []string{`"9-5"`, "backwards", "9-23,0-5"}},
		{"range of names backwards", "day_of_week", "sat-mon", []string{"backwards", "sat-sun,mon-mon"}},
		{"range without end", "hour", "9-", []string{"0 to 23"}},
		{"range of three", "hour", "1-2-3", []string{`"2-3"`}},
		{"empty", "hour", "", []string{"0 to 23"}},
		{"empty item", "hour", "1,,2", []string{"0 to 23"}},
		{"trailing comma", "hour", "1,", []string{"0 to 23"}},
		{"star with text", "hour", "*x", []string{`"*x"`}},
		{"last in the wrong field", "hour", "last", []string{`"last"`}},
		{"last of a weekday unknown", "day", "last fry", []string{`"fry"`, "mon to sun"}},
		{"sixth weekday", "day", "6th mon", []string{`"6th mon"`}},
		{"place without weekday", "day", "2nd", []string{"weekday"}},
		{"place with two weekdays", "day", "2nd mon tue", []string{"one weekday"}},
		{"start_date that is no date", "start_date", "tomorrow", []string{"2026-07-31"}},
		{"start_date that does not exist", "start_date", "2026-02-29", []string{"2026-07-31"}},
		{"start_date with hour 24", "start_date", "2026-02-28 24:00:00", []string{"2026-07-31"}},
		{"end_date that is empty", "end_date", "", []string{"no date"}},
		{"unknown field", "huor", "1", []string{`did you mean "hour"?`, "day_of_week", "start_date"}},
		{"unknown field far from all", "quarter", "1", []string{"no such field"}},
		{"field in capitals", "Hour", "1", []string{`did you mean "hour"?`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar(map[string]string{"month": "*", test.field: test.value}, time.UTC)
			var wrong *FieldError
			if !errors.As(err, &wrong) || c != nil {
				t.Fatalf("got %v, %v; want a FieldError", c, err)
			}
			if wrong.Field != test.field {
				t.Errorf("the error is in field %q, want %q", wrong.Field, test.field)
			}
			if known := !strings.Contains(wrong.Reason, "no such field"); known && wrong.Value != test.value {
				t.Errorf("the error quotes %q, want %q", wrong.Value, test.value)
			}
			for _, want := range test.wants {
				if !strings.Contains(wrong.Reason, want) {
					t.Errorf("reason %q lacks %q", wrong.Reason, want)
				}
			}
			if text := err.Error(); !strings.Contains(text, test.field) || !strings.Contains(text, wrong.Reason) {
				t.Errorf("message %q lacks the field or the reason", text)
			}
		})
	}
}

func TestBadCalendars(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields map[string]string
		want   string
	}{
		{"no field", nil, "give at least one of year, month, day"},
		{"dates only", map[string]string{"start_date": "2026-01-01"}, "give at least one of"},
		{"ends before it starts", map[string]string{"hour": "1", "start_date": "2026-01-02", "end_date": "2026-01-01"},
			`is before start_date "2026-01-02"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseCalendar(test.fields, time.UTC)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestSpellings holds that both spellings mean the same.
func TestSpellings(t *testing.T) {
	for _, pair := range []struct{ field, a, b string }{
		{"day_of_week", "mon-fri", "0-4"},
		{"day_of_week", "MON , Tue", "0,1"},
		{"day_of_week", "sun,6,6-6", "6"},
		{"month", "jan-mar/2", "1,3"},
		{"month", "feb-4", "2-4"},
		{"hour", "09", "9"},
		{"hour", " 1 - 5 / 2 ", "1,3,5"},
		{"hour", "20/2", "20,22"},
		{"minute", "*/20", "0,20,40"},
		{"second", "5-10/50", "5"},
		{"day", "LAST", "last"},
		{"day", "last  Fri", "last fri"},
		{"day", "*,3", "1-31"},
		{"year", "*/4000", "1970,5970,9970"},
	} {
		a := mustParse(t, map[string]string{pair.field: pair.a}, "UTC")
		b := mustParse(t, map[string]string{pair.field: pair.b}, "UTC")
		if a.identity != b.identity {
			t.Errorf("%s: %q and %q differ", pair.field, pair.a, pair.b)
		}
	}
	a := mustParse(t, map[string]string{"hour": "1"}, "UTC")
	b := mustParse(t, map[string]string{"hour": "1"}, "Europe/Berlin")
	if a.identity == b.identity {
		t.Error("calendars of different time zones count as the same")
	}
}
