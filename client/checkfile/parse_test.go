package checkfile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/check"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBadFiles holds each file in testdata/bad, named after the rule it breaks,
// against its line in errors.txt. Where that ends in "..." the rest of the
// message is the scheduler's.
func TestBadFiles(t *testing.T) {
	want := map[string]string{}
	for line := range strings.Lines(string(read(t, "testdata/bad/errors.txt"))) {
		name, _, _ := strings.Cut(line, ":")
		want[name] = strings.TrimSuffix(line, "\n")
	}
	paths, err := filepath.Glob("testdata/bad/*.cfg")
	if err != nil || len(paths) != len(want) {
		t.Fatalf("%d files and %d errors, %v", len(paths), len(want), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		c, _, err := Parse(name, read(t, path), Defaults{})
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.File != name || !reflect.DeepEqual(c, Check{}) {
			t.Errorf("%s: error %v with the check %+v, want an *Error about it and a zero Check", name, err, c)
			continue
		}
		begin, open := strings.CutSuffix(want[name], "...")
		if got := err.Error(); got != want[name] && !(open && strings.HasPrefix(got, begin) && len(got) > len(begin)) {
			t.Errorf("got  %s\nwant %s", got, want[name])
		}
	}
}

func TestErrorParts(t *testing.T) {
	_, _, err := Parse("c.cfg", read(t, "testdata/bad/calendar_range.cfg"), Defaults{})
	want := Error{Place: Place{"c.cfg", 5, 13}, Key: "interval.hour", Value: `"25"`}
	var got *Error
	if !errors.As(err, &got) || got.Place != want.Place || got.Key != want.Key || got.Value != want.Value || !strings.Contains(got.Reason, "0 to 23") {
		t.Errorf("got %+v, want %+v with a reason that names 0 to 23", got, want)
	}
}

func TestDoubtfulFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		want []string
	}{
		{"unknown_key", []string{
			`unknown_key.cfg:10:3: "max_instance": is not a key of a check file and is ignored; did you mean "max_instances"?`,
			`unknown_key.cfg:11:3: "Interval": is not a key of a check file and is ignored; did you mean "interval"?`,
			`unknown_key.cfg:12:3: "parents_of_this_host": is not a key of a check file and is ignored`,
		}},
		{"key_twice", []string{`key_twice.cfg:3:3: "interval": is given again in line 4, and that one counts`}},
		{"jitter_without_calendar", []string{
			`jitter_without_calendar.cfg:8:13: "jitter": is ignored: it is for a calendar; runs every so many seconds are spread by themselves`,
		}},
		{"server_twice", []string{`server_twice.cfg:5:5: "servers.nagios-1": is given again in line 6, and that one counts`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, warnings, err := Parse(c.name+".cfg", read(t, "testdata/doubtful/"+c.name+".cfg"), Defaults{})
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, w := range warnings {
				texts = append(texts, w.String())
			}
			if !slices.Equal(texts, c.want) {
				t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(texts, "\n"), strings.Join(c.want, "\n"))
			}
			if c.name == "key_twice" && got.Every != 30*time.Second {
				t.Errorf("runs every %v, want the later 30 s", got.Every)
			}
			if c.name == "jitter_without_calendar" && (got.Every != 30*time.Second || got.Jitter != 0) {
				t.Errorf("runs every %v with a jitter of %v, want 30 s without any", got.Every, got.Jitter)
			}
			if c.name == "server_twice" && !slices.Equal(got.Servers, []Server{{"nagios-1", "127.0.0.2:5678"}}) {
				t.Errorf("servers %v, want the later address", got.Servers)
			}
		})
	}
}

func good(t testing.TB, name string, d Defaults) Check {
	t.Helper()
	c, warnings, err := Parse(name+".cfg", read(t, "testdata/good/"+name+".cfg"), d)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %v, warnings %v", name, err, warnings)
	}
	return c
}

func TestEveryKey(t *testing.T) {
	c := good(t, "service", Defaults{Hostname: "other", Servers: []Server{{"x", "y:1"}}, Timeout: time.Hour})
	if c.File != "service.cfg" || c.Kind != check.Service || c.Hostname != "web1" || c.Description != "disk" {
		t.Errorf("names: %+v", c)
	}
	servers := []Server{
		{"alpha", "nagios.example.org:9999"}, {"bare", "[fe80::1%eth0]:5678"}, {"six", "[::1]:5668"}, {"zeta", "10.10.10.1:5678"},
	}
	if !slices.Equal(c.Servers, servers) {
		t.Errorf("servers %v, want %v", c.Servers, servers)
	}
	words := []string{"/bin/echo", "hello this is an environment test: moep!"}
	if !slices.Equal(c.Command.Words(), words) || c.Dir != "/tmp" {
		t.Errorf("command %q in %q, want %q in /tmp", c.Command.Words(), c.Dir, words)
	}
	if c.Every != 25*time.Second || c.Calendar != nil || c.Timezone.String() != "Europe/Berlin" ||
		c.MisfireGrace != 30*time.Second || c.Timeout != 12500*time.Millisecond || c.MaxInstances != 3 {
		t.Errorf("times: %+v", c)
	}
}

func TestDefaults(t *testing.T) {
	d := Defaults{Hostname: "here", Servers: []Server{{"b", "b:1"}, {"a", "a:1"}}, Timeout: time.Minute}
	c := good(t, "least", d)
	if c.Hostname != "here" || !slices.Equal(c.Servers, []Server{{"a", "a:1"}, {"b", "b:1"}}) || c.Timeout != time.Minute {
		t.Errorf("defaults were not filled in: %+v", c)
	}
	if c.Dir != "/" || c.MisfireGrace != 5*time.Second || c.MaxInstances != 1 || c.Timezone != time.Local || c.Jitter != 0 {
		t.Errorf("own defaults: %+v", c)
	}
	if d.Servers[0].Name != "b" {
		t.Error("the defaults were changed")
	}
	if c := good(t, "fraction", d); c.Timeout != 0 || c.Every != 250*time.Millisecond {
		t.Errorf("timeout %v, every %v, want none and 250ms", c.Timeout, c.Every)
	}
	if c := good(t, "number_in_string", d); c.Every != 25*time.Second {
		t.Errorf("every %v, want 25s", c.Every)
	}
	if c := good(t, "byte_order_mark", d); c.Description != "disk" {
		t.Errorf("description %q", c.Description)
	}
}

func TestHostCheck(t *testing.T) {
	c := good(t, "host", Defaults{})
	if want := []string{"/bin/echo", "$A", "|"}; c.Kind != check.Host || c.Description != "" || !slices.Equal(c.Command.Words(), want) {
		t.Errorf("got %v %q, want a host check that runs %q", c, c.Command.Words(), want)
	}
}

func TestCalendar(t *testing.T) {
	c := good(t, "calendar", Defaults{})
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	got, ok := c.Calendar.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	want := time.Date(2099, 11, 11, 12, 5, 0, 0, zone)
	if !ok || !got.Equal(want) || c.Every != 0 || c.Jitter != 3*time.Second {
		t.Errorf("first due %v, %v, every %v, jitter %v; want %v, and 3 s of jitter", got, ok, c.Every, c.Jitter, want)
	}
}

func TestCalendarByARule(t *testing.T) {
	file := `{"check_type":"service_check","check_description":"d","check_hostname":"h","servers":{"a":"a"},"interval":{"hour":1},"command":"c","timezone":":CET-1CEST,M3.5.0,M10.5.0/3"}`
	c, _, err := Parse("x", []byte(file), Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ from, next string }{
		{"2026-07-01T00:00:00Z", "2026-07-02T01:00:00+02:00"},
		{"2028-12-30T12:00:00Z", "2028-12-31T01:00:00+01:00"}, // the last day of a leap year
		{"2028-12-31T12:00:00Z", "2029-01-01T01:00:00+01:00"},
	} {
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		if next, ok := c.Calendar.Next(from); !ok || next.Format(time.RFC3339) != test.next {
			t.Errorf("after %s comes %v, want %s", test.from, next, test.next)
		}
	}
}

func TestSame(t *testing.T) {
	d := Defaults{Hostname: "h", Servers: []Server{{"a", "a:1"}}}
	base := `{"check_type":"service_check","check_description":"d","interval":{"hour":1},"command":"c","timezone":"UTC"`
	parse := func(more string) Check {
		c, _, err := Parse("x", []byte(base+more+"}"), d)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := parse("")
	other, _, err := Parse("y", []byte("\n"+base+`, "jitter": 0 }`), d)
	if err != nil || !Same(one, other) {
		t.Errorf("the same check in another file counts as another (%v)", err)
	}
	for _, more := range []string{
		`,"check_type":"host_check"`, `,"check_description":"e"`, `,"check_hostname":"i"`, `,"servers":{"a":"a:2"}`, `,"command":"e"`,
		`,"env":{"A":"b"}`, `,"cwd":"/tmp"`, `,"interval":5`, `,"interval":{"hour":2}`, `,"timezone":"Europe/Berlin"`, `,"jitter":1`,
		`,"misfire_grace_time":1`, `,"timeout":1`, `,"max_instances":2`,
	} {
		if Same(one, parse(more)) || Same(parse(more), one) {
			t.Errorf("a check with %s counts as the same", more)
		}
	}
}

// FuzzParse holds that no file makes Parse panic, that an error has no Check,
// and that a Check can be run.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.cfg")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, p := range paths {
		f.Add(read(f, p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := Parse("x.cfg", data, Defaults{})
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || strings.ContainsAny(err.Error(), "\n\x00\x1b") || !reflect.DeepEqual(c, Check{}) {
				t.Fatalf("error %#v with %+v", err, c)
			}
			return
		}
		if len(c.Command.Words()) == 0 || len(c.Servers) == 0 || c.Hostname == "" || c.MaxInstances < 1 || (c.Every > 0) == (c.Calendar != nil) {
			t.Fatalf("a check that cannot be run: %+v", c)
		}
	})
}

// A check's env goes over the default one by name, and both are what $NAME in the
// command stands for.
func TestTheEnvironmentOfTheDefaults(t *testing.T) {
	d := Defaults{Env: map[string]string{"DIR": "/default", "NAME": "default"}}
	const text = `{"check_type": "host_check", "check_hostname": "h", "interval": 1, "servers": {"s": "127.0.0.1"}, "command": "$DIR/$NAME"%s}`
	for env, want := range map[string]string{
		"":                           "/default/default",
		`, "env": {"NAME": "own"}`:   "/default/own",
		`, "env": {}`:                "/default/default",
		`, "env": {"NAME": "a b $"}`: "/default/a b $",
	} {
		c, _, err := Parse("a.cfg", []byte(strings.Replace(text, "%s", env, 1)), d)
		if err != nil || len(c.Command.Words()) != 1 || c.Command.Words()[0] != want || c.Command.Env()[0] != "DIR=/default" {
			t.Errorf("%s: %q, %v, want %q", env, c.Command.Words(), err, want)
		}
	}
	if d.Env["NAME"] != "default" {
		t.Error("a check changed the defaults of all")
	}
}
