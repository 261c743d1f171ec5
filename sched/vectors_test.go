package sched

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests must not depend on the machine's zones
)

// vector is a calendar with its first fire times at and after From.
type vector struct {
	Cron     map[string]any
	Timezone string
	From     time.Time
	Next     []time.Time
}

func (v vector) calendar(t *testing.T) *Calendar {
	t.Helper()
	fields := map[string]string{}
	for name, value := range v.Cron {
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		fields[name] = text
	}
	return mustParse(t, fields, v.Timezone)
}

func mustParse(t testing.TB, fields map[string]string, name string) *Calendar {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCalendar(fields, loc)
	if err != nil {
		t.Fatalf("ParseCalendar(%v): %v", fields, err)
	}
	return c
}

func TestVectors(t *testing.T) {
	file, err := os.Open("testdata/cron.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	n := 0
	for ; lines.Scan(); n++ {
		var v vector
		if err := json.NewDecoder(strings.NewReader(lines.Text())).Decode(&v); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		holdVector(t, n+1, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if n != 397 {
		t.Errorf("read %d vectors, want 397", n)
	}
}

func holdVector(t *testing.T, line int, v vector) {
	c := v.calendar(t)
	from := v.From
	for i, want := range v.Next {
		got, ok := c.Next(from)
		if !ok || !got.Equal(want) {
			t.Errorf("line %d, %v in %s: time %d is %v %v, want %v", line, v.Cron, v.Timezone, i, got, ok, want)
			return
		}
		from = got.Add(time.Nanosecond)
	}
	if len(v.Next) == 0 {
		if got, ok := c.Next(from); ok {
			t.Errorf("line %d, %v: fires at %v, want never", line, v.Cron, got)
		}
	}
}
