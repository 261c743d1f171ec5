package sink

import (
	"os"
	"strings"
	"testing"
	"time"
)

func newMarkerRig(t *testing.T) (*rig, *core) {
	t.Helper()
	r := newRig(t)
	r.sink.MarkerTick = 50 * time.Millisecond
	return r, r.newCore()
}

// marker returns the file of the marker that comes next.
func (c *core) marker() string {
	c.t.Helper()
	path := c.passed()
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		c.t.Fatalf("no marker: %v, %v", info, err)
	}
	return path
}

// Who reads the pipe for a core that hangs goes on, and what it has read is lost when the core is killed.
func TestWhatTheCoreHasNotWorkedOnHoldsTheJournal(t *testing.T) {
	r, c := newMarkerRig(t)
	r.start()
	r.submit(3, 0)
	c.expect(1, 3)
	first := c.marker()
	r.submit(2, 0)
	c.expect(4, 5)
	time.Sleep(3 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d, and the core has not worked on anything", acked)
	}
	c.remove(first)
	second := c.marker()
	eventually(t, "what is before the first marker is acknowledged", func() bool { return r.reader.Acked() == 3 })
	time.Sleep(3 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 3 {
		t.Errorf("acknowledged up to %d", acked)
	}
	c.file.Close() // it is killed
	eventually(t, "that is noticed", func() bool { return r.sink.Status().Waiting != "" })
	c = r.newCore()
	c.expect(4, 5)
	if _, err := os.Stat(second); !os.IsNotExist(err) {
		t.Errorf("the old core's marker: %v", err)
	}
	c.remove(c.marker())
	eventually(t, "all is acknowledged", func() bool { return r.reader.Acked() == 5 })
	time.Sleep(3 * r.sink.MarkerTick)
	if n := c.lines.Buffered(); n > 0 {
		t.Errorf("%d bytes more, and nothing new", n)
	}
	r.stop()
	if entries, err := os.ReadDir(r.sink.Spool); err != nil || len(entries) > 0 {
		t.Errorf("left in the spool directory: %q, %v", entries, err)
	}
}

// It may run in a container of its own, or not be let into the directory.
func TestOfACoreThatRemovesNoMarkersWhatItHasReadCounts(t *testing.T) {
	r, c := newMarkerRig(t)
	r.sink.Unread = 200 * time.Millisecond
	r.start()
	r.submit(2, 0)
	c.expect(1, 2)
	c.marker()
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
	r.submit(2, 0)
	c.expect(3, 4)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 4 })
	if waiting := r.sink.Status().Waiting; waiting != "" {
		t.Errorf("it waits: %s", waiting)
	}
}

func TestACoreThatCannotBePassedMarkersGetsResults(t *testing.T) {
	t.Parallel()
	r, c := newMarkerRig(t)
	r.sink.Spool = r.path + "/below a pipe"
	r.start()
	r.submit(2, 0)
	c.expect(1, 2)
	time.Sleep(spoolPatience / 2)
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d, while the directory may be well soon", acked)
	}
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
}

// One that hung may hang again; one that cannot see the files never will.
func TestACoreThatLeftAMarkerUnreadIsTriedAgain(t *testing.T) {
	now := time.Now()
	for seen, again := range map[bool]time.Duration{true: markerAgain, false: spoolAgain} {
		c := newRig(t).sink
		c.MarkerTick, c.filesSeen, c.unmarked = time.Second, seen, 1
		c.giveUpMarker(now)
		if c.marksWork(now.Add(again)) || !c.marksWork(now.Add(again+1)) {
			t.Errorf("had removed others %v: markers come again at %v", seen, c.unmarkedUntil.Sub(now))
		}
		if !c.holdsUnmarked(now.Add(c.Window-1)) || c.holdsUnmarked(now.Add(c.Window)) {
			t.Errorf("what the core has read stays until %v", c.holdUntil.Sub(now))
		}
	}
}

func TestIcingaGetsNoMarkers(t *testing.T) {
	r, c := newMarkerRig(t)
	r.sink.Dialect = Icinga
	r.start()
	r.submit(2, 0)
	for range 2 {
		if line := c.line(); strings.Contains(line, "PROCESS_FILE") {
			t.Errorf("got %q", line)
		}
	}
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
	if n := c.lines.Buffered(); n > 0 {
		t.Errorf("%d bytes more", n)
	}
}
