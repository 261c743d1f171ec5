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
	r, segments := newSegmentedRig(t, 4)
	second := segments[1]
	makeUnreadable(t, second)
	c := r.newCore()
	r.start()
	c.expect(1, 5)
	r.waitUnreadable()
	if err := os.Rename(second+".away", second); err != nil {
		t.Fatal(err)
	}
	c.expect(6, 20)
	eventually(t, "all is delivered", func() bool { return r.sink.Status().Outcomes[Delivered] == 20 })
	if waiting := r.sink.Status().Waiting; waiting != "" {
		t.Errorf("it still waits: %s", waiting)
	}
	r.stop()
	if n := c.lines.Buffered(); n > 0 {
		t.Errorf("%d bytes came again", n)
	}
}

func TestAJournalOfWhichTheRestIsLostIsWaitedForNoMore(t *testing.T) {
	t.Parallel()
	r, segments := newSegmentedRig(t, 2)
	makeUnreadable(t, segments[1])
	c := r.newCore()
	r.start()
	c.expect(1, 5)
	r.waitUnreadable()
	if err := os.Remove(segments[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is waited for", func() bool { return r.sink.Status().Waiting == "" })
	r.stop()
}

// newSegmentedRig has five results in each of n segments of its journal.
func newSegmentedRig(t *testing.T, n int) (r *rig, segments []string) {
	t.Helper()
	dir := t.TempDir()
	r = newRigOn(t, journal.Options{Dir: dir, SegmentBytes: 1})
	for range n {
		r.submit(5, 10)
		if err := r.journal.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(segments) != n {
		t.Fatal(segments, err)
	}
	return r, segments
}

// makeUnreadable puts the file away and has its name lead to itself, so that it cannot be opened.
func makeUnreadable(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) waitUnreadable() {
	r.t.Helper()
	eventually(r.t, "the status says so", func() bool { return strings.Contains(r.sink.Status().Waiting, "open segment") })
}
