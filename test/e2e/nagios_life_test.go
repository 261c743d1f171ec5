//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestE2ERigNagiosProcessFile(t *testing.T) {
	r := rig.NewNagiosRig(t, rig.DoorHosts("file", 5))
	r.Start()
	stamped := func(i int, output string) string {
		return fmt.Sprintf("[%d] %s", time.Now().Unix(), rig.ResultCommand(rig.DoorObject("file", i, false), "1", output))
	}
	long := strings.Repeat("F", 1<<20)
	taken := r.CommandsInFile("taken", 0o644, stamped(0, long)+"\n\n  "+stamped(1, `a\\b\nc`)+"\r\n"+stamped(2, "no newline behind"))
	kept := r.CommandsInFile("kept", 0o644, stamped(3, "kept")+"\n")
	closed := r.CommandsInFile("closed", 0o600, stamped(4, "closed")+"\n")
	r.Command("PROCESS_FILE;"+taken+";1", "PROCESS_FILE;"+kept+";0", "PROCESS_FILE;"+closed+";1")
	readings := r.Fence()
	for i, a := range []rig.Awkward{{long, long, "", ""}, {"", `a\b`, "c", ""}, {"", "no newline behind", "", ""}, {"", "kept", "", ""}} {
		a.Check(t, "file", readings, rig.DoorObject("file", i, false))
	}
	if rig.Exists(t, taken) || !rig.Exists(t, kept) {
		t.Errorf("deleted with ;1: %v, with ;0: %v; want true, false", !rig.Exists(t, taken), !rig.Exists(t, kept))
	}
	if os.Geteuid() != 0 {
		return // the file belongs to the core's user then, and is no closed one
	}
	if got := readings[rig.DoorObject("file", 4, false)]; !got.LastCheck.IsZero() || !rig.Exists(t, closed) {
		t.Errorf("a file that Nagios cannot read: result %+v, still there: %v; want none, true", got, rig.Exists(t, closed))
	}
}

// A line without a time in brackets before it is not among these: Nagios 4.4.6 passes over it, but loses one of
// the good lines near it, now this one and now that.
func TestE2ERigNagiosTimesAndRefusals(t *testing.T) {
	r := rig.NewNagiosRig(t, []rig.Host{{"h", []string{"older", "future", "bad time", "off", "grün/ö: $1"}}})
	r.Start()
	now := time.Now().Unix()
	at := func(stamp, service, output string) string {
		return stamp + rig.ResultCommand(rig.ObjectName{"h", service}, "1", output) + "\n"
	}
	rig.WritePipe(t, r.CommandFile(), at(fmt.Sprintf("[%d] ", now), "older", "new")+at(fmt.Sprintf("[%d] ", now-7200), "older", "old")+
		at(fmt.Sprintf("[%d] ", now+7200), "future", "x")+at("[junk] ", "bad time", "x"))
	r.Command("DISABLE_PASSIVE_SVC_CHECKS;h;off",
		rig.ResultCommand(rig.ObjectName{"h", "off"}, "1", "x"),
		rig.ResultCommand(rig.ObjectName{"h", "grün/ö: $1"}, "1", "x"),
		rig.ResultCommand(rig.ObjectName{"h", "nosuch"}, "1", "x"),
		rig.ResultCommand(rig.ObjectName{"nosuch", "s"}, "1", "x"),
		rig.ResultCommand(rig.ObjectName{Host: "nosuch"}, "1", "x"))
	readings := r.Fence()
	for service, want := range map[string]rig.Reading{
		"older":      {State: 1, Output: "old", LastCheck: time.Unix(now-7200, 0)}, // the older one overwrites
		"future":     {State: 1, Output: "x", LastCheck: time.Unix(now+7200, 0)},
		"bad time":   {State: 1, Output: "x"}, // taken, as of 1970
		"off":        {},
		"grün/ö: $1": readings[rig.ObjectName{"h", "grün/ö: $1"}],
	} {
		if got := readings[rig.ObjectName{"h", service}]; got != want {
			t.Errorf("%s: %+v, want %+v", service, got, want)
		}
	}
	if got := readings[rig.ObjectName{"h", "grün/ö: $1"}].Output; got != "x" {
		t.Errorf("the service with letters beyond ASCII: output %q, want x", got)
	}
	log, err := os.ReadFile(r.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Passive check result was received for service 'nosuch' on host 'h', but the service could not be found!",
		"Passive check result was received for service 's' on host 'nosuch', but the host could not be found!",
		"Passive check result was received for host 'nosuch', but the host could not be found!",
	} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log does not say: %s", want)
		}
	}
}

// Neither a restart nor a crash of Nagios changes its pipe's inode: a writer learns of them only by the reader
// that is gone.
func TestE2ERigNagiosLife(t *testing.T) {
	service := rig.ObjectName{"h", "s"}
	r := rig.NewNagiosRig(t, []rig.Host{{"h", []string{"s"}}}, "retain_state_information=1")
	r.Start()
	pipe := rig.Inode(t, r.CommandFile())
	r.Command(rig.ResultCommand(service, "2", "before"))
	r.Fence()

	r.Reload()
	expect(r, service, "before", "after a reload")
	r.Stop()
	if err := rig.PipeHasReader(r.CommandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of a Nagios that was stopped: %v, want %v", err, syscall.ENXIO)
	}
	r.Start()
	expect(r, service, "before", "after a restart")

	r.Command(rig.ResultCommand(service, "1", "lost"))
	r.Fence()
	r.Kill()
	r.Start()
	expect(r, service, "before", "after a crash, what the orderly stop before it kept")
	if now := rig.Inode(t, r.CommandFile()); now != pipe {
		t.Errorf("the pipe's inode is %d, was %d", now, pipe)
	}
	r.Stop()
}

// expect compares the output that Nagios holds of an object.
func expect(r *rig.NagiosRig, object rig.ObjectName, output, when string) {
	r.T.Helper()
	if got := r.Fence()[object].Output; got != output {
		r.T.Errorf("%s: output %q, want %q", when, got, output)
	}
}

// When only the main process of Nagios is killed, the process that reads its pipe lives on for a while, and what
// is written then succeeds and is lost.
func TestE2ERigNagiosMainKilled(t *testing.T) {
	service := rig.ObjectName{"h", "s"}
	r := rig.NewNagiosRig(t, []rig.Host{{"h", []string{"s"}}})
	r.Start()
	r.KillMain()
	r.Command(rig.ResultCommand(service, "2", "nobody's")) // fails the test if there were no reader
	r.AwaitGone()
	if err := rig.PipeHasReader(r.CommandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of a Nagios whose processes are gone: %v, want %v", err, syscall.ENXIO)
	}
	r.Start()
	if got := r.Fence()[service]; !got.LastCheck.IsZero() {
		t.Errorf("the next Nagios has %+v", got)
	}
}
