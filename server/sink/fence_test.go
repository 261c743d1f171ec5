package sink

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func newFenceRig(t *testing.T) (*rig, *reader) {
	t.Helper()
	r := newRig(t)
	r.sink.FenceTick = 50 * time.Millisecond
	return r, r.newCore()
}

// fence returns the file of the fence that comes next.
func (c *reader) fence() string {
	c.t.Helper()
	path := c.passed()
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		c.t.Fatalf("no fence: %v, %v", info, err)
	}
	return path
}

// Who reads the pipe for a core that hangs goes on, and what it has read is lost when the core is killed.
func TestWhatTheCoreHasNotWorkedOnHoldsTheJournal(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.start()
	r.submit(3, 0)
	c.expect(1, 3)
	first := c.fence()
	r.submit(2, 0)
	c.expect(4, 5)
	time.Sleep(3 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d, and the core has not worked on anything", acked)
	}
	c.remove(first)
	second := c.fence()
	eventually(t, "what is before the first fence is acknowledged", func() bool { return r.reader.Acked() == 3 })
	time.Sleep(3 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 3 {
		t.Errorf("acknowledged up to %d", acked)
	}
	c.file.Close() // it is killed
	eventually(t, "that is noticed", func() bool { return r.sink.Status().Waiting != "" })
	c = r.newCore()
	c.expect(4, 5)
	if _, err := os.Stat(second); !os.IsNotExist(err) {
		t.Errorf("the old core's fence: %v", err)
	}
	c.remove(c.fence())
	eventually(t, "all is acknowledged", func() bool { return r.reader.Acked() == 5 })
	time.Sleep(3 * r.sink.FenceTick)
	if n := c.lines.Buffered(); n > 0 {
		t.Errorf("%d bytes more, and nothing new", n)
	}
	r.stop()
	if entries, err := os.ReadDir(r.sink.Spool); err != nil || len(entries) > 0 {
		t.Errorf("left in the spool directory: %q, %v", entries, err)
	}
}

// It may run in a container of its own, or not be let into the directory.
func TestOfACoreThatRemovesNoFencesWhatItHasReadCounts(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.sink.Unread = 200 * time.Millisecond
	r.start()
	r.submit(2, 0)
	c.expect(1, 2)
	c.fence()
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
	r.submit(2, 0)
	c.expect(3, 4)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 4 })
	if waiting := r.sink.Status().Waiting; waiting != "" {
		t.Errorf("it waits: %s", waiting)
	}
}

func TestACoreThatCannotBePassedFencesGetsResults(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
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
func TestACoreThatLeftAFenceUnreadIsTriedAgain(t *testing.T) {
	now := time.Now()
	for seen, again := range map[bool]time.Duration{true: fenceAgain, false: spoolAgain} {
		c := newRig(t).sink
		c.FenceTick, c.filesSeen, c.fence.unfenced = time.Second, seen, 1
		c.giveUpFence(&passed{path: "fence"}, now)
		if c.fence.proof != "fence" || !c.fence.due.Equal(now.Add(again)) {
			t.Errorf("had removed others %v: it may still remove %q, and the next comes after %v", seen, c.fence.proof, c.fence.due.Sub(now))
		}
		if !c.holdsUnfenced(now.Add(c.Window-1)) || c.holdsUnfenced(now.Add(c.Window)) {
			t.Errorf("what the core has read stays until %v", c.fence.holdUntil.Sub(now))
		}
	}
}

// It was held up for longer than anybody waits, and goes on.
func TestACoreThatHungTellsAgainWhatItHasWorkedOn(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.sink.Unread = 2 * time.Second
	r.start()
	r.submit(2, 0)
	c.expect(1, 2)
	late := c.fence()
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
	c.remove(late)
	r.submit(2, 0)
	c.expect(3, 4)
	next := c.fence()
	r.submit(1, 0)
	c.expect(5, 5)
	time.Sleep(3 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 2 {
		t.Errorf("acknowledged up to %d, and the core has not worked on that", acked)
	}
	c.remove(next)
	c.remove(c.fence())
	eventually(t, "all is acknowledged", func() bool { return r.reader.Acked() == 5 })
}

// Its time with a file counts on: else who restarts it now and then holds the
// journal for ever.
func TestACoreThatRestartsAndRemovesNoFenceIsGivenUp(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.sink.Unread = time.Second
	r.start()
	r.submit(2, 0)
	acked := func() bool { return r.reader.Acked() == 2 }
	// Each life of the core ends a while after the first fence, which it does not
	// remove: no life is long enough by itself, unless the machine is slow. The
	// results may be given up at any moment of it.
	eventually(t, "acknowledged, however often the core restarts", func() bool {
		for !acked() && !strings.Contains(c.lineOr(acked), "PROCESS_FILE;") {
		}
		for end := time.Now().Add(400 * time.Millisecond); !acked() && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		c.file.Close()
		eventually(t, "its end is noticed, or of no matter", func() bool { return acked() || r.sink.Status().Waiting != "" })
		c = r.newCore()
		return acked()
	})
}

// lineOr is the next line, or "" once done is true and there is none.
func (c *reader) lineOr(done func() bool) (line string) {
	c.t.Helper()
	eventually(c.t, "a line", func() bool {
		c.file.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		part, err := c.lines.ReadString('\n')
		if line += part; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("read the pipe: %v", err)
		}
		return err == nil || done()
	})
	return line
}

// A fence stands also for what is in front of a long result before it.
func TestALongResultDoesNotLetGoOfWhatIsInFrontOfIt(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.submit(2, 0)
	r.submit(1, 5000)
	r.submit(1, 0)
	r.start()
	c.expect(1, 2)
	long := c.passed()
	c.expect(4, 4)
	fence := c.fence()
	for _, step := range []func(){func() {}, func() { c.remove(long) }} {
		step()
		time.Sleep(3 * r.sink.Window)
		if acked := r.reader.Acked(); acked != 0 {
			t.Errorf("acknowledged up to %d, and the core has not removed the fence", acked)
		}
	}
	c.remove(fence)
	eventually(t, "all is acknowledged", func() bool { return r.reader.Acked() == 4 })
}

// What somebody removes with its directory, the core has not read.
func TestASpoolDirectoryThatIsRemovedSaysNothingOfTheCore(t *testing.T) {
	r, c := newFenceRig(t)
	r.submit(2, 0)
	r.submit(1, 5000)
	r.start()
	c.expect(1, 2)
	c.passed()
	c.fence()
	if err := os.RemoveAll(r.sink.Spool); err != nil {
		t.Fatal(err)
	}
	c.expect(1, 2)
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d", acked)
	}
	c.remove(c.passed())
	c.remove(c.fence())
	eventually(t, "all is acknowledged", func() bool { return r.reader.Acked() == 3 })
}

func TestIcingaGetsNoFences(t *testing.T) {
	r, c := newFenceRig(t)
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
