//go:build e2e

package main

import (
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
	r := newIcingaRig(t, doorHosts("file", 5))
	r.start()
	stamped := func(i int, output string) string {
		return fmt.Sprintf("[%d] %s", time.Now().Unix(), resultCommand(doorObject("file", i, false), "1", output))
	}
	long := strings.Repeat("F", 1<<20)
	taken := r.commandsInFile("taken", 0o644, stamped(0, long)+"\n\n  "+stamped(1, "indented")+"\n"+stamped(2, "no newline behind"))
	kept := r.commandsInFile("kept", 0o644, stamped(3, "kept")+"\n")
	closed := r.commandsInFile("closed", 0o600, stamped(4, "closed")+"\n")
	r.command("PROCESS_FILE;"+taken+";1", "PROCESS_FILE;"+kept+";0", "PROCESS_FILE;"+closed+";1")
	readings := r.fence()
	for i, a := range map[int]awkward{0: {long, long, "", ""}, 2: {"", "no newline behind", "", ""}, 3: {"", "kept", "", ""}} {
		a.check(t, "file", readings, doorObject("file", i, false))
	}
	if got := readings[doorObject("file", 1, false)]; !got.lastCheck.IsZero() {
		t.Errorf("an indented line was taken: %+v", got)
	}
	if exists(t, taken) || !exists(t, kept) {
		t.Errorf("deleted with ;1: %v, with ;0: %v; want true, false", !exists(t, taken), !exists(t, kept))
	}
	if os.Geteuid() != 0 {
		return // the file belongs to the core's user then, and is no closed one
	}
	if got := readings[doorObject("file", 4, false)]; !got.lastCheck.IsZero() || exists(t, closed) {
		t.Errorf("a file that Icinga cannot read: result %+v, still there: %v; want none, false", got, exists(t, closed))
	}
}

// Neither a restart nor a crash of Icinga changes its pipe's inode: a writer learns of them only by the reader
// that is gone.
func TestE2ERigIcingaLife(t *testing.T) {
	service := objectName{"h", "s"}
	r := newIcingaRig(t, []rigHost{{"h", []string{"s"}}})
	r.start()
	pipe := inode(t, r.commandFile())
	r.command(resultCommand(service, "2", "before"))
	r.fence()

	r.reload()
	r.expect(service, "before", "after a reload")
	r.stop()
	if err := pipeHasReader(r.commandFile()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("open the pipe of an Icinga that was stopped: %v, want %v", err, syscall.ENXIO)
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

// expect compares the output that Icinga holds of an object.
func (r *icingaRig) expect(object objectName, output, when string) {
	r.t.Helper()
	if got := r.fence()[object].output; got != output {
		r.t.Errorf("%s: output %q, want %q", when, got, output)
	}
}

// When only the process that watches over Icinga is killed, the one that works goes on as if nothing were.
func TestE2ERigIcingaMainKilled(t *testing.T) {
	service := objectName{"h", "s"}
	r := newIcingaRig(t, []rigHost{{"h", []string{"s"}}})
	r.start()
	r.killMain()
	r.command(resultCommand(service, "2", "orphan"))
	r.expect(service, "orphan", "after the main process was killed")
	r.kill()
	if pids := r.pids(); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
}

// In its first moments Icinga works on results without running event handlers, by which the fault suite's witness
// knows of them otherwise.
func TestE2ERigIcingaIsSilentAtItsStart(t *testing.T) {
	many := rigHost{name: "many"} // that it takes a moment to begin with
	for i := range 20_000 {
		many.services = append(many.services, strconv.Itoa(i))
	}
	r, w := newTellingIcinga(t, append(faultHosts(), many))
	written := make(chan []sighting)
	go func() {
		var all []sighting
		defer func() { written <- all }()
		pipe := openAtOnce(t, r.commandFile())
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
	r.start()
	all := <-written
	eventually(t, readingLimit, "all results at the witness", func() error {
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
	if data, err := os.ReadFile(r.outputFile()); err != nil || !bytes.Contains(data, []byte(silence)) {
		t.Errorf("it ran an event handler for each: %v", err)
	}
	r.stop()
}

// openAtOnce opens a pipe in the moment in which somebody begins to read it.
func openAtOnce(t *testing.T, path string) *os.File {
	for begun := time.Now(); time.Since(begun) < readingLimit; time.Sleep(time.Millisecond) {
		if pipe, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			return pipe
		}
	}
	t.Errorf("nobody reads %s", path)
	return nil
}
