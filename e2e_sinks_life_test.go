//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/server/sink"
)

// These tests kill a core and find everything of the last seconds in the one that takes its place: nothing of it was
// kept by the core itself.

const lifeResults = 300

func lifeHosts() []rigHost { return doorHosts("life", lifeResults) }

// sendLife sends a result to each of the services from up to before to, not included.
func (p *pair) sendLife(from, to int) {
	p.t.Helper()
	var sets strings.Builder
	for i := from; i < to; i++ {
		o := doorObject("life", i, false)
		sets.WriteString(strings.Join([]string{o.host, o.service, "1", fmt.Sprint("number ", i)}, sendFieldDivider) + "\x17")
	}
	p.send(sets.String())
}

// lived says which of the results from up to before to the core does not have.
func lived(from, to int) func(map[objectName]reading) error {
	return func(readings map[objectName]reading) error {
		for i := from; i < to; i++ {
			if got, want := readings[doorObject("life", i, false)].output, fmt.Sprint("number ", i); got != want {
				return fmt.Errorf("service %d has %q, want %q", i, got, want)
			}
		}
		return nil
	}
}

// sendLong sends a result that does not fit a pipe's write, and returns what says whether the core has it.
func (p *pair) sendLong(number int) func(map[objectName]reading) error {
	p.t.Helper()
	object := doorObject("life", number, false)
	output := fmt.Sprint("number ", number, " ", strings.Repeat("y", 6000))
	p.send(strings.Join([]string{object.host, object.service, "1", output}, sendFieldDivider) + "\x17")
	return func(readings map[objectName]reading) error {
		if got := readings[object].output; got != output {
			return fmt.Errorf("the long result is %s", brief(got))
		}
		return nil
	}
}

// The process that reads the pipe outlives the core for seconds. When the next core is there before it is gone, the
// pipe never lacks a reader.
func TestE2EPipeOfANagiosWhoseMainProcessIsKilled(t *testing.T) {
	r := newNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.commandFile(), "--dialect", "nagios")
	r.start()
	p.sendLife(0, 100)
	r.await("before", lived(0, 100))
	// The orphans end of themselves, now at once and now after seconds. Here the test is one that holds the pipe until
	// the next core does.
	orphan, err := os.OpenFile(r.commandFile(), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer orphan.Close()
	r.killMain()
	r.awaitGone()
	p.sendLife(100, 200)
	r.start()
	orphan.Close()
	p.sendLife(200, lifeResults)
	r.await("after", lived(0, lifeResults))
}

// Nagios' main process is held up for longer than the window, and nothing is killed: its worker reads the pipe meanwhile,
// but the long result is in a file that only the main process reads.
func TestE2EPipeOfANagiosThatIsHeldUp(t *testing.T) {
	r := newNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.commandFile(), "--dialect", "nagios")
	r.start()
	p.sendLife(0, 1)
	r.await("before", lived(0, 1))
	r.signal(syscall.SIGSTOP)
	long := p.sendLong(1)
	time.Sleep(sink.DefaultWindow + 3*time.Second)
	r.signal(syscall.SIGCONT)
	p.sendLife(2, 3)
	r.await("after", func(readings map[objectName]reading) error {
		return errors.Join(long(readings), lived(2, 3)(readings))
	})
}

// Nagios' main process hangs for longer than the window, its worker reads the pipe meanwhile, and then somebody kills it
// all: what the worker had read goes with it.
func TestE2EPipeOfANagiosThatHangsAndIsKilled(t *testing.T) {
	r := newNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--sink", "command-file:"+r.commandFile(), "--dialect", "nagios")
	r.start()
	p.sendLife(0, 100)
	r.await("before", lived(0, 100))
	r.signal(syscall.SIGSTOP)
	p.sendLife(100, 150)
	long := p.sendLong(150) // by a file, which says nothing of what is in front of it
	p.sendLife(151, 200)
	time.Sleep(sink.DefaultWindow + 5*time.Second)
	r.kill()
	r.start()
	p.sendLife(200, lifeResults)
	r.await("after", func(readings map[objectName]reading) error { // what it had worked on long before, is its own to keep
		return errors.Join(lived(100, 150)(readings), long(readings), lived(151, lifeResults)(readings))
	})
}

func TestE2EDirectoryOfANagiosThatIsKilled(t *testing.T) {
	r := newNagiosRig(t, lifeHosts())
	p := startServerFor(t, "--nagios-config", r.configFile())
	r.start()
	p.sendLife(0, 100)
	r.await("before", lived(0, 100))
	r.kill()
	p.sendLife(100, 200)
	r.start()
	p.sendLife(200, lifeResults)
	r.await("after", lived(0, lifeResults))
}

func TestE2EAPIOfAnIcingaThatIsKilled(t *testing.T) {
	r := newIcingaRig(t, lifeHosts())
	p := startServerFor(t, r.apiSink(t)...)
	r.start()
	p.sendLife(0, 100)
	r.await("before", lived(0, 100))
	r.kill()
	p.sendLife(100, 200)
	r.start()
	p.sendLife(200, lifeResults)
	r.await("after", lived(0, lifeResults))
	r.reload()
	p.stopAndSee("restarted Icinga")
}

// stopAndSee stops the server and finds a text among what it said.
func (p *pair) stopAndSee(text string) {
	p.t.Helper()
	p.server.stop()
	if !strings.Contains(p.server.words(), text) {
		p.t.Errorf("the server did not say %q:\n%s", text, p.server.words())
	}
}
