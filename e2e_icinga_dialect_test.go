//go:build e2e

package main

import (
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
func icingaPipe() []awkward {
	long := strings.Repeat("y", 250_000)
	return []awkward{
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
func icingaPipeNewlines() (service, host []awkward) {
	return []awkward{
			{`one\ntwo`, "one", "two", ""},
			{`\nb`, "b", "", ""},
			{`a\n\nb\n`, "a", "\nb\n", ""},
			{`a\\nb`, `a\`, "b", ""}, // a literal \n can not be written
			{`x|p=1\nl2|q=2`, "x", "l2", "p=1 q=2"},
		}, []awkward{
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
	r := newIcingaRig(t, doorHosts("pipe", len(services)))
	r.start()
	for i := range services {
		r.command(resultCommand(doorObject("pipe", i, false), "1", services[i].written),
			resultCommand(doorObject("pipe", i, true), "1", hosts[i].written))
	}
	readings := r.fence()
	for i := range services {
		services[i].check(t, "pipe", readings, doorObject("pipe", i, false))
		hosts[i].check(t, "pipe, host", readings, doorObject("pipe", i, true))
	}
}

// icingaAPI are the outputs that the API takes as they stand: it looks for no perfdata and unescapes nothing.
func icingaAPI() []awkward {
	long := strings.Repeat("y", 1<<20)
	return []awkward{
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
func (r *icingaRig) submitResult(o objectName, code any, output string, more map[string]any) (int, string) {
	r.t.Helper()
	fields := map[string]any{"type": "Host", "host": o.host, "exit_status": code, "plugin_output": output}
	if o.service != "" {
		delete(fields, "host")
		fields["type"], fields["service"] = "Service", o.host+"!"+o.service
	}
	for key, value := range more {
		fields[key] = value
	}
	return r.submit(fields)
}

func TestE2ERigIcingaAPIOutputs(t *testing.T) {
	outputs := icingaAPI()
	r := newIcingaRig(t, append(doorHosts("api", len(outputs)), rigHost{"perfdata", []string{"text", "list"}}))
	r.start()
	for i, a := range outputs {
		for _, host := range []bool{false, true} {
			if status, answer := r.submitResult(doorObject("api", i, host), 1, a.written, nil); status != http.StatusOK {
				t.Errorf("%s: %d %s", brief(a.written), status, answer)
			}
		}
	}
	for service, perfdata := range map[string]any{"text": "a=1 'c d'=4;5", "list": []string{"a=1", "'c d'=4;5"}} {
		r.submitResult(objectName{"perfdata", service}, 0, "x", map[string]any{"performance_data": perfdata})
	}
	readings := r.fence()
	for i, a := range outputs {
		a.check(t, "API", readings, doorObject("api", i, false))
		a.check(t, "API, host", readings, doorObject("api", i, true))
	}
	for _, service := range []string{"text", "list"} {
		awkward{service, "x", "", "a=1 'c d'=4;5"}.check(t, "API", readings, objectName{"perfdata", service})
	}
}

func TestE2ERigIcingaCodes(t *testing.T) {
	const refused = -1
	codes := []codeCase{
		{"0", 0, 0}, {"1", 1, 1}, {"2", 2, refused}, {"3", 3, refused}, {"4", 3, refused}, {"255", 3, refused},
		{"-1", 3, refused}, {"2.9", 2, refused}, {" 1", refused, refused}, {"x", refused, refused}, {"", refused, refused},
	}
	numbers := map[int]codeCase{0: codes[0], 1: codes[1], 2: codes[2], 3: codes[3], 4: codes[4], -1: codes[6]}
	r := newIcingaRig(t, append(doorHosts("pipe", len(codes)), doorHosts("api", 256)...))
	r.start()
	for i, c := range codes {
		r.command(resultCommand(doorObject("pipe", i, false), c.written, "x"),
			resultCommand(doorObject("pipe", i, true), c.written, "x"))
	}
	for number, c := range numbers {
		for host, state := range map[bool]int{false: c.service, true: c.host} {
			want := http.StatusOK
			if state == refused {
				want = http.StatusBadRequest
			}
			if status, answer := r.submitResult(doorObject("api", number&255, host), number, "x", nil); status != want {
				t.Errorf("exit status %d, host %v: %d %s; want %d", number, host, status, answer, want)
			}
		}
	}
	readings := r.fence()
	for i, c := range codes {
		c.check(t, readings[doorObject("pipe", i, false)], readings[doorObject("pipe", i, true)])
	}
	for number, c := range numbers {
		c.check(t, readings[doorObject("api", number&255, false)], readings[doorObject("api", number&255, true)])
	}
}

func TestE2ERigIcingaAPIAnswers(t *testing.T) {
	odd := `grün/ö: $1 "\`
	r := newIcingaRig(t, []rigHost{{"h", []string{"s", "off", odd}}})
	r.start()
	r.command("DISABLE_PASSIVE_SVC_CHECKS;h;off")
	r.fence()
	now := time.Now().Unix()
	for _, c := range []struct {
		what   string
		object objectName
		more   map[string]any
		status int
	}{
		{"a result", objectName{"h", "s"}, map[string]any{"plugin_output": "new", "execution_start": now, "execution_end": now}, 200},
		{"an older one", objectName{"h", "s"}, map[string]any{"execution_start": now - 100, "execution_end": now - 100}, 200},
		{"a field that is not known", objectName{host: "h"}, map[string]any{"nonsense": 1}, 200},
		{"letters beyond ASCII", objectName{"h", odd}, nil, 200},
		{"no such service", objectName{"h", "nosuch"}, nil, 404},
		{"no such host", objectName{host: "nosuch"}, nil, 404},
		{"passive checks off", objectName{"h", "off"}, nil, 403},
	} {
		if status, answer := r.submitResult(c.object, 1, "x", c.more); status != c.status {
			t.Errorf("%s: %d %s; want %d", c.what, status, answer, c.status)
		}
	}
	readings := r.fence()
	awkward{"API", "new", "", ""}.check(t, "older result", readings, objectName{"h", "s"}) // answered 200, and dropped
	awkward{"API", "x", "", ""}.check(t, "odd name", readings, objectName{"h", odd})
}

func TestE2ERigIcingaPipeTimes(t *testing.T) {
	r := newIcingaRig(t, []rigHost{{"h", []string{"older", "same", "future", "bad time", "no time", "off"}}})
	r.start()
	now := time.Now().Unix()
	at := func(stamp int64, service, output string) string {
		return fmt.Sprintf("[%d] %s\n", stamp, resultCommand(objectName{"h", service}, "1", output))
	}
	writePipe(t, r.commandFile(), at(now, "older", "new")+at(now-100, "older", "old")+
		at(now, "same", "first")+at(now, "same", "second")+at(now+7200, "future", "future")+at(now, "future", "now")+
		resultCommand(objectName{"h", "no time"}, "1", "x")+"\n[junk] "+resultCommand(objectName{"h", "bad time"}, "1", "x")+"\n")
	r.command("DISABLE_PASSIVE_SVC_CHECKS;h;off", resultCommand(objectName{"h", "off"}, "1", "x"),
		resultCommand(objectName{"h", "nosuch"}, "1", "x"), resultCommand(objectName{host: "nosuch"}, "1", "x"))
	readings := r.fence()
	for service, want := range map[string]string{"older": "new", "same": "second", "future": "now", "bad time": "", "no time": "", "off": ""} {
		if got := readings[objectName{"h", service}].output; got != want {
			t.Errorf("%s: output %q, want %q", service, got, want)
		}
	}
	if log, err := os.ReadFile(r.logFile()); err != nil || !strings.Contains(string(log), "'nosuch'") {
		t.Errorf("the log does not name the object that is not there: %v", err)
	}
}
