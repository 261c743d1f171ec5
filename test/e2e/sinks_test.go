//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// sentOutput is an output as a plugin says it, and what a core then holds: want by most doors, others by those named.
type sentOutput struct {
	sent   string
	want   rig.Awkward
	others map[string]rig.Awkward
}

// both says what Nagios holds, by either of its doors.
func both(a rig.Awkward) map[string]rig.Awkward {
	return map[string]rig.Awkward{rig.NagiosPipe: a, rig.NagiosDirectory: a}
}

func with(m map[string]rig.Awkward, door string, a rig.Awkward) map[string]rig.Awkward {
	m[door] = a
	return m
}

func sentOutputs() []sentOutput {
	long := strings.Repeat("y", 1<<20-10)
	invalid := with(both(rig.Awkward{"", "\xff\xfe.", "", ""}), rig.IcingaAPIDoor, rig.Awkward{"", "\uFFFD\uFFFD.", "", ""})
	return []sentOutput{
		{"plain", rig.Awkward{"", "plain", "", ""}, nil},
		{"", rig.Awkward{}, both(rig.Awkward{"", nagiosNoOutput, "", ""})},
		{"\nsecond", rig.Awkward{"", "second", "", ""}, both(rig.Awkward{"", nagiosNoOutput, "second", ""})},
		{"|p=1\nsecond", rig.Awkward{"", "second", "", "p=1"}, both(rig.Awkward{"", "", "second", "p=1"})},
		{"a\n b \n", rig.Awkward{"", "a", " b", ""}, both(rig.Awkward{"", "a", " b", ""})},
		{"one\ntwo\n\nthree", rig.Awkward{"", "one", "two\n\nthree", ""}, nil},
		{"a\r\nb\rc", rig.Awkward{"", "a", "b\nc", ""}, nil},
		{`a\b\\t end\`, rig.Awkward{"", `a\b\\t end\`, "", ""}, nil},
		{`C:\new`, rig.Awkward{"", `C:\new`, "", ""}, map[string]rig.Awkward{rig.IcingaPipeDoor: {"", `C:`, "ew", ""}}}, // its pipe knows no way to say it
		{"a;b|p=1;2;3\nc;d", rig.Awkward{"", "a;b", "c;d", "p=1;2;3"}, both(rig.Awkward{"", "a:b", "c;d", "p=1;2;3"})},
		{"x|p=1\nl2|q=2", rig.Awkward{"", "x", "l2", "p=1 q=2"}, nil},
		{"|p=1", rig.Awkward{"", "", "", "p=1"}, nil},
		{"  a b", rig.Awkward{"", "  a b", "", ""}, with(both(rig.Awkward{"", "a b", "", ""}), rig.IcingaAPIDoor, rig.Awkward{"", "a b", "", ""})},
		{"a\n[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_HOST_CHECK_RESULT;h;1;x", rig.Awkward{"", "a", "[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_HOST_CHECK_RESULT;h;1;x", ""}, nil},
		{"a\x00b", rig.Awkward{"", "a b", "", ""}, nil},
		{"\a\x1b[1m\x7f\v.", rig.Awkward{"", "\a\x1b[1m\x7f\v.", "", ""}, nil},
		{"\xff\xfe.", rig.Awkward{"", "\uFFFD.", "", ""}, invalid},
		{"grün €\u2028<&>`~$\"'", rig.Awkward{"", "grün €\u2028<&>`~$\"'", "", ""}, nil},
		{long, rig.Awkward{"", long, "", ""}, nil},
		{"z\n" + long[:1<<18] + "|p=1", rig.Awkward{"", "z", long[:1<<18], "p=1"}, nil},
	}
}

// at says what a door makes of an output.
func (s sentOutput) at(door string, host bool) rig.Awkward {
	want := s.want
	if a, other := s.others[door]; other && !(host && door == rig.IcingaPipeDoor) {
		want = a
	}
	if a, other := s.others[door+", host"]; other && host {
		want = a
	}
	if host {
		want.Output = strings.Replace(want.Output, nagiosNoOutput, "(No output returned from host check)", 1)
	}
	want.Written = s.sent
	return want
}

// sendAll sends each output for a service and a host of its own, with the codes of WARNING and DOWN.
func sendAll(p *rig.Pair, door string, outputs []sentOutput) {
	p.T.Helper()
	var sets strings.Builder
	for i, o := range outputs {
		service := rig.DoorObject(door, i, false)
		sets.WriteString(strings.Join([]string{service.Host, service.Service, "1", o.sent}, rig.SendFieldDivider) + "\x17")
		sets.WriteString(strings.Join([]string{rig.DoorObject(door, i, true).Host, "1", o.sent}, rig.SendFieldDivider) + "\x17")
	}
	p.Send(sets.String())
}

// startServerFor starts a server for one door.
func startServerFor(t *testing.T, args ...string) *rig.Pair {
	t.Helper()
	p := rig.NewPair(t, "unused", "nagios")
	p.DeliverTo(args...)
	p.StartServer()
	p.AwaitPort()
	return p
}

// checkDoor compares all that was sent by a door.
func checkDoor(t *testing.T, door string, outputs []sentOutput, readings map[rig.ObjectName]rig.Reading) {
	t.Helper()
	for i, o := range outputs {
		o.at(door, false).Check(t, door, readings, rig.DoorObject(door, i, false))
		o.at(door, true).Check(t, door+", host", readings, rig.DoorObject(door, i, true))
		codeCase{"1", 1, 1}.check(t, readings[rig.DoorObject(door, i, false)], readings[rig.DoorObject(door, i, true)])
	}
}

// allThere says which of the objects has no result yet.
func allThere(outputs []sentOutput, doors ...string) func(map[rig.ObjectName]rig.Reading) error {
	return func(readings map[rig.ObjectName]rig.Reading) error {
		for _, door := range doors {
			for i := range outputs {
				for _, object := range []rig.ObjectName{rig.DoorObject(door, i, false), rig.DoorObject(door, i, true)} {
					if readings[object].LastCheck.IsZero() {
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
	r := rig.NewNagiosRig(t, append(rig.DoorHosts(rig.NagiosPipe, len(outputs)), rig.DoorHosts(rig.NagiosDirectory, len(outputs))...))
	r.Start()
	sendAll(startServerFor(t, "--nagios-config", r.ConfigFile(), "--sink", "command-file:"), rig.NagiosPipe, outputs)
	directory := startServerFor(t, "--nagios-config", r.ConfigFile())
	sendAll(directory, rig.NagiosDirectory, outputs)
	readings := r.Await("all results", allThere(outputs, rig.NagiosPipe, rig.NagiosDirectory))
	checkDoor(t, rig.NagiosPipe, outputs, readings)
	checkDoor(t, rig.NagiosDirectory, outputs, readings)
	expectRejects(directory, "nosuch", `no host "nosuch"`)
}

func TestE2EDoorsOfIcinga(t *testing.T) {
	outputs := sentOutputs()
	r := rig.NewIcingaRig(t, append(rig.DoorHosts(rig.IcingaPipeDoor, len(outputs)), rig.DoorHosts(rig.IcingaAPIDoor, len(outputs))...))
	r.Start()
	sendAll(startServerFor(t, "--sink", "command-file:"+r.CommandFile()), rig.IcingaPipeDoor, outputs)
	api := startServerFor(t, r.APISink(t)...)
	sendAll(api, rig.IcingaAPIDoor, outputs)
	readings := r.Await("all results", allThere(outputs, rig.IcingaPipeDoor, rig.IcingaAPIDoor))
	checkDoor(t, rig.IcingaPipeDoor, outputs, readings)
	checkDoor(t, rig.IcingaAPIDoor, outputs, readings)
	expectRejects(api, "nosuch", "No objects found")
}

// expectRejects sends a result for a host that the core does not have, and finds it among the rejects.
func expectRejects(p *rig.Pair, host, why string) {
	p.T.Helper()
	rig.Eventually(p.T, rig.ReadingLimit, "the rejects name "+host, func() error {
		// While the core's object cache is young, nothing is rejected for it: send until one is.
		p.Send(host + rig.SendFieldDivider + "s" + rig.SendFieldDivider + "0" + rig.SendFieldDivider + "x\x17")
		text := string(rig.ReadFile(p.T, filepath.Join(p.Dir, "server", "rejects.log")))
		if !strings.Contains(text, host) || !strings.Contains(text, why) || !strings.Contains(text, "client-1") {
			return fmt.Errorf("they are %q", text)
		}
		return nil
	})
}
