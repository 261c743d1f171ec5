package check

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for line, want := range map[string]Result{
		"[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;1;out;put\n": {Kind: Service, Host: "h", Service: "s", Code: 1,
			Output: []byte("out;put"), Finish: 1700000000e6},
		`PROCESS_SERVICE_CHECK_RESULT;h;s;0;C:\\new\nline \t`: {Kind: Service, Host: "h", Service: "s",
			Output: []byte("C:\\new\nline \\t")},
		"PROCESS_SERVICE_CHECK_RESULT;h;s;3":          {Kind: Service, Host: "h", Service: "s", Code: 3},
		"PROCESS_SERVICE_CHECK_RESULT;h;s;-1;":        {Kind: Service, Host: "h", Service: "s", Code: -1, Output: []byte{}},
		"[5]\tPROCESS_HOST_CHECK_RESULT;h;2;a;b|c=1;": {Kind: Host, Host: "h", Code: 2, Output: []byte("a;b|c=1;"), Finish: 5e6},
		"PROCESS_HOST_CHECK_RESULT;h;0;up":            {Kind: Host, Host: "h", Output: []byte("up")},
		"PROCESS_HOST_CHECK_RESULT;h;1;down":          {Kind: Host, Host: "h", Code: 2, Output: []byte("down")}, // the state 1, not WARNING
		"[7] DISABLE_HOST_CHECK;h":                    {Kind: Command, Command: "DISABLE_HOST_CHECK;h", Finish: 7e6},
	} {
		got, err := ParseLine([]byte(line))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v\nwant %+v", line, got, err, want)
		}
	}
}

func TestParseLineCutsLongOutput(t *testing.T) {
	r, err := ParseLine([]byte("PROCESS_HOST_CHECK_RESULT;h;0;" + strings.Repeat("x", MaxOutput+1)))
	if err != nil || len(r.Output) > MaxOutput || !strings.HasSuffix(string(r.Output), "[output cut at 1048576 bytes]") {
		t.Errorf("%d bytes of output, %v", len(r.Output), err)
	}
}

func TestParseLineRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"":                                        "empty",
		"[x] ENABLE_NOTIFICATIONS":                "time stamp",
		"[99999999999999999999] A":                "time stamp",
		"[5 A":                                    "time stamp",
		"PROCESS_SERVICE_CHECK_RESULT;h;s":        "2 of its 4",
		"PROCESS_SERVICE_CHECK_RESULT;h;s;x":      "no whole number",
		"PROCESS_HOST_CHECK_RESULT;h;;o":          "no whole number",
		"PROCESS_HOST_CHECK_RESULT":               "of its 3",
		"PROCESS_HOST_CHECK_RESULT;;0;o":          "host name is empty",
		"PROCESS_FILE;/tmp/x;1":                   "PROCESS_FILE",
		"A\x00B":                                  "contains",
		"PROCESS_SERVICE_CHECK_RESULT;a\rb;s;0;x": "may not stand",
	} {
		got, err := ParseLine([]byte(line))
		var bad *InvalidError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, want) {
			t.Errorf("%q: got %+v, %v, want a reason with %q", line, got, err, want)
		}
		if !reflect.DeepEqual(got, Result{}) {
			t.Errorf("%q: an error came with the value %+v", line, got)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;1;out\\nput"))
	f.Add([]byte("PROCESS_HOST_CHECK_RESULT;h;2;x"))
	f.Add([]byte("[1] PROCESS_FILE;/x;0"))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseLine(line)
		if err != nil {
			if !reflect.DeepEqual(r, Result{}) {
				t.Fatalf("an error came with the value %+v", r)
			}
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("parsed, but not valid: %v", err)
		}
	})
}
