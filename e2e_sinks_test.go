//go:build e2e

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests send awkward outputs through the whole program, by each door of each core, and read back what the core
// then believes. What the doors make of them without the program, the tests of the rigs say.

// deliverTo puts other sinks in the place of the pair's command file.
func (p *pair) deliverTo(args ...string) {
	i := slices.Index(p.serverArgs, "--command-file")
	p.serverArgs = append(slices.Delete(p.serverArgs, i, i+4), args...)
}

// sentOutput is an output as a plugin says it, and what a core then holds: want by most doors, others by those named.
type sentOutput struct {
	sent   string
	want   awkward
	others map[string]awkward
}

const (
	nagiosPipe, nagiosDirectory      = "nagios pipe", "nagios directory"
	icingaPipeDoor, icingaAPIDoor    = "icinga pipe", "icinga api"
	icingaPipeHost, sendFieldDivider = "icinga pipe, host", "\x02"
)

// both says what Nagios holds, by either of its doors.
func both(a awkward) map[string]awkward {
	return map[string]awkward{nagiosPipe: a, nagiosDirectory: a}
}

func with(m map[string]awkward, door string, a awkward) map[string]awkward {
	m[door] = a
	return m
}

func sentOutputs() []sentOutput {
	long := strings.Repeat("y", 1<<20-10)
	invalid := with(both(awkward{"", "\xff\xfe.", "", ""}), icingaAPIDoor, awkward{"", "\uFFFD\uFFFD.", "", ""})
	newlineFirst := with(both(awkward{"", nagiosNoOutput, "second", ""}), icingaPipeDoor, awkward{"", "second", "", ""})
	newlineFirst[icingaPipeHost] = newlineFirst[icingaPipeDoor]
	return []sentOutput{
		{"plain", awkward{"", "plain", "", ""}, nil},
		{"", awkward{}, both(awkward{"", nagiosNoOutput, "", ""})},
		{"\nsecond", awkward{"", "", "second", ""}, newlineFirst},
		{"one\ntwo\n\nthree", awkward{"", "one", "two\n\nthree", ""}, nil},
		{"a\r\nb\rc", awkward{"", "a", "b\nc", ""}, nil},
		{`a\b\\t end\`, awkward{"", `a\b\\t end\`, "", ""}, nil},
		{`C:\new`, awkward{"", `C:\new`, "", ""}, map[string]awkward{icingaPipeDoor: {"", `C:`, "ew", ""}}}, // its pipe knows no way to say it
		{"a;b|p=1;2;3\nc;d", awkward{"", "a;b", "c;d", "p=1;2;3"}, both(awkward{"", "a:b", "c;d", "p=1;2;3"})},
		{"x|p=1\nl2|q=2", awkward{"", "x", "l2", "p=1 q=2"}, nil},
		{"|p=1", awkward{"", "", "", "p=1"}, nil},
		{"  a b", awkward{"", "  a b", "", ""}, both(awkward{"", "a b", "", ""})},
		{"a\n[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_HOST_CHECK_RESULT;h;1;x", awkward{"", "a", "[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_HOST_CHECK_RESULT;h;1;x", ""}, nil},
		{"a\x00b", awkward{"", "a b", "", ""}, nil},
		{"\a\x1b[1m\x7f\v.", awkward{"", "\a\x1b[1m\x7f\v.", "", ""}, nil},
		{"\xff\xfe.", awkward{"", "\uFFFD.", "", ""}, invalid},
		{"grün €\u2028<&>`~$\"'", awkward{"", "grün €\u2028<&>`~$\"'", "", ""}, nil},
		{long, awkward{"", long, "", ""}, nil},
		{"z\n" + long[:1<<18] + "|p=1", awkward{"", "z", long[:1<<18], "p=1"}, nil},
	}
}

// at says what a door makes of an output.
func (s sentOutput) at(door string, host bool) awkward {
	want := s.want
	if a, other := s.others[door]; other && !(host && door == icingaPipeDoor) {
		want = a
	}
	if a, other := s.others[door+", host"]; other && host {
		want = a
	}
	if host {
		want.output = strings.Replace(want.output, nagiosNoOutput, "(No output returned from host check)", 1)
	}
	want.written = s.sent
	return want
}

// sendAll sends each output for a service and a host of its own, with the codes of WARNING and DOWN.
func (p *pair) sendAll(door string, outputs []sentOutput) {
	p.t.Helper()
	var sets strings.Builder
	for i, o := range outputs {
		service := doorObject(door, i, false)
		sets.WriteString(strings.Join([]string{service.host, service.service, "1", o.sent}, sendFieldDivider) + "\x17")
		sets.WriteString(strings.Join([]string{doorObject(door, i, true).host, "1", o.sent}, sendFieldDivider) + "\x17")
	}
	p.send(sets.String())
}

// send sends sets whose fields are divided by sendFieldDivider.
func (p *pair) send(sets string) {
	p.t.Helper()
	code, _, problems := program(p.t, sets, "massive-passive-send", "-H", "127.0.0.1", "-p", fmt.Sprint(p.port), "-d", "0x02", "-to", "60", "--ssl-verify", "ca",
		"--ssl-ca-cert", p.set.CA, "--ssl-cert", p.set.ClientCert, "--ssl-key", p.set.ClientKey)
	if code != 0 {
		p.t.Fatalf("send: exit code %d: %s", code, problems)
	}
}

// startServerFor starts a server for one door.
func startServerFor(t *testing.T, args ...string) *pair {
	t.Helper()
	p := newPair(t, "unused", "nagios")
	p.deliverTo(args...)
	p.startServer()
	p.awaitPort()
	return p
}

// checkDoor compares all that was sent by a door.
func checkDoor(t *testing.T, door string, outputs []sentOutput, readings map[objectName]reading) {
	t.Helper()
	for i, o := range outputs {
		o.at(door, false).check(t, door, readings, doorObject(door, i, false))
		o.at(door, true).check(t, door+", host", readings, doorObject(door, i, true))
		codeCase{"1", 1, 1}.check(t, readings[doorObject(door, i, false)], readings[doorObject(door, i, true)])
	}
}

// allThere says which of the objects has no result yet.
func allThere(outputs []sentOutput, doors ...string) func(map[objectName]reading) error {
	return func(readings map[objectName]reading) error {
		for _, door := range doors {
			for i := range outputs {
				for _, object := range []objectName{doorObject(door, i, false), doorObject(door, i, true)} {
					if readings[object].lastCheck.IsZero() {
						return fmt.Errorf("%v has no result", object)
					}
				}
			}
		}
		return nil
	}
}

func TestE2EDoorsOfNagios(t *testing.T) {
	outputs := sentOutputs()
	r := newNagiosRig(t, append(doorHosts(nagiosPipe, len(outputs)), doorHosts(nagiosDirectory, len(outputs))...))
	r.start()
	startServerFor(t, "--nagios-config", r.configFile(), "--sink", "command-file:").sendAll(nagiosPipe, outputs)
	directory := startServerFor(t, "--nagios-config", r.configFile())
	directory.sendAll(nagiosDirectory, outputs)
	readings := r.await("all results", allThere(outputs, nagiosPipe, nagiosDirectory))
	checkDoor(t, nagiosPipe, outputs, readings)
	checkDoor(t, nagiosDirectory, outputs, readings)
	directory.expectRejects("nosuch", `no host "nosuch"`)
}

func TestE2EDoorsOfIcinga(t *testing.T) {
	outputs := sentOutputs()
	r := newIcingaRig(t, append(doorHosts(icingaPipeDoor, len(outputs)), doorHosts(icingaAPIDoor, len(outputs))...))
	r.start()
	startServerFor(t, "--sink", "command-file:"+r.commandFile()).sendAll(icingaPipeDoor, outputs)
	api := startServerFor(t, r.apiSink(t)...)
	api.sendAll(icingaAPIDoor, outputs)
	readings := r.await("all results", allThere(outputs, icingaPipeDoor, icingaAPIDoor))
	checkDoor(t, icingaPipeDoor, outputs, readings)
	checkDoor(t, icingaAPIDoor, outputs, readings)
	api.expectRejects("nosuch", "No objects found")
}

// apiSink is what a server needs to deliver by the rig's API.
func (r *icingaRig) apiSink(t *testing.T) []string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(icingaPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--sink", strings.Replace(r.apiURL(), "https://", "icinga2:https://"+icingaUser+"@", 1),
		"--icinga2-password-file", password, "--icinga2-ca-file", filepath.Join(r.dir, "data/certs/ca.crt"), "--icinga2-server-name", icingaNode}
}

// expectRejects sends a result for a host that the core does not have, and finds it among the rejects.
func (p *pair) expectRejects(host, why string) {
	p.t.Helper()
	eventually(p.t, readingLimit, "the rejects name "+host, func() error {
		// While the core's object cache is young, nothing is rejected for it: send until one is.
		p.send(host + sendFieldDivider + "s" + sendFieldDivider + "0" + sendFieldDivider + "x\x17")
		text := string(readFile(p.t, filepath.Join(p.dir, "server", "rejects.log")))
		if !strings.Contains(text, host) || !strings.Contains(text, why) || !strings.Contains(text, "client-1") {
			return fmt.Errorf("they are %q", text)
		}
		return nil
	})
}
