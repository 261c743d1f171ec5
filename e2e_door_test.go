//go:build e2e

package main

import (
	"fmt"
	"testing"
)

// What the tests of both cores' doors (pipe, check-result directory, API) have in common.

// awkward is an output as it is written to a core, and what the core then holds of it.
type awkward struct {
	written                      string
	output, longOutput, perfdata string
}

// check compares what a core holds of object with what it should.
func (a awkward) check(t *testing.T, door string, readings map[objectName]reading, object objectName) {
	t.Helper()
	got, ok := readings[object]
	if !ok || got.lastCheck.IsZero() {
		t.Errorf("%s: %s was not taken", door, brief(a.written))
		return
	}
	if got.output != a.output || got.longOutput != a.longOutput || got.perfdata != a.perfdata {
		t.Errorf("%s: %s was read back as output %s, long output %s, perfdata %s; want %s, %s, %s", door, brief(a.written),
			brief(got.output), brief(got.longOutput), brief(got.perfdata), brief(a.output), brief(a.longOutput), brief(a.perfdata))
	}
}

// brief quotes the two ends of a text.
func brief(s string) string {
	if len(s) <= 80 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…%q (%d bytes)", s[:20], s[len(s)-10:], len(s))
}

// codeCase is a code as written and the states that it gives.
type codeCase struct {
	written       string
	service, host int
}

// check compares the states that a service and a host got.
func (c codeCase) check(t *testing.T, service, host reading) {
	t.Helper()
	for kind, pair := range map[string]struct {
		got  reading
		want int
	}{"service": {service, c.service}, "host": {host, c.host}} {
		switch refused := pair.got.lastCheck.IsZero(); {
		case refused != (pair.want < 0):
			t.Errorf("code %q for a %s: refused: %v", c.written, kind, refused)
		case !refused && pair.got.state != pair.want:
			t.Errorf("code %q for a %s: state %d, want %d", c.written, kind, pair.got.state, pair.want)
		}
	}
}

// doorObject names the object that the result number i is sent to through a door.
func doorObject(door string, i int, host bool) objectName {
	if host {
		return objectName{host: fmt.Sprintf("%s host %d", door, i)}
	}
	return objectName{door, fmt.Sprintf("service %d", i)}
}

// doorHosts is the configuration for the objects that doorObject names.
func doorHosts(door string, results int) []rigHost {
	hosts := []rigHost{{name: door}}
	for i := range results {
		hosts = append(hosts, rigHost{name: doorObject(door, i, true).host})
		hosts[0].services = append(hosts[0].services, doorObject(door, i, false).service)
	}
	return hosts
}

// resultCommand is the external command for a result.
func resultCommand(o objectName, code, output string) string {
	if o.service == "" {
		return fmt.Sprintf("PROCESS_HOST_CHECK_RESULT;%s;%s;%s", o.host, code, output)
	}
	return fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;%s;%s", o.host, o.service, code, output)
}
