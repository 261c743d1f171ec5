package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFailedSync puts a device in the place of the segment's file that takes
// every write and refuses to flush. The batch that could not be flushed may be on
// the disk nevertheless: it must come once.
func TestFailedSync(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	h := open(t, o)
	r := h.reader("a", Oldest)
	h.put(0, 5, 5)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.active.Close()
	h.active = null
	h.add(5, 10)
	var de *DiskError
	if err := h.Flush(); !errors.As(err, &de) || de.Op != flushOp || !errors.Is(err, unix.EINVAL) {
		t.Fatalf("flush to a device that cannot: %v", err)
	}
	if got := drain(t, r); !slices.Equal(got, numbers(0, 5)) {
		t.Fatalf("before it is flushed got %v", got)
	}
	written := slices.Clone(h.tail[0].buf)
	h.add(10, 12)
	f, err := os.OpenFile(segments(t, o.Dir)[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(written); err != nil {
		t.Fatal(err)
	}
	f.Close()
	crashed := filepath.Join(t.TempDir(), "crashed")
	copyDir(t, o.Dir, crashed)
	if err := h.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(segments(t, o.Dir)); n != 2 {
		t.Fatalf("%d segments, want a new one after a failed flush", n)
	}
	if got := drain(t, r); !slices.Equal(got, numbers(5, 12)) {
		t.Fatalf("after the next flush got %v", got)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]int{o.Dir: 12, crashed: 10} {
		again := reopen(t, dir)
		if !slices.Equal(again.read, numbers(0, want)) {
			t.Fatalf("%s: got %v", dir, again.read)
		}
		again.wantDamages(0)
	}
}

// TestFlushOfWhatAnEarlierProcessWrote has the disk refuse it: nothing counts as
// flushed until it does not.
func TestFlushOfWhatAnEarlierProcessWrote(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	h := open(t, o)
	h.put(0, 5, 5)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	if h.left != "" {
		t.Fatalf("%s is not flushed", h.left)
	}
	h.left = os.DevNull // which cannot
	for range 2 {
		var de *DiskError
		if err := h.Flush(); !errors.As(err, &de) || de.Op != flushOp || h.Stats().Failing == nil {
			t.Fatalf("flushed: %v", err)
		}
	}
	for i, file := range []string{segments(t, o.Dir)[0], segments(t, o.Dir)[0] + ".trimmed"} {
		h.left = file
		h.put(5+i, 6+i, 1)
		if h.Stats().Failing != nil || h.left != "" {
			t.Errorf("%v, %s is not flushed", h.Stats().Failing, h.left)
		}
	}
	if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, numbers(0, 7)) {
		t.Errorf("written again, it holds %v", got)
	}
}

// TestLeftOverSegment puts a file where the next segment is to be made, as a try
// does that the disk refused, the removal included: empty, or with what is in the
// tail still.
func TestLeftOverSegment(t *testing.T) {
	written := open(t, Options{Dir: t.TempDir()})
	written.put(0, 10, 5)
	full, err := os.ReadFile(segments(t, written.o.Dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "a header": full[:headerBlock], "torn": full[:len(full)-1], "whole": full} {
		h := open(t, Options{Dir: t.TempDir()})
		h.add(0, 5)
		if err := os.WriteFile(filepath.Join(h.o.Dir, segmentName(1)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.Flush(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h.put(5, 12, 1)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h = open(t, Options{Dir: h.o.Dir})
		if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, numbers(0, 12)) {
			t.Errorf("%s: got %v", name, got)
		}
		h.wantDamages(0)
	}
}

// TestCrashWhileASegmentIsBegun leaves each piece of a new segment's first write
// behind.
func TestCrashWhileASegmentIsBegun(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir, SegmentBytes: 1})
	h.put(0, 4, 1)
	all := segments(t, dir)
	last, err := os.ReadFile(all[len(all)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 63, 64, 2048, headerSecond + headerSize, headerBlock - 1, headerBlock, headerBlock + markSize, len(last)} {
		crashed := filepath.Join(t.TempDir(), "crashed")
		copyDir(t, dir, crashed)
		if err := os.Remove(filepath.Join(crashed, stateName)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, filepath.Base(all[3])), last[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		h := open(t, Options{Dir: crashed, SegmentBytes: 1})
		want := 3
		if size == len(last) {
			want = 4
		}
		h.put(want, want+2, 1)
		if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, numbers(0, want+2)) {
			t.Fatalf("%d bytes of it: got %v", size, got)
		}
		wantLost := int64(0)
		if size == headerBlock+markSize {
			wantLost = 1 // the mark tells of it, though its flush had not ended
		}
		if lost := h.Stats().LostRecords; lost != wantLost {
			t.Fatalf("%d bytes of it: %d told as lost: %v", size, lost, *h.damages)
		}
		_ = h.Close()
	}
}

// TestPowerLossAtEachFlush keeps a copy of the directory at each moment and
// opens them all: what was flushed is there, in order, and nothing that a reader
// saw before comes again under its sequence.
func TestPowerLossAtEachFlush(t *testing.T) {
	for _, early := range []bool{false, true} {
		o := Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, ReadUnflushed: early}
		h := open(t, o)
		r := h.reader("a", Oldest)
		type moment struct {
			dir           string
			flushed, seen int
			acked         uint64
		}
		var moments []moment
		flushed := 0
		for n := range 24 {
			h.add(n*5, n*5+5)
			if n%2 == 1 {
				if err := h.Flush(); err != nil {
					t.Fatal(err)
				}
				flushed = n*5 + 5
			}
			drain(t, r)
			if n%5 == 4 {
				r.Ack(uint64(flushed - 7))
				if err := h.Trim(); err != nil {
					t.Fatal(err)
				}
			}
			m := moment{filepath.Join(t.TempDir(), "copy"), flushed, n*5 + 5, r.Acked()}
			copyDir(t, o.Dir, m.dir)
			moments = append(moments, m)
		}
		for _, m := range moments {
			h := open(t, Options{Dir: m.dir, ReadUnflushed: early})
			first, err := h.Append([]byte(payload(999)))
			if err != nil || early && first <= uint64(m.seen) || first <= uint64(m.flushed) {
				t.Fatalf("new sequence %d, %v; %d were seen, %d flushed", first, err, m.seen, m.flushed)
			}
			if err := h.Flush(); err != nil {
				t.Fatal(err)
			}
			r := h.reader("a", Oldest)
			if r.Acked() != m.acked {
				t.Fatalf("acknowledged %d, want %d", r.Acked(), m.acked)
			}
			if got := drain(t, r); !slices.Equal(got, append(numbers(int(m.acked), m.flushed), 999)) {
				t.Fatalf("got %v, want what is behind %d up to %d", got, m.acked, m.flushed)
			}
			h.wantDamages(0)
			_ = h.Close()
		}
	}
}

func TestCloseTellsOfWhatSomebodyStillNeeds(t *testing.T) {
	for acked, want := range map[uint64]string{7: "3 records could not be stored", 10: ""} {
		o := Options{Dir: filepath.Join(t.TempDir(), "journal"), ReadUnflushed: true}
		h := open(t, o)
		r := h.reader("a", Oldest)
		h.put(0, 5, 5)
		h.active.Close()
		if err := os.Rename(o.Dir, o.Dir+" away"); err != nil {
			t.Fatal(err)
		}
		h.add(5, 10)
		drain(t, r)
		r.Ack(acked)
		err := h.Close()
		if err == nil || !strings.Contains(err.Error(), want) || want == "" && strings.Contains(err.Error(), "could not be stored") {
			t.Errorf("with %d of 10 acknowledged: %v", acked, err)
		}
	}
}
