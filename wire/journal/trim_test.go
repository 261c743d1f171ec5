package journal

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func TestBeforeRemoveComesFirstAndCanRefuse(t *testing.T) {
	refusal := errors.New("no checkpoint")
	var upTo uint64
	var left int
	answer := refusal
	dir := t.TempDir()
	h := open(t, Options{Dir: dir, SegmentBytes: 8 << 10, BeforeRemove: func(seq uint64) error {
		upTo, left = seq, len(segments(t, dir))
		return answer
	}})
	r := h.reader("a", Oldest)
	h.put(0, 300, 10)
	drain(t, r)
	r.Ack(200)
	before := segments(t, dir)
	if err := h.Trim(); !errors.Is(err, refusal) || len(segments(t, dir)) != len(before) {
		t.Fatalf("trim: %v, %d of %d segments left", err, len(segments(t, dir)), len(before))
	}
	if lost, err := h.PushOut(1); !errors.Is(err, refusal) || len(lost) != 0 || len(segments(t, dir)) != len(before) {
		t.Fatalf("push out: %v, lost %v", err, lost)
	}
	answer = nil
	if err := h.Trim(); err != nil {
		t.Fatal(err)
	}
	after := segments(t, dir)
	if left != len(before) || int(upTo) != firstOf(t, after[0])-1 || upTo > 200 || len(after) == len(before) {
		t.Fatalf("told of %d with %d segments there; %d before, %v after", upTo, left, len(before), after)
	}
}

func TestPushOut(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 16 << 10}
	h := open(t, o)
	slow, quick := h.reader("slow", Oldest), h.reader("quick", Oldest)
	h.put(0, 300, 10)
	drain(t, quick)
	second := firstOf(t, segments(t, o.Dir)[1]) - 1
	quick.Ack(uint64(second) - 4)
	if holders, _ := h.Holders(); !slices.Equal(holders, []string{"quick", "slow"}) {
		t.Fatalf("held by %v", holders)
	}
	lost, err := h.PushOut(1)
	if err != nil || len(lost) != 2 || lost["slow"] != second || lost["quick"] != 4 {
		t.Fatalf("lost %v, %v; the segment held %d records", lost, err, second)
	}
	if got := drain(t, slow); !slices.Equal(got, numbers(second, 300)) {
		t.Fatalf("behind what was pushed out got %v", got)
	}
	// Everything, the newest segment too: it goes on with a new one.
	lost, err = h.PushOut(1 << 30)
	if err != nil || lost["slow"] != 300-second || len(segments(t, o.Dir)) != 0 {
		t.Fatalf("lost %v, %v", lost, err)
	}
	h.put(300, 310, 5)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	if got := drain(t, h.reader("slow", Oldest)); !slices.Equal(got, numbers(300, 310)) {
		t.Fatalf("got %v", got)
	}
	h.wantDamages(0)
}

// TestSegmentsThatCannotBeRemoved stay in use, and go with the next Trim.
func TestSegmentsThatCannotBeRemoved(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 8 << 10}
	h := open(t, o)
	r := h.reader("a", Oldest)
	h.put(0, 200, 10)
	drain(t, r)
	r.Ack(200)
	first := segments(t, o.Dir)[0]
	// A directory with something in it cannot be removed, by root neither.
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(first+"/in the way", 0o700); err != nil {
		t.Fatal(err)
	}
	var de *DiskError
	if err := h.Trim(); !errors.As(err, &de) || de.Path != first || h.Stats().Failing == nil {
		t.Fatalf("trim: %v", err)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	if err := h.Trim(); err != nil || len(segments(t, o.Dir)) != 1 {
		t.Fatalf("trim: %v, left %v", err, segments(t, o.Dir))
	}
}

// TestManyAtOnce runs the owner, three readers and a watcher at the same time.
// Each reader must see every record once and in order, though it goes back now
// and then.
func TestManyAtOnce(t *testing.T) {
	for _, o := range []Options{
		{Dir: t.TempDir(), SegmentBytes: 64 << 10, NoSync: true},
		{Dir: t.TempDir(), SegmentBytes: 64 << 10, NoSync: true, ReadUnflushed: true},
		{TailBytes: 256 << 10},
	} {
		const total = 6000
		h := open(t, o)
		var readers, all sync.WaitGroup
		var finished atomic.Bool
		for _, name := range []string{"a", "b", "c"} {
			r := h.reader(name, Oldest)
			readers.Go(func() { readAll(t, r, total, len(name)) })
		}
		all.Go(func() {
			for !finished.Load() {
				for _, s := range h.Stats().Readers {
					if s.Pending > total {
						t.Errorf("%d pending", s.Pending)
					}
				}
				h.Holders()
			}
		})
		done := make(chan struct{})
		all.Go(func() { readers.Wait(); close(done) })
		own(t, h, total, done)
		finished.Store(true)
		all.Wait()
		h.wantDamages(0)
	}
}

// own appends, flushes and trims until done.
func own(t *testing.T, h harness, total int, done chan struct{}) {
	for n := 0; ; {
		select {
		case <-done:
			return
		default:
		}
		if n < total {
			if _, err := h.Append([]byte(payload(n))); err == nil {
				n++
			} else if !errors.Is(err, ErrTailFull) {
				t.Error(err)
				return
			}
		}
		if n%16 == 0 || n == total {
			if err := errors.Join(h.Flush(), h.Trim()); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func readAll(t *testing.T, r *Reader, total, seed int) {
	var recs []Record
	var err error
	want, back := 0, 0
	for want < total {
		if recs, err = r.Next(t.Context(), recs, 1+(want+seed)%90, 1<<20); err != nil {
			t.Error(err)
			return
		}
		for _, rec := range recs {
			if n, err := parse(rec); err != nil || n != want || rec.Seq != uint64(n)+1 {
				t.Errorf("reader %s got %d as %d, want %d: %v", r.Name(), n, rec.Seq, want, err)
				return
			}
			want++
		}
		if back++; back%7 == 0 {
			r.Rewind()
			want = int(r.Acked())
		} else if back%3 == 0 {
			r.Ack(uint64(want) - uint64(len(recs)/2))
		}
	}
	r.Ack(uint64(total))
}

// What a full tail costs is the oldest of the tail, not what a reader has waiting on the disk before it.
func TestDropTailSparesTheDisk(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir(), ReadUnflushed: true})
	behind, abreast := h.reader("behind", Oldest), h.reader("abreast", Oldest)
	h.put(0, 100, 10)
	if got := drain(t, abreast); len(got) != 100 {
		t.Fatalf("%d on the disk", len(got))
	}
	h.add(100, 200)
	for range 2 {
		if lost := h.DropTailOldest(5); lost["behind"] != 5 || lost["abreast"] != 5 {
			t.Fatalf("lost %v", lost)
		}
	}
	if err := h.Trim(); err != nil {
		t.Fatal(err)
	}
	if got, want := drain(t, behind), append(numbers(0, 100), numbers(110, 200)...); !slices.Equal(got, want) {
		t.Errorf("who is behind gets %d of %d: %v", len(got), len(want), got)
	}
	if got := drain(t, abreast); !slices.Equal(got, numbers(110, 200)) {
		t.Errorf("who is not gets %v", got)
	}
}

// Records that were acknowledged before they were flushed are not missing once their segment is gone.
func TestWhatWasAcknowledgedUnflushedIsNotMissed(t *testing.T) {
	o := Options{Dir: t.TempDir(), ReadUnflushed: true}
	h := open(t, o)
	r := h.reader("a", Oldest)
	h.put(0, 10, 10)
	h.add(10, 13)
	drain(t, r)
	r.Ack(13)
	for range 2 {
		if err := errors.Join(h.Trim(), h.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	h.lock.Close() // a kill: the next process begins a segment
	h = open(t, o)
	h.put(13, 20, 7)
	if err := h.Trim(); err != nil || len(segments(t, o.Dir)) != 1 {
		t.Fatal(err, segments(t, o.Dir))
	}
	h.lock.Close()
	h = open(t, o)
	h.wantDamages(0)
}
