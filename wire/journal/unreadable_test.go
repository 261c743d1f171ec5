package journal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/disk/disktest"
)

// badFrom is a file that the disk does not give from an offset on.
type badFrom struct {
	io.ReaderAt
	off int64
}

func (b badFrom) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= b.off {
		return b.ReaderAt.ReadAt(p, off)
	}
	n, _ := b.ReaderAt.ReadAt(p[:max(0, b.off-off)], off)
	return n, syscall.EIO
}

// awayUntil is a file on a disk that gives nothing before a time.
type awayUntil struct {
	io.ReaderAt
	back time.Time
}

func (a awayUntil) ReadAt(p []byte, off int64) (int, error) {
	if time.Now().Before(a.back) {
		return 0, syscall.EIO
	}
	return a.ReaderAt.ReadAt(p, off)
}

// oneSegment is a journal of several batches.
func oneSegment(t *testing.T) (dir string) {
	t.Helper()
	h := open(t, Options{Dir: t.TempDir()})
	h.put(0, 50, 10)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return h.o.Dir
}

// lastOf begins a recovery of a journal of which nobody reads anything, and returns its last segment.
func lastOf(t *testing.T, dir string) (*recovery, *segment, *[]Damage) {
	t.Helper()
	told := &[]Damage{}
	o := Options{Dir: dir, Damaged: func(d Damage) { *told = append(*told, d) }}
	r := &recovery{j: &Journal{o: o, told: map[place]bool{}}}
	if err := r.list(); err != nil || len(r.segs) == 0 {
		t.Fatalf("list: %v", err)
	}
	return r, r.segs[len(r.segs)-1], told
}

func openSegment(t *testing.T, s *segment) *os.File {
	t.Helper()
	f, err := os.Open(s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// What a disk does not give now it may give another time.
func TestWhatCannotBeReadIsNotCut(t *testing.T) { synctest.Test(t, whatCannotBeReadIsNotCut) }

func whatCannotBeReadIsNotCut(t *testing.T) {
	r, s, told := lastOf(t, oneSegment(t))
	f := openSegment(t, s)
	size := s.size
	if _, err := r.walk(f, s, noLimit, false); err != nil {
		t.Fatal(err)
	}
	lastMark := r.walker.markOff
	begun := time.Now()
	if after, err := r.walk(badFrom{f, lastMark}, s, noLimit, false); err != nil || after <= s.first() {
		t.Fatalf("up to record %d, %v", after, err)
	}
	if took := time.Since(begun); took != disk.Patience {
		t.Errorf("asked for %v in all", took)
	}
	if info, err := f.Stat(); err != nil || info.Size() != size {
		t.Errorf("the segment had %d bytes and has %d, %v", size, info.Size(), err)
	}
	if s.size != lastMark || !r.torn || !s.unread {
		t.Errorf("of %d bytes %d are used and not %d, torn %v, unread %v", size, s.size, lastMark, r.torn, s.unread)
	}
	if len(*told) != 1 || !strings.Contains((*told)[0].What, "could not be read (input/output error)") {
		t.Errorf("told %v", *told)
	}
}

func TestASegmentOfWhichNothingCanBeReadStays(t *testing.T) {
	synctest.Test(t, aSegmentOfWhichNothingCanBeReadStays)
}

func aSegmentOfWhichNothingCanBeReadStays(t *testing.T) {
	r, s, told := lastOf(t, oneSegment(t))
	f := openSegment(t, s)
	if _, err := r.walk(badFrom{f, headerBlock}, s, noLimit, false); !errors.Is(err, syscall.EIO) || len(*told) > 0 {
		t.Errorf("error %v, told %v", err, *told)
	}
}

func TestADiskThatIsAwayForAMomentCostsAStartNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, told := lastOf(t, oneSegment(t))
		f := openSegment(t, s)
		size := s.size
		after, err := r.walk(awayUntil{f, time.Now().Add(disk.Patience / 2)}, s, noLimit, false)
		if err != nil || after != s.first()+50 || s.size != size || r.torn || len(*told) > 0 {
			t.Errorf("up to record %d, %v; %d of %d bytes are used, torn %v, told %v", after, err, s.size, size, r.torn, *told)
		}
	})
}

func TestCursorsThatAreAwayForAMomentAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Options{Dir: t.TempDir()})
		r := h.reader("a", Oldest)
		h.put(0, 50, 10)
		drain(t, r)
		r.Ack(20)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		disktest.TakeAwayFor(t, 2*time.Second, r.path) // it is read behind the state
		disktest.TakeAwayFor(t, time.Second, filepath.Join(h.o.Dir, stateName))
		last := h.Stats().Last
		h = open(t, h.o)
		if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, numbers(20, 50)) || h.Stats().Last != last {
			t.Errorf("got %v, the last sequence is %d and was %d", got, h.Stats().Last, last)
		}
		h.wantDamages(0)
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Young records must not seem old for it.
func TestASegmentThatIsNotIndexedForNowIsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Options{Dir: oneSegment(t)})
		r := h.reader("a", Oldest)
		drain(t, r)
		r.Ack(20)
		putBack := disktest.TakeAway(t, segments(t, h.o.Dir)[0])
		h.segs[0].indexed = false
		if s := h.Stats(); !s.Readers[0].Unsure || h.segs[0].indexed {
			t.Error("a segment that could not be read is indexed")
		}
		putBack()
		time.Sleep(indexAgain + 1)
		if s := h.Stats(); s.Readers[0].Unsure || !h.segs[0].indexed {
			t.Error("a segment that can be read is not indexed")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What the disk did not give at one start it may give at the next, which must look for it.
func TestWhatCouldNotBeReadIsReadLater(t *testing.T) {
	o := Options{Dir: t.TempDir(), ReadUnflushed: true}
	h := open(t, o)
	h.reader("away", Oldest)
	h.put(0, 50, 10)
	h.Trim()
	h.put(50, 100, 10)
	path := segments(t, o.Dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.lock.Close() // a kill
	if err := os.Truncate(path, int64(len(whole)/2)); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	h.segs[0].unread = true
	h.put(100, 110, 10)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	if got := drain(t, h.reader("away", Oldest)); !slices.Equal(got, numbers(0, 110)) {
		t.Errorf("got %v", got)
	}
}

func TestADiskThatIsAwayForAMomentCostsNothing(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	r := h.reader("a", Oldest)
	h.put(0, 3000, 3000)
	if recs, err := r.TryNext(nil, 1, 1<<20); err != nil || len(recs) != 1 {
		t.Fatal(recs, err)
	}
	r.w.src, r.w.window = badFrom{r.file, 0}, r.w.window[:0]
	var refused *DiskError
	if recs, err := r.TryNext(nil, 10, 1<<20); len(recs) > 0 || !errors.As(err, &refused) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	r.Ack(1)
	r.Rewind()
	if got := drain(t, r); !slices.Equal(got, numbers(1, 3000)) {
		t.Errorf("got %d of 2999 records", len(got))
	}
	h.wantDamages(0)
}

func TestWhatADiskRefusesForMinutesIsPassedOver(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	r := h.reader("a", Oldest)
	h.put(0, 100, 10)
	r.w.failed = syscall.EIO
	ask := func() error { return r.passOver("segment", gap{1, r.pos, r.pos + 10, "damaged"}) }
	if err := ask(); err == nil {
		t.Fatal("passed over at once")
	}
	r.refusal.spent = patience // as if it had been asked for it all the time
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	h.wantDamages(1)
	if d := (*h.damages)[0]; d.What != "damaged (input/output error)" {
		t.Errorf("told %v", d)
	}
	if err := ask(); err != nil {
		t.Error("a disk that gives nothing at all was asked again for each place")
	}
	r.pos -= 20 // as by Rewind
	if err := ask(); err != nil {
		t.Errorf("asked for a place again after a rewind: %v", err)
	}
	r.gave(r.pos + 50)
	r.pos += 100
	if err := ask(); err == nil {
		t.Error("the next place of a disk that gave something was not asked for")
	}
}

// Who cannot come to a disk for hours has asked it twice.
func TestOnlyTriesCountAgainstADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Reader("a", Oldest)
		if err != nil {
			t.Fatal(err)
		}
		tries := 0
		for ; r.refused(readOp, "segment", syscall.EIO) != nil; tries++ {
			time.Sleep(time.Hour)
		}
		if want := int(patience / patienceStep); tries != want {
			t.Errorf("passed over after %d tries, want %d", tries, want)
		}
	})
}

// As with too many open files.
func TestASegmentThatCannotBeOpenedStays(t *testing.T) {
	r, s, _ := lastOf(t, fixture(t))
	hidden := s.path + ".hidden"
	if err := os.Rename(s.path, hidden); err != nil {
		t.Fatal(err)
	}
	before := len(r.segs)
	r.scanAll()
	if len(r.segs) != before-1 || len(r.aside) != 1 || r.aside[0].first != s.first() || r.aside[0].empty {
		t.Errorf("%d of %d segments used, set aside %+v", len(r.segs), before, r.aside)
	}
	if err := os.Rename(hidden, s.path); err != nil {
		t.Fatal(err)
	}
	if r, _, _ := lastOf(t, r.j.o.Dir); len(r.segs) != before {
		t.Errorf("%d of %d segments are left", len(r.segs), before)
	}
}
