//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestE2ERigIcingaProcessFile(t *testing.T) {
	r := rig.NewIcingaRig(t, rig.DoorHosts("file", 5))
	r.Start()
	stamped := func(i int, output string) string {
		return fmt.Sprintf("[%d] %s", time.Now().Unix(), rig.ResultCommand(rig.DoorObject("file", i, false), "1", output))
	}
	long := strings.Repeat("F", 1<<20)
	taken := r.CommandsInFile("taken", 0o644, stamped(0, long)+"\n\n  "+stamped(1, "indented")+"\n"+stamped(2, "no newline behind"))
	kept := r.CommandsInFile("kept", 0o644, stamped(3, "kept")+"\n")
	closed := r.CommandsInFile("closed", 0o600, stamped(4, "closed")+"\n")
	r.Command("PROCESS_FILE;"+taken+";1", "PROCESS_FILE;"+kept+";0", "PROCESS_FILE;"+closed+";1")
	readings := r.Fence()
	for i, a := range map[int]rig.Awkward{0: {long, long, "", ""}, 2: {"", "no newline behind", "", ""}, 3: {"", "kept", "", ""}} {
		a.Check(t, "file", readings, rig.DoorObject("file", i, false))
	}
	if got := readings[rig.DoorObject("file", 1, false)]; !got.LastCheck.IsZero() {
		t.Errorf("an indented line was taken: %+v", got)
	}
	if rig.Exists(t, taken) || !rig.Exists(t, kept) {
		t.Errorf("deleted with ;1: %v, with ;0: %v; want true, false", !rig.Exists(t, taken), !rig.Exists(t, kept))
	}
	if os.Geteuid() != 0 {
		return // the file belongs to the core's user then, and is no closed one
	}
	if got := readings[rig.DoorObject("file", 4, false)]; !got.LastCheck.IsZero() || rig.Exists(t, closed) {
		t.Errorf("a file that Icinga cannot read: result %+v, still there: %v; want none, false", got, rig.Exists(t, closed))
	}
}

// Neither a restart nor a crash of Icinga changes its pipe's inode: a writer learns of them only by the reader
// that is gone.
func TestE2ERigIcingaLife(t *testing.T) {
	service := rig.ObjectName{"h", "s"}
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"s"}}})
	r.Start()
	pipe := rig.Inode(t, r.CommandFile())
	r.Command(rig.ResultCommand(service, "2", "before"))
	r.Fence()

	r.Reload()
	expect(r, service, "before", "after a reload")
	r.Stop()
	if err := rig.PipeHasReader(r.CommandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of an Icinga that was stopped: %v, want %v", err, syscall.ENXIO)
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

// expect compares the output that Icinga holds of an object.
func expect(r *rig.IcingaRig, object rig.ObjectName, output, when string) {
	r.T.Helper()
	if got := r.Fence()[object].Output; got != output {
		r.T.Errorf("%s: output %q, want %q", when, got, output)
	}
}

// When only the process that watches over Icinga is killed, the one that works goes on as if nothing were.
func TestE2ERigIcingaMainKilled(t *testing.T) {
	service := rig.ObjectName{"h", "s"}
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"s"}}})
	r.Start()
	r.KillMain()
	r.Command(rig.ResultCommand(service, "2", "orphan"))
	expect(r, service, "orphan", "after the main process was killed")
	r.Kill()
	if pids := r.Pids(); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
}

// In its first moments Icinga works on results without running event handlers, by which the fault suite's witness
// knows of them otherwise.
func TestE2ERigIcingaIsSilentAtItsStart(t *testing.T) {
	many := rig.Host{Name: "many"} // that it takes a moment to begin with
	for i := range 20_000 {
		many.Services = append(many.Services, strconv.Itoa(i))
	}
	r, w := newTellingIcinga(t, append(faultHosts(), many))
	written := make(chan []sighting)
	go func() {
		var all []sighting
		defer func() { written <- all }()
		pipe := openAtOnce(t, r.CommandFile())
		if pipe == nil {
			return
		}
		defer pipe.Close()
		for i := range faultServices {
			s := sighting{uint16(i / servicesPerHost), uint16(i % servicesPerHost), int64(1e18) + int64(i)}
			line := fmt.Sprintf("[%d] PROCESS_SERVICE_CHECK_RESULT;h%d;s%d;%d;%d\n", time.Now().Unix(), s.host, s.service, critical, s.number)
			if _, err := pipe.WriteString(line); err != nil {
				t.Errorf("write to the pipe: %v", err)
				return
			}
			all = append(all, s)
		}
	}()
	r.Start()
	all := <-written
	rig.Eventually(t, rig.ReadingLimit, "all results at the witness", func() error {
		w.read()
		for i, s := range all {
			if !w.has(s) {
				return fmt.Errorf("%v, the result %d, is not there", s, i)
			}
		}
		return nil
	})
	if n := len(w.seen); n != faultServices {
		t.Errorf("%d results were told, want %d", n, faultServices)
	}
	if data, err := os.ReadFile(r.OutputFile()); err != nil || !bytes.Contains(data, []byte(silence)) {
		t.Errorf("it ran an event handler for each: %v", err)
	}
	r.Stop()
}

// openAtOnce opens a pipe in the moment in which somebody begins to read it.
func openAtOnce(t *testing.T, path string) *os.File {
	for begun := time.Now(); time.Since(begun) < rig.ReadingLimit; time.Sleep(time.Millisecond) {
		if pipe, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			return pipe
		}
	}
	t.Errorf("nobody reads %s", path)
	return nil
}
