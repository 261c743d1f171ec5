package client

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// refuse has opening a file fail with an input/output error until putBack is
// called, as a terminal that is locked does.
func refuse(t *testing.T, file string) (putBack func()) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	must(t, err)
	must(t, os.Remove(file))
	must(t, os.Symlink(fmt.Sprint("/dev/pts/", number), file))
	return func() { must(t, os.Remove(file)) }
}

// A client whose disk could not be used at the start goes over to it with all that
// waits, and what an earlier run left there is delivered as well.
func TestAClientGoesOverToADiskThatIsBack(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.setHeld(true)
	made := filepath.Join(t.TempDir(), "made") // one line for each result
	s.write("count", service("count", 0.1, "/bin/sh", "-c", `n=$(date +%s%N); echo $n >>`+made+`; echo $n`))
	earlier, stop := s.start(zerolog.Nop())
	waiting := func(c *Client) func() bool {
		return func() bool {
			r := c.outbox.Stats().Readers
			return len(r) == 1 && r[0].Pending >= 3
		}
	}
	eventually(t, "results of an earlier run", waiting(earlier))
	stop()

	putBack := refuse(t, filepath.Join(s.options.StateDir, "journal", "lock"))
	log := &words{}
	agent, err := New(s.options, zerolog.New(log))
	must(t, err)
	s.setHeld(false)
	stop = s.run(agent)
	eventually(t, "results from memory", func() bool { return s.count() >= 3 })
	s.setHeld(true)
	eventually(t, "results that wait in memory", waiting(agent))
	if page := agent.status(); !strings.Contains(page.Journal.Refuses, "input/output error; results are kept in memory only") {
		t.Errorf("status says %q", page.Journal.Refuses)
	}
	putBack()
	for log.times("can be used again") == 0 { // the minute's look
		agent.routes.Tidy()
	}
	data, err := os.ReadFile(made)
	must(t, err)
	want := strings.Fields(string(data))
	s.setHeld(false)
	eventually(t, "all that waited", func() bool { // the last run may be in the client's hands yet
		var got []string
		for _, r := range s.results("") {
			got = append(got, string(r.Output))
		}
		return !slices.ContainsFunc(want[:len(want)-1], func(w string) bool { return !slices.Contains(got, w) })
	})
	stop()
	if page := agent.status(); page.Journal.Refuses != "" {
		t.Errorf("status says %q", page.Journal.Refuses)
	}
	onDisk, err := journal.Open(journal.Options{Dir: filepath.Join(s.options.StateDir, "journal")})
	must(t, err)
	defer onDisk.Close()
	if stats := onDisk.Stats(); stats.Last < 1<<40 || stats.Damages > 0 {
		t.Errorf("on the disk: %+v", stats)
	}
}
