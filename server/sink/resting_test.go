package sink

import (
	"testing"
	"testing/synctest"
	"time"
)

// What the core has taken waits for nothing, but stays in the journal until it
// is sure that the core has worked on it.
func TestWhatTheCoreHasTakenRests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sink.Window = time.Hour
	c := r.newCore()
	r.submit(3, 0)
	if of := r.sink.Status(); of.Taken != 0 {
		t.Errorf("taken up to %d before the start", of.Taken)
	}
	r.start()
	c.expect(1, 3)
	eventually(t, "all is taken", func() bool { return r.sink.Status().Taken == 3 })
	if behind := r.journal.Behind(3); r.reader.Acked() != 0 || behind.Pending != 0 || !behind.Oldest.IsZero() {
		t.Errorf("acknowledged up to %d, behind it is %+v", r.reader.Acked(), behind)
	}
	r.submit(2, 0)
	if behind := r.journal.Behind(3); behind.Pending != 2 || behind.Oldest.IsZero() {
		t.Errorf("behind what was taken is %+v", behind)
	}
	c.expect(4, 5)
	r.stop()
	r.sink.Feed.rewind()
	if of := r.sink.Status(); of.Taken != 0 {
		t.Errorf("taken up to %d by a core that is gone", of.Taken)
	}
}

func TestWhatNobodyIsHandedRestsWithWhatIsBeforeIt(t *testing.T) {
	var l ledger
	for seq, outcome := range []Outcome{1: Delivered, 2: DroppedOlder, 3: GivenUpUnreadable, 4: Written, 5: RejectedNoObject, 6: Delivered} {
		if seq > 0 {
			l.add(uint64(seq), outcome)
		}
	}
	for seq, want := range map[uint64]uint64{1: 3, 4: 5, 6: 6} {
		if got := l.restsUpTo(seq); got != want {
			t.Errorf("with %d rests all up to %d, want %d", seq, got, want)
		}
	}
}

func TestWhatAHungCoreHasOnlyReadWaits(t *testing.T) {
	t.Parallel()
	r, c := newFenceRig(t)
	r.sink.Window = time.Hour
	r.start()
	r.submit(3, 0)
	c.expect(1, 3)
	first := c.fence()
	r.submit(2, 0)
	c.expect(4, 5)
	if of := r.sink.Status(); of.Taken != 0 {
		t.Errorf("taken up to %d, and the core has not worked on anything", of.Taken)
	}
	c.remove(first)
	second := c.fence()
	eventually(t, "what is before the first fence is taken", func() bool { return r.sink.Status().Taken == 3 })
	c.remove(second)
	eventually(t, "all is taken", func() bool { return r.sink.Status().Taken == 5 })
}

func TestAFileThatTheCoreTookRests(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 5)
		r.file()
		if of := r.sink.Status(); of.Taken != 0 {
			t.Errorf("taken up to %d before the core came", of.Taken)
		}
		r.expectFile(1, 5)
		time.Sleep(time.Second)
		synctest.Wait()
		if of := r.sink.Status(); of.Taken != 5 || r.reader.Acked() != 0 {
			t.Errorf("taken up to %d, acknowledged up to %d", of.Taken, r.reader.Acked())
		}
	})
}

func TestWhatTheAPIHasAnsweredRests(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	r.sink.Window = time.Hour
	r.send("a", 1, 5)
	r.start()
	eventually(t, "all is taken", func() bool { return r.sink.Status().Taken == 5 })
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d inside the window", acked)
	}
}
