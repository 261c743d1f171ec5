//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandsInFile writes external commands to a file of the core's folder and returns its path.
func (p *coreProcess) commandsInFile(name string, mode os.FileMode, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// exists tells whether a file is there.
func exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestE2ERigNagiosProcessFile(t *testing.T) {
	r := newNagiosRig(t, doorHosts("file", 5))
	r.start()
	stamped := func(i int, output string) string {
		return fmt.Sprintf("[%d] %s", time.Now().Unix(), resultCommand(doorObject("file", i, false), "1", output))
	}
	long := strings.Repeat("F", 1<<20)
	taken := r.commandsInFile("taken", 0o644, stamped(0, long)+"\n\n  "+stamped(1, `a\\b\nc`)+"\r\n"+stamped(2, "no newline behind"))
	kept := r.commandsInFile("kept", 0o644, stamped(3, "kept")+"\n")
	closed := r.commandsInFile("closed", 0o600, stamped(4, "closed")+"\n")
	r.command("PROCESS_FILE;"+taken+";1", "PROCESS_FILE;"+kept+";0", "PROCESS_FILE;"+closed+";1")
	readings := r.fence()
	for i, a := range []awkward{{long, long, "", ""}, {"", `a\b`, "c", ""}, {"", "no newline behind", "", ""}, {"", "kept", "", ""}} {
		a.check(t, "file", readings, doorObject("file", i, false))
	}
	if exists(t, taken) || !exists(t, kept) {
		t.Errorf("deleted with ;1: %v, with ;0: %v; want true, false", !exists(t, taken), !exists(t, kept))
	}
	if os.Geteuid() != 0 {
		return // the file belongs to the core's user then, and is no closed one
	}
	if got := readings[doorObject("file", 4, false)]; !got.lastCheck.IsZero() || !exists(t, closed) {
		t.Errorf("a file that Nagios cannot read: result %+v, still there: %v; want none, true", got, exists(t, closed))
	}
}

// A line without a time in brackets before it is not among these: Nagios 4.4.6 passes over it, but loses one of
// the good lines near it, now this one and now that.
func TestE2ERigNagiosTimesAndRefusals(t *testing.T) {
	r := newNagiosRig(t, []rigHost{{"h", []string{"older", "future", "bad time", "off", "grün/ö: $1"}}})
	r.start()
	now := time.Now().Unix()
	at := func(stamp, service, output string) string {
		return stamp + resultCommand(objectName{"h", service}, "1", output) + "\n"
	}
	writePipe(t, r.commandFile(), at(fmt.Sprintf("[%d] ", now), "older", "new")+at(fmt.Sprintf("[%d] ", now-7200), "older", "old")+
		at(fmt.Sprintf("[%d] ", now+7200), "future", "x")+at("[junk] ", "bad time", "x"))
	r.command("DISABLE_PASSIVE_SVC_CHECKS;h;off",
		resultCommand(objectName{"h", "off"}, "1", "x"),
		resultCommand(objectName{"h", "grün/ö: $1"}, "1", "x"),
		resultCommand(objectName{"h", "nosuch"}, "1", "x"),
		resultCommand(objectName{"nosuch", "s"}, "1", "x"),
		resultCommand(objectName{host: "nosuch"}, "1", "x"))
	readings := r.fence()
	for service, want := range map[string]reading{
		"older":      {state: 1, output: "old", lastCheck: time.Unix(now-7200, 0)}, // the older one overwrites
		"future":     {state: 1, output: "x", lastCheck: time.Unix(now+7200, 0)},
		"bad time":   {state: 1, output: "x"}, // taken, as of 1970
		"off":        {},
		"grün/ö: $1": readings[objectName{"h", "grün/ö: $1"}],
	} {
		if got := readings[objectName{"h", service}]; got != want {
			t.Errorf("%s: %+v, want %+v", service, got, want)
		}
	}
	if got := readings[objectName{"h", "grün/ö: $1"}].output; got != "x" {
		t.Errorf("the service with letters beyond ASCII: output %q, want x", got)
	}
	log, err := os.ReadFile(r.logFile())
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
	service := objectName{"h", "s"}
	r := newNagiosRig(t, []rigHost{{"h", []string{"s"}}}, "retain_state_information=1")
	r.start()
	pipe := inode(t, r.commandFile())
	r.command(resultCommand(service, "2", "before"))
	r.fence()

	r.reload()
	r.expect(service, "before", "after a reload")
	r.stop()
	if err := pipeHasReader(r.commandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of a Nagios that was stopped: %v, want %v", err, syscall.ENXIO)
	}
	r.start()
	r.expect(service, "before", "after a restart")

	r.command(resultCommand(service, "1", "lost"))
	r.fence()
	r.kill()
	r.start()
	r.expect(service, "before", "after a crash, what the orderly stop before it kept")
	if now := inode(t, r.commandFile()); now != pipe {
		t.Errorf("the pipe's inode is %d, was %d", now, pipe)
	}
	r.stop()
}

// expect compares the output that Nagios holds of an object.
func (r *nagiosRig) expect(object objectName, output, when string) {
	r.t.Helper()
	if got := r.fence()[object].output; got != output {
		r.t.Errorf("%s: output %q, want %q", when, got, output)
	}
}

// inode returns the number of a file's inode.
func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// When only the main process of Nagios is killed, the process that reads its pipe lives on for a while, and what
// is written then succeeds and is lost.
func TestE2ERigNagiosMainKilled(t *testing.T) {
	service := objectName{"h", "s"}
	r := newNagiosRig(t, []rigHost{{"h", []string{"s"}}})
	r.start()
	r.killMain()
	r.command(resultCommand(service, "2", "nobody's")) // fails the test if there were no reader
	r.awaitGone()
	if err := pipeHasReader(r.commandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of a Nagios whose processes are gone: %v, want %v", err, syscall.ENXIO)
	}
	r.start()
	if got := r.fence()[service]; !got.lastCheck.IsZero() {
		t.Errorf("the next Nagios has %+v", got)
	}
}
