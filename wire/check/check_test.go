package check

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func samples() []Result {
	return []Result{
		{Kind: Service, Host: "web1", Service: "load", Code: Warning, Output: []byte("WARNING - load 5|load=5;4;9"),
			Start: 1700000000123456, Finish: 1700000001000001},
		{Kind: Host, Host: "web1", Code: Critical, Output: []byte("down\nlong text\x00\xff"), Finish: 1, TimedOut: true},
		{Kind: Command, Command: "ACKNOWLEDGE_HOST_PROBLEM;web1;1;1;1;ops;looking", Finish: 1700000000000000},
		{Kind: Service, Host: "web1", Service: "odd", Code: -1, Start: -5},
		{Kind: 9, Host: "from a later version"},
		{},
	}
}

func TestResultEncodesAndDecodes(t *testing.T) {
	for _, want := range samples() {
		got, err := Decode(want.Append(nil))
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	r := samples()[0]
	later := AppendBytes(AppendVarint(r.Append(nil), 10, 7), 2000, "trace")
	got, err := Decode(later)
	if err != nil {
		t.Fatal(err)
	}
	if again := got.Append(nil); !bytes.Equal(again, later) {
		t.Errorf("a later version's fields did not survive: %x, was %x", again, later)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := samples()[0].Append
	for name, b := range map[string][]byte{
		"descending fields":         AppendVarint(AppendBytes(nil, fieldHost, "h"), fieldKind, 1),
		"a field twice":             AppendVarint(AppendVarint(nil, fieldKind, 1), fieldKind, 1),
		"default value varint":      {fieldKind << 3, 0},
		"default value bytes":       {fieldHost<<3 | 2, 0},
		"long varint":               {fieldKind << 3, 0x81, 0x00},
		"long tag":                  {fieldKind<<3 | 0x80, 0x00, 1},
		"long length":               {fieldHost<<3 | 2, 0x81, 0x00, 'h'},
		"length beyond the end":     {fieldHost<<3 | 2, 9, 'h'},
		"huge length":               {fieldHost<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"wrong wire type":           AppendVarint(nil, fieldHost, 5),
		"kind over a byte":          AppendVarint(nil, fieldKind, 256),
		"bool of two":               AppendVarint(nil, fieldTimedOut, 2),
		"code over 32 bits":         AppendVarint(nil, fieldCode, 1<<32),
		"cut":                       good(nil)[:len(good(nil))-1],
		"known field after unknown": AppendVarint(AppendVarint(nil, 10, 1), fieldCode, 1),
		"field zero":                {0, 1},
		"cut unknown field":         {10<<3 | 2, 5, 'x'},
	} {
		got, err := Decode(b)
		var format *FormatError
		if !errors.As(err, &format) {
			t.Errorf("%s: %x decoded, or failed with another error: %v", name, b, err)
		}
		if !reflect.DeepEqual(got, Result{}) {
			t.Errorf("%s: an error came with the value %+v", name, got)
		}
	}
}

func FuzzResult(f *testing.F) {
	for _, r := range samples() {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			if !reflect.DeepEqual(r, Result{}) {
				t.Fatalf("an error came with the value %+v", r)
			}
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but encodes to %x", b, again)
		}
	})
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", MaxName+1)
	for _, c := range []struct {
		r    Result
		want string // part of the reason; "" for a valid one
	}{
		{Result{Kind: Service, Host: "h", Service: "s"}, ""},
		{Result{Kind: Service, Host: "h\xe9", Service: "Größe > 5 %"}, ""},
		{Result{Kind: Host, Host: "h"}, ""},
		{Result{Kind: Command, Command: "DISABLE_NOTIFICATIONS"}, ""},
		{Result{Kind: Service, Host: "h"}, "service name is empty"},
		{Result{Kind: Service, Service: "s"}, "host name is empty"},
		{Result{Kind: Host, Host: "h", Service: "s"}, "names the service"},
		{Result{Kind: Host, Host: "a;b"}, "';'"},
		{Result{Kind: Host, Host: "a\nb"}, `'\n'`},
		{Result{Kind: Host, Host: "a\rb"}, `'\r'`},
		{Result{Kind: Host, Host: "a\x00b"}, `'\x00'`},
		{Result{Kind: Host, Host: "a\x1bb"}, `'\x1b'`},
		{Result{Kind: Host, Host: " a"}, "blank"},
		{Result{Kind: Host, Host: long}, "over the limit"},
		{Result{Kind: Host, Host: "h", Output: make([]byte, MaxOutput+1)}, "over the limit"},
		{Result{Kind: Command}, "empty"},
		{Result{Kind: Command, Command: "A\nB"}, `'\n'`},
		{Result{Kind: Command, Command: "PROCESS_FILE;/etc/passwd;1"}, "PROCESS_FILE"},
		{Result{Kind: Command, Command: " PROCESS_FILE ;/x;1"}, "PROCESS_FILE"},
		{Result{Kind: Command, Command: "process_file;/x;1"}, "PROCESS_FILE"},
		{Result{Kind: Command, Command: "PROCESS_SERVICE_CHECK_RESULT;h;s;0;x"}, "never as a raw command"},
		{Result{Kind: Command, Command: "PROCESS_HOST_CHECK_RESULT;h;0;x"}, "never as a raw command"},
		{Result{Kind: Command, Command: "PROCESS_HOST_CHECK_RESULT"}, "never as a raw command"},
		{Result{Kind: Command, Command: "Process_Host_Check_Result;h;0;x"}, "never as a raw command"},
		{Result{Kind: Command, Command: "PROCESS_HOST_CHECK_RESULTS;h"}, ""},
		{Result{Kind: Command, Command: strings.Repeat("x", MaxCommand+1)}, "over the limit"},
		{Result{Kind: 0}, "unknown kind"},
		{Result{Kind: 7, Host: "h"}, "unknown kind"},
	} {
		err := c.r.Validate()
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.r, err)
			}
			continue
		}
		var bad *InvalidError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, c.want) {
			t.Errorf("%.60v: got %v, want a reason with %q", c.r, err, c.want)
		}
	}
}

func TestCutOutput(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"short", "short"},
		{strings.Repeat("a", 40), strings.Repeat("a", 40)},
		{strings.Repeat("a", 41), strings.Repeat("a", 15) + "\n[output cut at 40 bytes]"},
		{strings.Repeat("ä", 40), strings.Repeat("ä", 7) + "\n[output cut at 40 bytes]"},
	} {
		if got := string(CutOutput([]byte(c.in), 40)); got != c.want {
			t.Errorf("%.20q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestHostState(t *testing.T) {
	for code, want := range map[int32]int32{0: 0, 1: 0, 2: 1, 3: 1, 4: 1, -1: 1} {
		if got := HostState(code); got != want {
			t.Errorf("code %d: host state %d, want %d", code, got, want)
		}
	}
}

// A Result that is used for one after the other keeps nothing of the one
// before.
func TestDecodeIntoUsedResult(t *testing.T) {
	full := Result{Kind: Service, Host: "web1", Service: "load", Code: 2, Output: []byte("x"), Start: 1, Finish: 2, TimedOut: true}
	command := Result{Kind: Command, Command: "DISABLE_NOTIFICATIONS", Finish: 3}
	var r Result
	for _, want := range []Result{full, command, {Kind: Host, Host: "web1"}, full} {
		if err := r.Decode(want.Append(nil)); err != nil || !reflect.DeepEqual(r, want) {
			t.Errorf("got %+v, %v\nwant %+v", r, err, want)
		}
	}
	if err := r.Decode([]byte{0}); err == nil || !reflect.DeepEqual(r, Result{}) {
		t.Errorf("garbage decodes to %+v, %v", r, err)
	}
}
