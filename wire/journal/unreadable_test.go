package journal

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
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

// What a disk does not give now it may give another time.
func TestWhatCannotBeReadIsNotCut(t *testing.T) {
	r, s, told := lastOf(t, fixture(t))
	f, err := os.Open(s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	walk := func(src io.ReaderAt) *walker {
		w := &walker{src: src, salt: s.salt, end: s.size, limit: noLimit, span: pageSize}
		w.start(headerBlock, s.first())
		for w.step() != evEnd {
		}
		return w
	}
	size, lastMark := s.size, walk(f).markOff
	r.finishLast(s, walk(badFrom{f, lastMark}))
	if info, err := f.Stat(); err != nil || info.Size() != size {
		t.Errorf("the segment had %d bytes and has %d, %v", size, info.Size(), err)
	}
	if s.size != lastMark || !r.torn {
		t.Errorf("of %d bytes %d are used and not %d, torn %v", size, s.size, lastMark, r.torn)
	}
	if len(*told) != 1 || !strings.Contains((*told)[0].What, "could not be read (input/output error)") {
		t.Errorf("told %v", *told)
	}
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
