package client

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

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
			r := c.outbox.journal.Load().Stats().Readers
			return len(r) == 1 && r[0].Pending >= 3
		}
	}
	eventually(t, "results of an earlier run", waiting(earlier))
	stop()

	log := &words{}
	agent, err := New(s.options, zerolog.New(log))
	must(t, err)
	must(t, agent.outbox.journal.Load().Close())
	inMemory, err := agent.outbox.inMemory()
	must(t, err)
	agent.outbox.journal.Store(inMemory)
	agent.outbox.noDisk(errors.New("no space left"))
	s.setHeld(false)
	stop = s.run(agent)
	eventually(t, "results from memory", func() bool { return s.count() >= 3 })
	s.setHeld(true)
	eventually(t, "results that wait in memory", waiting(agent))
	if page := agent.status(); !strings.Contains(page.Journal.Refuses, "no space left; results are kept in memory only") {
		t.Errorf("status says %q", page.Journal.Refuses)
	}
	for log.times("can be used again") == 0 { // the minute's look
		agent.disk.look(&agent.deliveries)
	}
	s.setHeld(false)
	stop()
	if page := agent.status(); page.Journal.Refuses != "" {
		t.Errorf("status says %q", page.Journal.Refuses)
	}
	data, err := os.ReadFile(made)
	must(t, err)
	want := strings.Fields(string(data))
	var got []string
	for _, r := range s.results("") {
		got = append(got, string(r.Output))
	}
	for _, w := range want[:len(want)-1] { // the last run was stopped, perhaps
		if !slices.Contains(got, w) {
			t.Errorf("a result was lost, the server has %d of %d", len(got), len(want))
			break
		}
	}
	onDisk, err := journal.Open(journal.Options{Dir: filepath.Join(s.options.StateDir, "journal")})
	must(t, err)
	defer onDisk.Close()
	if stats := onDisk.Stats(); stats.Last < 1<<40 || stats.Damages > 0 {
		t.Errorf("on the disk: %+v", stats)
	}
}
