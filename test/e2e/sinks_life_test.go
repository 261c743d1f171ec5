//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/server/sink"
	"massive-passive/test/rig"
)

// These tests kill a core and find everything of the last seconds in the one that takes its place: nothing of it was
// kept by the core itself.

const lifeResults = 300

func lifeHosts() []rig.Host { return rig.DoorHosts("life", lifeResults) }

// sendLife sends a result to each of the services from up to before to, not included.
func sendLife(p *rig.Pair, from, to int) {
	p.T.Helper()
	var sets strings.Builder
	for i := from; i < to; i++ {
		o := rig.DoorObject("life", i, false)
		sets.WriteString(strings.Join([]string{o.Host, o.Service, "1", fmt.Sprint("number ", i)}, rig.SendFieldDivider) + "\x17")
	}
	p.Send(sets.String())
}

// lived says which of the results from up to before to the core does not have.
func lived(from, to int) func(map[rig.ObjectName]rig.Reading) error {
	return func(readings map[rig.ObjectName]rig.Reading) error {
		for i := from; i < to; i++ {
			if got, want := readings[rig.DoorObject("life", i, false)].Output, fmt.Sprint("number ", i); got != want {
				return fmt.Errorf("service %d has %q, want %q", i, got, want)
			}
		}
		return nil
	}
}

// sendLong sends a result that does not fit a pipe's write, and returns what says whether the core has it.
func sendLong(p *rig.Pair, number int) func(map[rig.ObjectName]rig.Reading) error {
	p.T.Helper()
	object := rig.DoorObject("life", number, false)
	output := fmt.Sprint("number ", number, " ", strings.Repeat("y", 6000))
	p.Send(strings.Join([]string{object.Host, object.Service, "1", output}, rig.SendFieldDivider) + "\x17")
	return func(readings map[rig.ObjectName]rig.Reading) error {
		if got := readings[object].Output; got != output {
			return fmt.Errorf("the long result is %s", rig.Brief(got))
		}
		return nil
	}
}

// The process that reads the pipe outlives the core for seconds. When the next core is there before it is gone, the
// pipe never lacks a reader.
func TestE2EPipeOfANagiosWhoseMainProcessIsKilled(t *testing.T) {
	r := rig.NewNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.CommandFile(), "--dialect", "nagios")
	r.Start()
	sendLife(p, 0, 100)
	r.Await("before", lived(0, 100))
	// The orphans end of themselves, now at once and now after seconds. Here the test is one that holds the pipe until
	// the next core does.
	orphan, err := os.OpenFile(r.CommandFile(), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer orphan.Close()
	r.KillMain()
	r.AwaitGone()
	sendLife(p, 100, 200)
	r.Start()
	orphan.Close()
	sendLife(p, 200, lifeResults)
	r.Await("after", lived(0, lifeResults))
}

// Nagios' main process is held up for longer than the window, and nothing is killed: its worker reads the pipe meanwhile,
// but the long result is in a file that only the main process reads.
func TestE2EPipeOfANagiosThatIsHeldUp(t *testing.T) {
	r := rig.NewNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.CommandFile(), "--dialect", "nagios")
	r.Start()
	sendLife(p, 0, 1)
	r.Await("before", lived(0, 1))
	r.Signal(syscall.SIGSTOP)
	long := sendLong(p, 1)
	time.Sleep(sink.DefaultWindow + 3*time.Second)
	r.Signal(syscall.SIGCONT)
	sendLife(p, 2, 3)
	r.Await("after", func(readings map[rig.ObjectName]rig.Reading) error {
		return errors.Join(long(readings), lived(2, 3)(readings))
	})
}

// Nagios' main process hangs for longer than the window, its worker reads the pipe meanwhile, and then somebody kills it
// all: what the worker had read goes with it.
func TestE2EPipeOfANagiosThatHangsAndIsKilled(t *testing.T) {
	r := rig.NewNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.CommandFile(), "--dialect", "nagios")
	r.Start()
	sendLife(p, 0, 100)
	r.Await("before", lived(0, 100))
	r.Signal(syscall.SIGSTOP)
	sendLife(p, 100, 150)
	long := sendLong(p, 150) // by a file, which says nothing of what is in front of it
	sendLife(p, 151, 200)
	time.Sleep(sink.DefaultWindow + 5*time.Second)
	r.Kill()
	r.Start()
	sendLife(p, 200, lifeResults)
	r.Await("after", func(readings map[rig.ObjectName]rig.Reading) error { // what it had worked on long before, is its own to keep
		return errors.Join(lived(100, 150)(readings), long(readings), lived(151, lifeResults)(readings))
	})
}

func TestE2EDirectoryOfANagiosThatIsKilled(t *testing.T) {
	r := rig.NewNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--nagios-config", r.ConfigFile())
	r.Start()
	sendLife(p, 0, 100)
	r.Await("before", lived(0, 100))
	r.Kill()
	sendLife(p, 100, 200)
	r.Start()
	sendLife(p, 200, lifeResults)
	r.Await("after", lived(0, lifeResults))
}

func TestE2EAPIOfAnIcingaThatIsKilled(t *testing.T) {
	r := rig.NewIcingaRig(t, lifeHosts())
	p := startServerFor(t, r.APISink(t)...)
	r.Start()
	sendLife(p, 0, 100)
	r.Await("before", lived(0, 100))
	r.Kill()
	sendLife(p, 100, 200)
	r.Start()
	sendLife(p, 200, lifeResults)
	r.Await("after", lived(0, lifeResults))
	r.Reload()
	stopAndSee(p, "restarted Icinga")
}

// stopAndSee stops the server and finds a text among what it said.
func stopAndSee(p *rig.Pair, text string) {
	p.T.Helper()
	p.Server.Stop()
	if !strings.Contains(p.Server.Words(), text) {
		p.T.Errorf("the server did not say %q:\n%s", text, p.Server.Words())
	}
}
