package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire/journal"
)

// A core that was never restarted gets each result once, whatever the journal's disk does.
func TestAJournalThatCannotBeReadIsNoRestartOfTheCore(t *testing.T) {
	dir := t.TempDir()
	r := newRigOn(t, journal.Options{Dir: dir, SegmentBytes: 1})
	for range 4 {
		r.submit(5, 10)
		if err := r.journal.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(segments) != 4 {
		t.Fatal(segments, err)
	}
	second := segments[1]
	if err := os.Rename(second, second+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(second, second); err != nil { // it leads to itself, and so cannot be opened
		t.Fatal(err)
	}
	c := r.newCore()
	r.start()
	c.expect(1, 5)
	eventually(t, "the status says so", func() bool { return strings.Contains(r.sink.Status().Waiting, "open segment") })
	if err := os.Rename(second+".away", second); err != nil {
		t.Fatal(err)
	}
	c.expect(6, 20)
	eventually(t, "all is delivered", func() bool { return r.sink.Status().Counts[CountDelivered] == 20 })
	if waiting := r.sink.Status().Waiting; waiting != "" {
		t.Errorf("it still waits: %s", waiting)
	}
	r.stop()
	if n := c.lines.Buffered(); n > 0 {
		t.Errorf("%d bytes came again", n)
	}
}
