package sender

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/check"
)

var tabs = format{delimiter: '\t', setDelimiter: 0x17}

func TestInput(t *testing.T) {
	now := time.UnixMicro(7)
	service := func(host, name string, code int32, output string) check.Result {
		return check.Result{Kind: check.Service, Host: host, Service: name, Code: code, Output: []byte(output), Finish: 7}
	}
	host := func(name string, code int32, output string) check.Result {
		return check.Result{Kind: check.Host, Host: name, Code: code, Output: []byte(output), Finish: 7}
	}
	for _, c := range []struct {
		in   string
		good []check.Result
		bad  string // a part of the first complaint
	}{
		{"h\ts\t0\tok\n", []check.Result{service("h", "s", 0, "ok")}, ""},
		{"h\t2\tdown", []check.Result{host("h", 2, "down")}, ""},
		{"h\ts\t0\ta\tb\n", []check.Result{service("h", "s", 0, "a\tb")}, ""},
		{"h\ts\t0\tone\nh\ts\t0\ttwo\n", []check.Result{service("h", "s", 0, "one\nh\ts\t0\ttwo")}, ""},
		{"h\ts\t0\tone\x17\nh\ts\t1\ttwo\n\x17\n", []check.Result{service("h", "s", 0, "one"), service("h", "s", 1, "two")}, ""},
		// An empty output does not turn a service into a host.
		{"web1\t2\t0\t\n", []check.Result{service("web1", "2", 0, "")}, ""},
		{"h\ts\t0\t", []check.Result{service("h", "s", 0, "")}, ""},
		{"h\t1\tdown", []check.Result{host("h", 2, "down")}, ""}, // the state, not a plugin's WARNING
		{"h\t0\tup \t \r\n", []check.Result{host("h", 0, "up")}, ""},
		{"", nil, ""},
		{" \t\r\n\x17\x17", nil, ""},
		{"h", nil, "1 of at least 3 fields"},
		{"h\t0", nil, "2 of at least 3 fields"},
		{"h\ts\tOK\tx\x17h\ts\t0\tx", []check.Result{service("h", "s", 0, "x")}, `"OK" is no whole number`},
		{"\ts\t0\tx", nil, "host name is empty"},
		{"h\t\t0\tx", nil, "service name is empty"},
		{"a;b\ts\t0\tx", nil, "may not stand in a name"},
	} {
		in, err := tabs.parse(strings.NewReader(c.in), now)
		good, bad := in.good, in.bad
		if err != nil || !equal(good, c.good) {
			t.Errorf("%q: got %+v, %v\nwant %+v", c.in, good, err, c.good)
		}
		if c.bad == "" && len(bad) > 0 || c.bad != "" && (len(bad) != 1 || bad[0].number != 1 || !strings.Contains(bad[0].err.Error(), c.bad)) {
			t.Errorf("%q: complaints %v, want one with %q", c.in, bad, c.bad)
		}
	}
}

func equal(a, b []check.Result) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i].Append(nil), b[i].Append(nil)) {
			return false
		}
	}
	return true
}

func TestLongOutputIsCut(t *testing.T) {
	in, err := tabs.parse(strings.NewReader("h\t0\t"+strings.Repeat("x", check.MaxOutput+5)), time.Now())
	good := in.good
	if err != nil || len(good) != 1 || len(good[0].Output) > check.MaxOutput || !bytes.Contains(good[0].Output, []byte("cut at")) {
		t.Fatalf("%d results, %v", len(good), err)
	}
}

func FuzzInput(f *testing.F) {
	f.Add([]byte("h\ts\t0\tok\x17h\t1\tdown\n"), false)
	f.Add([]byte("[5] PROCESS_HOST_CHECK_RESULT;h;0;x\nDISABLE_NOTIFICATIONS"), true)
	f.Fuzz(func(t *testing.T, in []byte, raw bool) {
		shape := tabs
		shape.raw = raw
		parsed, err := shape.parse(bytes.NewReader(in), time.UnixMicro(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range parsed.good {
			if err := r.Validate(); err != nil {
				t.Fatalf("%+v is not valid: %v", r, err)
			}
		}
	})
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:5678", "10.0.0.1:99": "10.0.0.1:99", "::1": "[::1]:5678", "[::1]": "[::1]:5678",
		"[::1]:99": "[::1]:99", "mon.example": "mon.example:5678", "mon.example:99": "mon.example:99",
		"": "", "mon:0": "", "mon:99999": "", "mon:x y": "", "a b": "", "[::1": "", "mon/x": "",
	} {
		got, err := ParseAddress(in, "")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestCutKeepsInstancesApart(t *testing.T) {
	items := []Item{{Sequence: 1, Result: make([]byte, 400)}, {Sequence: 2, Result: make([]byte, 400)}, {Sequence: 3}, {Sequence: 4}}
	items[3].Instance[0] = 1
	var sizes [][]uint64
	for rest := items; len(rest) > 0; {
		batch, left := cut(rest, 700)
		var sequences []uint64
		for _, e := range batch.Entries {
			sequences = append(sequences, e.Sequence)
		}
		sizes, rest = append(sizes, sequences), left
	}
	if want := [][]uint64{{1}, {2, 3}, {4}}; !reflect.DeepEqual(sizes, want) {
		t.Errorf("got %v, want %v", sizes, want)
	}
}

func TestLinesAsSets(t *testing.T) {
	lines := format{delimiter: '\t', setDelimiter: '\n'}
	for text, want := range map[string][]string{
		"h\ts\t0\ta\r\nh\ts\t0\tb":       {"a", "b"},
		"h\ts\t0\ta\n\r\n\nh\ts\t0\tb\n": {"a", "b"},
		"h\ts\t0\ta\rb\n":                {"a\rb"},
		"h\ts\t0\ta\x17more\n":           {"a\x17more"},
	} {
		in, err := lines.parse(strings.NewReader(text), time.UnixMicro(7))
		var got []string
		for _, r := range in.good {
			got = append(got, string(r.Output))
		}
		if err != nil || len(in.bad) > 0 || len(in.joined) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, %v, %v, %v", text, got, in.bad, in.joined, err)
		}
	}
}

// Whoever divides sets by what does not divide them here is told, and how they are
// divided.
func TestSetsThatBecameOneAreTold(t *testing.T) {
	for _, c := range []struct {
		divider byte
		text    string
		said    []string
	}{
		{etb, "h\ts\t0\tone\nh\ts\t0\ttwo", []string{"-ds '\\n'", "`sets = lines`", "send_nsca.cfg"}},
		{etb, "h\ts\t0\tone\nmore\nh\t0\ttwo\nmore", []string{"-ds '\\n'"}},
		{'\n', "h\ts\t0\tone\x17h\ts\t0\ttwo", []string{"ETB", "-ds 0x17"}},
		{etb, "h\ts\t0\tone\nmore", nil},
		{'\n', "h\ts\t0\tone\x17more", nil},
	} {
		in, err := format{delimiter: '\t', setDelimiter: c.divider}.parse(strings.NewReader(c.text), time.Now())
		if err != nil || len(in.good) != 1 {
			t.Fatalf("%q: %d results, %v", c.text, len(in.good), err)
		}
		var said strings.Builder
		in.warn(&said)
		if (said.Len() > 0) != (c.said != nil) {
			t.Errorf("%q: it says %q", c.text, said.String())
		}
		for _, part := range c.said {
			if !strings.Contains(said.String(), part) {
				t.Errorf("%q: it says %q, without %q", c.text, said.String(), part)
			}
		}
	}
}

func TestAMarkAtTheBeginningIsSkipped(t *testing.T) {
	for _, c := range []struct {
		f    format
		text string
		want check.Result
	}{
		{tabs, "\ufeffh\ts\t0\t\ufeffx", check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte("\ufeffx")}},
		{format{raw: true}, "\ufeff[7] PROCESS_HOST_CHECK_RESULT;h;0;x\r\n", check.Result{Kind: check.Host, Host: "h", Output: []byte("x"), Finish: 7e6}},
	} {
		in, err := c.f.parse(strings.NewReader(c.text), time.UnixMicro(0))
		if err != nil || !equal(in.good, []check.Result{c.want}) {
			t.Errorf("%q: got %+v, %v", c.text, in.good, err)
		}
	}
	for _, text := range []string{"\xff\xfeh\x00", "\xfe\xff\x00h", "h\x00\t\x00s\x00", "\x00h\x00\t\x00s", "\xff\xfe\x00\x00h\x00\x00\x00"} {
		if in, err := tabs.parse(strings.NewReader(text), time.Now()); err == nil || !strings.Contains(err.Error(), "UTF-16") {
			t.Errorf("%q: %+v, %v", text, in, err)
		}
	}
	if in, err := tabs.parse(strings.NewReader("\ufeff"), time.Now()); err != nil || len(in.good)+len(in.bad) > 0 {
		t.Errorf("a mark alone: %+v, %v", in, err)
	}
}

func TestEmptyOutputsAreToldOnce(t *testing.T) {
	for text, want := range map[string]string{
		"h\ts\t0\tok\x17h\t0\tup":                    "",
		"h\ts\t0\tok\x17h\tt\t0\t \x17h\t0\t\x17bad": "input 2 has an empty output (2 of 3 have one",
	} {
		in, err := tabs.parse(strings.NewReader(text), time.UnixMicro(7))
		var said bytes.Buffer
		in.warnOfEmpty(&said)
		if err != nil || !strings.Contains(said.String(), want) || strings.Count(said.String(), "\n") != min(len(want), 1) {
			t.Errorf("%q: %v, said %q, want %q", text, err, said.String(), want)
		}
	}
	raw, err := format{raw: true}.parse(strings.NewReader("[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;\n"), time.UnixMicro(7))
	if err != nil || len(raw.empty) != 1 || raw.empty[0] != 2 {
		t.Errorf("commands: %v, %v", raw.empty, err)
	}
}
