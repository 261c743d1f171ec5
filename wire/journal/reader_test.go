package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadersStartAndGo(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir(), SegmentBytes: 8 << 10})
	h.put(0, 50, 10)
	oldest, newest := h.reader("https://core:5665/a b", Oldest), h.reader("new", Newest)
	if _, err := h.Reader("new", Oldest); err == nil {
		t.Error("a reader was opened twice")
	}
	for _, name := range []string{"", strings.Repeat("x", maxEscapedName+1)} {
		if _, err := h.Reader(name, Oldest); err == nil {
			t.Errorf("a reader called %q was opened", name)
		}
	}
	h.put(50, 60, 10)
	if got := drain(t, oldest); !slices.Equal(got, numbers(0, 60)) {
		t.Errorf("from the oldest on got %v", got)
	}
	if got := drain(t, newest); !slices.Equal(got, numbers(50, 60)) {
		t.Errorf("from the newest on got %v", got)
	}
	for from, want := range map[Start]int{1: 1, 25: 25, 60: 60, 1000: 60} {
		if got := drain(t, h.reader(fmt.Sprint("from ", from), from)); !slices.Equal(got, numbers(want, 60)) {
			t.Errorf("from %d on got %v", from, got)
		}
	}
	newest.Ack(60)
	if err := newest.Close(); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, h.reader("new", Oldest)); len(got) != 0 {
		t.Errorf("a known reader, opened again, got %v", got)
	}
}

// TestKnownReaderHoldsItsRecords: a reader that nobody opened in this process
// keeps its segments until it is removed.
func TestKnownReaderHoldsItsRecords(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 8 << 10}
	h := open(t, o)
	h.reader("away", Oldest)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	r := h.reader("here", Oldest)
	h.put(0, 200, 10)
	drain(t, r)
	r.Ack(200)
	before := len(segments(t, o.Dir))
	trim := func() int {
		if err := h.Trim(); err != nil {
			t.Fatal(err)
		}
		return len(segments(t, o.Dir))
	}
	if n := trim(); n != before || before < 3 {
		t.Fatalf("%d segments, %d before, although one reader has read nothing", n, before)
	}
	if holders, size := h.Holders(); !slices.Equal(holders, []string{"away"}) || size == 0 {
		t.Fatalf("held by %v, %d bytes", holders, size)
	}
	if err := h.RemoveReader("away"); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveReader("away"); err == nil {
		t.Error("a reader was removed twice")
	}
	if n := trim(); n != 1 {
		t.Fatalf("%d segments after the only one that needed them was removed", n)
	}
	if cursors, _ := filepath.Glob(filepath.Join(o.Dir, "*"+cursorSuffix)); len(cursors) != 1 {
		t.Fatalf("cursors left: %v", cursors)
	}
}

func TestAckIsHeldAgainstWhatWasRead(t *testing.T) {
	h := open(t, Options{})
	r := h.reader("a", Oldest)
	h.put(0, 10, 10)
	r.Ack(5)
	if n := r.Acked(); n != 0 {
		t.Fatalf("%d acknowledged before anything was read", n)
	}
	if recs, err := r.TryNext(nil, 4, 1<<20); err != nil || len(recs) != 4 {
		t.Fatal(recs, err)
	}
	r.Ack(1 << 40)
	r.Ack(2)
	if n := r.Acked(); n != 4 {
		t.Fatalf("%d acknowledged, 4 were read", n)
	}
	r.Rewind()
	if got := drain(t, r); !slices.Equal(got, numbers(4, 10)) {
		t.Fatalf("after Rewind got %v", got)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += int64(len(b))
	}
	b[at] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamageIsAcknowledgedWithWhatLiesBefore: else the segment of a damaged last
// batch would never go.
func TestDamageIsAcknowledgedWithWhatLiesBefore(t *testing.T) {
	dir := fixture(t)
	flip(t, segments(t, dir)[0], -1)
	flip(t, segments(t, dir)[len(segments(t, dir))-1], -1)
	h := open(t, Options{Dir: dir})
	r := h.reader("a", Oldest)
	got := drain(t, r)
	for _, n := range got {
		r.Ack(uint64(n) + 1)
	}
	h.wantDamages(2)
	if s := h.Stats(); s.Readers[0].Pending != 0 || s.LostRecords != int64(fixtureRecords-len(got)) || s.LostRecords == 0 {
		t.Fatalf("%+v after %d of %d records", s, len(got), fixtureRecords)
	}
	r.Rewind()
	if got := drain(t, r); len(got) != 0 {
		t.Fatalf("after all was acknowledged got %v", got)
	}
	h.wantDamages(2)
}

// TestSegmentVanishesWhileOpen: somebody cleans up what is not his.
func TestSegmentVanishesWhileOpen(t *testing.T) {
	for name, do := range map[string]func(path string) error{
		"removed":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, headerBlock+10) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := fixture(t)
			h := open(t, Options{Dir: dir})
			r := h.reader("a", Oldest)
			all := segments(t, dir)
			if err := do(all[1]); err != nil {
				t.Fatal(err)
			}
			from, to := firstOf(t, all[1])-1, firstOf(t, all[2])-1
			want := append(numbers(0, from), numbers(to, fixtureRecords)...)
			if got := drain(t, r); !slices.Equal(got, want) {
				t.Fatalf("got %v, want all but [%d, %d)", got, from, to)
			}
			h.wantDamages(1)
			if d := (*h.damages)[0]; d.Lost != int64(to-from) || d.File != all[1] {
				t.Fatalf("told %v, want %d lost", d, to-from)
			}
		})
	}
}

func TestCursorDamage(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	r := h.reader("a", Oldest)
	h.put(0, 30, 10)
	drain(t, r)
	for _, seq := range []uint64{10, 20} {
		r.Ack(seq)
		if err := h.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	_ = h.Close()
	cursor := filepath.Join(dir, "a"+cursorSuffix)
	// Generation 3 is in the second slot, 2 in the first.
	for _, step := range []struct{ flip, from, told int }{{-1, 20, 0}, {slotSecond + 17, 10, 0}, {17, 0, 1}} {
		if step.flip >= 0 {
			flip(t, cursor, int64(step.flip))
		}
		copied := filepath.Join(t.TempDir(), "copy")
		copyDir(t, dir, copied)
		h := open(t, Options{Dir: copied})
		if got := drain(t, h.reader("a", Newest)); !slices.Equal(got, numbers(step.from, 30)) {
			t.Fatalf("after flipping %d got %v", step.flip, got)
		}
		h.wantDamages(step.told)
		_ = h.Close()
	}
}

func TestStateDamage(t *testing.T) {
	for _, flips := range [][]int64{{0}, {0, slotSecond}} {
		dir := t.TempDir()
		h := open(t, Options{Dir: dir, ReadUnflushed: true})
		h.put(0, 3, 1)
		_ = h.Close()
		for _, at := range flips {
			flip(t, filepath.Join(dir, stateName), at)
		}
		h = open(t, Options{Dir: dir, ReadUnflushed: true})
		h.wantDamages(len(flips) - 1)
		if first, err := h.Append([]byte(payload(3))); err != nil || first < 4 || first < seqReserve {
			t.Fatalf("sequence %d after a damaged state: %v", first, err)
		}
		if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, numbers(0, 4)) {
			t.Fatalf("got %v", got)
		}
	}
}

// TestStateCannotBeStored: the start goes on, the trouble shows, and Trim heals it.
func TestStateCannotBeStored(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, stateName)
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	h := open(t, Options{Dir: dir, ReadUnflushed: true})
	h.wantDamages(1)
	if s := h.Stats(); s.Failing == nil || s.DiskErrors == 0 {
		t.Fatalf("%+v", s)
	}
	if err := h.Trim(); err == nil {
		t.Fatal("a state was stored over a directory")
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if err := h.Trim(); err != nil || h.Stats().Failing != nil {
		t.Fatal(err, h.Stats().Failing)
	}
	if s, err := readSlots(state); err != nil || s.seq < seqReserve {
		t.Fatal(s, err)
	}
}

// TestAges gives up what is too old, by the time of its batch, and tells the age
// of what is left, on disk, in memory, and after a restart.
func TestAges(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		synctest.Test(t, func(t *testing.T) {
			o := Options{Dir: dir, SegmentBytes: 16 << 10, NoSync: true}
			h := open(t, o)
			r := h.reader("a", Oldest)
			begin := time.Now()
			for n := 0; n < 300; n += 10 {
				h.put(n, n+10, 10)
				time.Sleep(time.Minute)
			}
			pass := func(minutes, want int) {
				t.Helper()
				got, err := r.PassOlder(begin.Add(time.Duration(minutes)*time.Minute - time.Second))
				if err != nil || got != want {
					t.Fatalf("older than minute %d: %d passed, want %d, %v", minutes, got, want, err)
				}
			}
			oldest := func(want int) {
				t.Helper()
				s := h.Stats().Readers[0]
				if at := begin.Add(time.Duration(want) * time.Minute); !s.Oldest.Equal(at) {
					t.Fatalf("oldest %v, want minute %d, %v", s.Oldest.Sub(begin), want, at.Sub(begin))
				}
			}
			pass(0, 0)
			pass(3, 30)
			oldest(3)
			if recs, err := r.TryNext(nil, 5, 1<<20); err != nil || len(recs) != 5 || number(t, recs[0]) != 30 || !recs[0].Time.Equal(begin.Add(3*time.Minute)) {
				t.Fatal(recs, err)
			}
			r.Ack(35)
			oldest(3)
			pass(20, 165)
			if dir != "" {
				_ = r.Close()
				_ = h.Close()
				h = open(t, o)
				r = h.reader("a", Oldest)
			}
			oldest(20)
			pass(25, 50)
			oldest(25)
			if got := drain(t, r); !slices.Equal(got, numbers(250, 300)) {
				t.Fatalf("got %v", got)
			}
			pass(1000, 50)
			h.wantDamages(0)
		})
	}
}

// TailBytes bounds what records take, also where they come one at a time and nothing can be flushed.
func TestASlowTailTakesLittleMoreThanItsRecords(t *testing.T) {
	h := open(t, Options{})
	h.reader("away", Oldest)
	for range 1000 {
		if _, err := h.Append(make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		if err := h.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	room := 0
	for _, c := range h.tail {
		room += cap(c.buf)
	}
	if counted := h.Stats().TailBytes; int64(room) > 2*counted {
		t.Errorf("%d bytes are taken for the %d that count", room, counted)
	}
}
