package sched

import (
	"testing"
	"time"
)

type object = map[string]string

// TestNext lists what a calendar does at the edges: the times from a moment on,
// in RFC 3339, or none.
func TestNext(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields object
		zone   string
		from   string
		want   []string
	}{
		{"spring skips the reading", object{"hour": "2", "minute": "30"}, "Europe/Berlin", "2026-03-28T00:00:00+01:00",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"}},
		{"autumn repeats the reading", object{"hour": "2", "minute": "30"}, "Europe/Berlin", "2026-10-25T00:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"}},
		{"hourly over autumn", object{"minute": "30"}, "America/New_York", "2026-11-01T00:31:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"}},
		{"hourly over spring", object{"minute": "0"}, "America/New_York", "2026-03-08T01:00:00-05:00",
			[]string{"2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"}},
		{"from inside the repeated hour", object{"minute": "15"}, "Europe/Berlin", "2026-10-25T02:45:00+02:00",
			[]string{"2026-10-25T02:15:00+01:00", "2026-10-25T03:15:00+01:00"}},
		{"a half-hour change", object{"hour": "1", "minute": "45"}, "Australia/Lord_Howe", "2026-04-05T00:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-06T01:45:00+10:30"}},
		{"midnight that does not exist", object{"hour": "0"}, "America/Santiago", "2026-09-05T12:00:00-04:00",
			[]string{"2026-09-07T00:00:00-03:00"}},
		{"a day that does not exist", object{"day": "30", "month": "12"}, "Pacific/Apia", "2011-12-01T00:00:00-10:00",
			[]string{"2012-12-30T00:00:00+14:00"}},
		{"leap day", object{"month": "2", "day": "29"}, "UTC", "2097-01-01T00:00:00Z",
			[]string{"2104-02-29T00:00:00Z"}},
		{"leap day on a Monday", object{"month": "2", "day": "29", "day_of_week": "mon"}, "Europe/Berlin",
			"2072-03-01T00:00:00+01:00", []string{"2112-02-29T00:00:00+01:00"}},
		{"fifth Sunday of February", object{"month": "feb", "day": "5th sun"}, "UTC", "2026-01-01T00:00:00Z",
			[]string{"2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"}},
		{"last day", object{"day": "last", "month": "2"}, "UTC", "2027-01-01T00:00:00Z",
			[]string{"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"}},
		{"last Friday", object{"day": "last fri"}, "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z"}},
		{"week 53", object{"week": "53", "day_of_week": "sun"}, "UTC", "2026-01-01T00:00:00Z",
			[]string{"2027-01-03T00:00:00Z", "2033-01-02T00:00:00Z"}},
		{"week 1 begins in December", object{"week": "1", "day_of_week": "0"}, "UTC", "2024-12-01T00:00:00Z",
			[]string{"2024-12-30T00:00:00Z", "2025-12-29T00:00:00Z"}},
		{"around 2038-01-19", object{"hour": "3", "minute": "14", "second": "7-8"}, "UTC", "2038-01-19T03:14:07Z",
			[]string{"2038-01-19T03:14:07Z", "2038-01-19T03:14:08Z", "2038-01-20T03:14:07Z"}},
		{"changes beyond 2038", object{"hour": "2", "minute": "30"}, "Europe/Berlin", "2050-03-26T12:00:00+01:00",
			[]string{"2050-03-28T02:30:00+02:00"}},
		{"over the end of a leap year beyond 2038", object{"year": "2041"}, "Europe/Berlin", "2026-01-01T00:00:00Z",
			[]string{"2041-01-01T00:00:00+01:00"}},
		{"year only", object{"year": "2030"}, "Asia/Kolkata", "2026-01-01T00:00:00Z",
			[]string{"2030-01-01T00:00:00+05:30"}},
		{"last second of all", object{"second": "59"}, "UTC", "9999-12-31T23:59:00Z",
			[]string{"9999-12-31T23:59:59Z"}},
		{"start of the epoch", object{"second": "0"}, "UTC", "1900-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
		{"within a second", object{"second": "*"}, "UTC", "2026-01-01T00:00:00.000000001Z",
			[]string{"2026-01-01T00:00:01Z"}},
		{"from start_date", object{"minute": "0", "start_date": "2026-07-31 12:00:00"}, "Europe/Berlin",
			"2026-01-01T00:00:00Z", []string{"2026-07-31T12:00:00+02:00"}},
		{"to end_date, that included", object{"hour": "0", "end_date": "2026-07-31"}, "Europe/Berlin",
			"2026-07-30T12:00:00+02:00", []string{"2026-07-31T00:00:00+02:00"}},
		{"to the second reading of end_date", object{"minute": "0", "end_date": "2026-10-25 02:00:00"}, "Europe/Berlin",
			"2026-10-25T02:00:00+02:00", []string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"}},
		{"to an end_date that is skipped", object{"minute": "0", "end_date": "2026-03-29 02:30:00"}, "Europe/Berlin",
			"2026-03-29T01:00:00+01:00", []string{"2026-03-29T01:00:00+01:00"}},
		{"from the first reading of start_date", object{"minute": "0", "start_date": "2026-10-25T2:0:0"}, "Europe/Berlin",
			"2026-01-01T00:00:00Z", []string{"2026-10-25T02:00:00+02:00"}},
		{"from a start_date that is skipped", object{"second": "*", "start_date": "2026-03-29 02:30:00"}, "Europe/Berlin",
			"2026-01-01T00:00:00Z", []string{"2026-03-29T03:00:00+02:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustParse(t, test.fields, test.zone)
			from := at(t, test.from)
			for _, want := range test.want {
				got, ok := c.Next(from)
				if !ok || got.Format(time.RFC3339) != want {
					t.Fatalf("after %v: got %v %v, want %v", from, got.Format(time.RFC3339), ok, want)
				}
				from = got.Add(time.Nanosecond)
			}
		})
	}
}

// impossible are calendars that never fire from 2026-01-01 on.
func impossible() []object {
	return []object{
		{"month": "2", "day": "30"},
		{"month": "2,4,6,9,11", "day": "31"},
		{"month": "2-11", "week": "53"},
		{"month": "6", "week": "1,53"},
		{"year": "1970-2025"},
		{"year": "*/2", "month": "2", "day": "30", "hour": "1"},
		{"month": "2", "day": "29", "year": "2027,2029,2030,2100,2200"},
		{"minute": "*", "end_date": "2025-12-31 23:59:59"},
		{"day": "1st mon", "week": "3"},
		{"day": "8-31", "month": "1", "week": "52"},
		{"hour": "2", "minute": "30", "month": "3", "day": "29", "year": "2026"},
	}
}

func TestNever(t *testing.T) {
	for _, f := range impossible() {
		c := mustParse(t, f, "Europe/Berlin")
		if got, ok := c.Next(at(t, "2026-01-01T00:00:00+01:00")); ok {
			t.Errorf("%v fires at %v, want never", f, got)
		}
	}
	c := mustParse(t, object{"second": "*"}, "UTC")
	if got, ok := c.Next(at(t, "9999-12-31T23:59:59Z").Add(1)); ok {
		t.Errorf("fires at %v, after the end of time", got)
	}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// sparse are calendars with decades between their times.
func sparse() []object {
	return []object{
		{"month": "2", "day": "29", "day_of_week": "mon"},
		{"month": "2", "day": "5th sun", "hour": "12"},
		{"week": "53", "day": "1", "hour": "3"},
		{"week": "53", "day_of_week": "sun", "day": "3"},
		{"year": "9999", "month": "12", "day": "31"},
	}
}

func BenchmarkNext(b *testing.B) {
	run := func(name string, f object) {
		b.Run(name, func(b *testing.B) {
			c := mustParse(b, f, "Europe/Berlin")
			from := at(b, "2026-03-01T12:00:00+01:00")
			for b.Loop() {
				c.Next(from)
			}
		})
	}
	run("dense", object{"minute": "*/5"})
	for i, f := range sparse() {
		run("sparse/"+string(rune('a'+i)), f)
	}
	for i, f := range impossible() {
		run("never/"+string(rune('a'+i)), f)
	}
}
