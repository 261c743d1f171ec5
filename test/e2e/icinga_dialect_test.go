//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// These tests ask Icinga itself, with nothing of the program between, what becomes of each awkward output. What
// the command-file sink writes in Icinga's dialect, and the icinga2 sink, is built on the answers.

// icingaPipe are the outputs that Icinga's pipe takes for services and hosts alike.
func icingaPipe() []rig.Awkward {
	long := strings.Repeat("y", 250_000)
	return []rig.Awkward{
		{`plain`, "plain", "", ""},
		{``, "", "", ""},
		{` `, "", "", ""},
		// A carriage return divides lines; there is no escape for it. Those before the first line go.
		{"one\rtwo\rthree", "one", "two\nthree", ""},
		{"a\r\rb", "a", "\nb", ""},
		{"\rb", "b", "", ""},
		{"a\r", "a", "", ""},
		// No backslash is an escape but \n for a service.
		{`a\\b\t`, `a\\b\t`, "", ""},
		{`end\`, `end\`, "", ""},
		{`a;b;c`, "a;b;c", "", ""},
		{`[1] PROCESS_HOST_CHECK_RESULT;h;1;x`, "[1] PROCESS_HOST_CHECK_RESULT;h;1;x", "", ""},
		// Perfdata: after the first | of any line, if a = stands there.
		{`x|p=1;2;3`, "x", "", "p=1;2;3"},
		{"x|p=1\rl2|q=2\rr=3", "x", "l2\nr=3", "p=1 q=2"},
		{`x |  p=1  `, "x ", "", "p=1"},
		{`x|no perfdata`, "x|no perfdata", "", ""},
		{`a|`, "a|", "", ""},
		{`|p=1`, "", "", "p=1"},
		{`x|a=1|b=2`, "x", "", "a=1|b=2"},
		{`x|'a b'=1`, "x", "", "'a b'=1"},
		{`x|p=1 y q=2`, "x", "", "p=1 'y q'=2"},
		// Blanks at the end of the command go, those at the beginning of the output stay.
		{"  a b", "  a b", "", ""},
		{"a \t", "a", "", ""},
		{" a\r  b", " a", "  b", ""},
		// Any other byte passes, NUL included; what is no UTF-8 becomes replacement characters.
		{"a\tb", "a\tb", "", ""},
		{"\a\x1b[1m\x7f\v.", "\a\x1b[1m\x7f\v.", "", ""},
		{"a\x00b", "a\x00b", "", ""},
		{"\xff\xfe.", "\uFFFD\uFFFD.", "", ""},
		{"grün €\u2028<&>`~$\"'", "grün €\u2028<&>`~$\"'", "", ""},
		{`$HOSTNAME$`, "$HOSTNAME$", "", ""},
		{long, long, "", ""},
		{"z\r" + long + "|p=1", "z", long, "p=1"},
	}
}

// icingaPipeNewlines are written \n, which a service's output unescapes and a host's does not.
func icingaPipeNewlines() (service, host []rig.Awkward) {
	return []rig.Awkward{
			{`one\ntwo`, "one", "two", ""},
			{`\nb`, "b", "", ""},
			{`a\n\nb\n`, "a", "\nb\n", ""},
			{`a\\nb`, `a\`, "b", ""}, // a literal \n can not be written
			{`x|p=1\nl2|q=2`, "x", "l2", "p=1 q=2"},
		}, []rig.Awkward{
			{`one\ntwo`, `one\ntwo`, "", ""},
			{`\nb`, `\nb`, "", ""},
			{`a\n\nb\n`, `a\n\nb\n`, "", ""},
			{`a\\nb`, `a\\nb`, "", ""},
			{`x|p=1\nl2|q=2`, "x", "", `p=1\nl2|q=2`},
		}
}

func TestE2ERigIcingaPipeOutputs(t *testing.T) {
	services, hosts := icingaPipeNewlines()
	services = append(services, icingaPipe()...)
	hosts = append(hosts, icingaPipe()...)
	r := rig.NewIcingaRig(t, rig.DoorHosts("pipe", len(services)))
	r.Start()
	for i := range services {
		r.Command(rig.ResultCommand(rig.DoorObject("pipe", i, false), "1", services[i].Written),
			rig.ResultCommand(rig.DoorObject("pipe", i, true), "1", hosts[i].Written))
	}
	readings := r.Fence()
	for i := range services {
		services[i].Check(t, "pipe", readings, rig.DoorObject("pipe", i, false))
		hosts[i].Check(t, "pipe, host", readings, rig.DoorObject("pipe", i, true))
	}
}

// icingaAPI are the outputs that the API takes as they stand: it looks for no perfdata and unescapes nothing.
func icingaAPI() []rig.Awkward {
	long := strings.Repeat("y", 1<<20)
	return []rig.Awkward{
		{"", "", "", ""},
		{" a ", " a ", "", ""},
		{"one\ntwo\n\n", "one", "two\n\n", ""},
		{"\nb", "", "b", ""},
		{"a\r\nb\r", "a\r", "b\r", ""},
		{`a\nb\\c\`, `a\nb\\c\`, "", ""},
		{"x|p=1", "x|p=1", "", ""},
		{"a;b", "a;b", "", ""},
		{"a\x00\x1b\x7fb", "a\x00\x1b\x7fb", "", ""},
		{"grün €\u2028", "grün €\u2028", "", ""},
		{long, long, "", ""},
	}
}

// submitResult hands in a result by the API with more fields, and returns the answer.
func submitResult(r *rig.IcingaRig, o rig.ObjectName, code any, output string, more map[string]any) (int, string) {
	r.T.Helper()
	fields := map[string]any{"type": "Host", "host": o.Host, "exit_status": code, "plugin_output": output}
	if o.Service != "" {
		delete(fields, "host")
		fields["type"], fields["service"] = "Service", o.Host+"!"+o.Service
	}
	for key, value := range more {
		fields[key] = value
	}
	return r.Submit(fields)
}

func TestE2ERigIcingaAPIOutputs(t *testing.T) {
	outputs := icingaAPI()
	r := rig.NewIcingaRig(t, append(rig.DoorHosts("api", len(outputs)), rig.Host{"perfdata", []string{"text", "list"}}))
	r.Start()
	for i, a := range outputs {
		for _, host := range []bool{false, true} {
			if status, answer := submitResult(r, rig.DoorObject("api", i, host), 1, a.Written, nil); status != http.StatusOK {
				t.Errorf("%s: %d %s", rig.Brief(a.Written), status, answer)
			}
		}
	}
	for service, perfdata := range map[string]any{"text": "a=1 'c d'=4;5", "list": []string{"a=1", "'c d'=4;5"}} {
		submitResult(r, rig.ObjectName{"perfdata", service}, 0, "x", map[string]any{"performance_data": perfdata})
	}
	readings := r.Fence()
	for i, a := range outputs {
		a.Check(t, "API", readings, rig.DoorObject("api", i, false))
		a.Check(t, "API, host", readings, rig.DoorObject("api", i, true))
	}
	for _, service := range []string{"text", "list"} {
		rig.Awkward{service, "x", "", "a=1 'c d'=4;5"}.Check(t, "API", readings, rig.ObjectName{"perfdata", service})
	}
}

func TestE2ERigIcingaCodes(t *testing.T) {
	const refused = -1
	codes := []codeCase{
		{"0", 0, 0}, {"1", 1, 1}, {"2", 2, refused}, {"3", 3, refused}, {"4", 3, refused}, {"255", 3, refused},
		{"-1", 3, refused}, {"2.9", 2, refused}, {" 1", refused, refused}, {"x", refused, refused}, {"", refused, refused},
	}
	numbers := map[int]codeCase{0: codes[0], 1: codes[1], 2: codes[2], 3: codes[3], 4: codes[4], -1: codes[6]}
	r := rig.NewIcingaRig(t, append(rig.DoorHosts("pipe", len(codes)), rig.DoorHosts("api", 256)...))
	r.Start()
	for i, c := range codes {
		r.Command(rig.ResultCommand(rig.DoorObject("pipe", i, false), c.written, "x"),
			rig.ResultCommand(rig.DoorObject("pipe", i, true), c.written, "x"))
	}
	for number, c := range numbers {
		for host, state := range map[bool]int{false: c.service, true: c.host} {
			want := http.StatusOK
			if state == refused {
				want = http.StatusBadRequest
			}
			if status, answer := submitResult(r, rig.DoorObject("api", number&255, host), number, "x", nil); status != want {
				t.Errorf("exit status %d, host %v: %d %s; want %d", number, host, status, answer, want)
			}
		}
	}
	readings := r.Fence()
	for i, c := range codes {
		c.check(t, readings[rig.DoorObject("pipe", i, false)], readings[rig.DoorObject("pipe", i, true)])
	}
	for number, c := range numbers {
		c.check(t, readings[rig.DoorObject("api", number&255, false)], readings[rig.DoorObject("api", number&255, true)])
	}
}

func TestE2ERigIcingaAPIAnswers(t *testing.T) {
	odd := `grün/ö: $1 "\`
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"s", "off", odd}}})
	r.Start()
	r.Command("DISABLE_PASSIVE_SVC_CHECKS;h;off")
	r.Fence()
	now := time.Now().Unix()
	for _, c := range []struct {
		what   string
		object rig.ObjectName
		more   map[string]any
		status int
	}{
		{"a result", rig.ObjectName{"h", "s"}, map[string]any{"plugin_output": "new", "execution_start": now, "execution_end": now}, 200},
		{"an older one", rig.ObjectName{"h", "s"}, map[string]any{"execution_start": now - 100, "execution_end": now - 100}, 200},
		{"a field that is not known", rig.ObjectName{Host: "h"}, map[string]any{"nonsense": 1}, 200},
		{"letters beyond ASCII", rig.ObjectName{"h", odd}, nil, 200},
		{"no such service", rig.ObjectName{"h", "nosuch"}, nil, 404},
		{"no such host", rig.ObjectName{Host: "nosuch"}, nil, 404},
		{"passive checks off", rig.ObjectName{"h", "off"}, nil, 403},
	} {
		if status, answer := submitResult(r, c.object, 1, "x", c.more); status != c.status {
			t.Errorf("%s: %d %s; want %d", c.what, status, answer, c.status)
		}
	}
	readings := r.Fence()
	rig.Awkward{"API", "new", "", ""}.Check(t, "older result", readings, rig.ObjectName{"h", "s"}) // answered 200, and dropped
	rig.Awkward{"API", "x", "", ""}.Check(t, "odd name", readings, rig.ObjectName{"h", odd})
}

func TestE2ERigIcingaPipeTimes(t *testing.T) {
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"older", "same", "future", "bad time", "no time", "off"}}})
	r.Start()
	now := time.Now().Unix()
	at := func(stamp int64, service, output string) string {
		return fmt.Sprintf("[%d] %s\n", stamp, rig.ResultCommand(rig.ObjectName{"h", service}, "1", output))
	}
	rig.WritePipe(t, r.CommandFile(), at(now, "older", "new")+at(now-100, "older", "old")+
		at(now, "same", "first")+at(now, "same", "second")+at(now+7200, "future", "future")+at(now, "future", "now")+
		rig.ResultCommand(rig.ObjectName{"h", "no time"}, "1", "x")+"\n[junk] "+rig.ResultCommand(rig.ObjectName{"h", "bad time"}, "1", "x")+"\n")
	r.Command("DISABLE_PASSIVE_SVC_CHECKS;h;off", rig.ResultCommand(rig.ObjectName{"h", "off"}, "1", "x"),
		rig.ResultCommand(rig.ObjectName{"h", "nosuch"}, "1", "x"), rig.ResultCommand(rig.ObjectName{Host: "nosuch"}, "1", "x"))
	readings := r.Fence()
	for service, want := range map[string]string{"older": "new", "same": "second", "future": "now", "bad time": "", "no time": "", "off": ""} {
		if got := readings[rig.ObjectName{"h", service}].Output; got != want {
			t.Errorf("%s: output %q, want %q", service, got, want)
		}
	}
	if log, err := os.ReadFile(r.LogFile()); err != nil || !strings.Contains(string(log), "'nosuch'") {
		t.Errorf("the log does not name the object that is not there: %v", err)
	}
}
