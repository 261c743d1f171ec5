package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// harness is a journal under test that fails its test at the first error.
type harness struct {
	*Journal
	t       *testing.T
	damages *[]Damage
}

func open(t *testing.T, o Options) harness {
	t.Helper()
	h := harness{t: t, damages: new([]Damage)}
	if o.Damaged == nil {
		o.Damaged = func(d Damage) { *h.damages = append(*h.damages, d) }
	}
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Journal = j
	t.Cleanup(func() { _ = j.Close() })
	return h
}

// payload is what record n of a test holds: its number and some length of its own.
func payload(n int) string {
	size := n * 37 % 200
	if n%64 == 63 {
		size = n * 37 % 30000
	}
	return fmt.Sprintf("%d:%s", n, strings.Repeat("x", size))
}

// put appends and flushes the records [from, to), each flush one batch.
func (h harness) put(from, to, batch int) {
	h.t.Helper()
	for from < to {
		n := min(batch, to-from)
		h.add(from, from+n)
		from += n
		if err := h.Flush(); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h harness) add(from, to int) {
	h.t.Helper()
	all := make([][]byte, 0, to-from)
	for n := from; n < to; n++ {
		all = append(all, []byte(payload(n)))
	}
	if _, err := h.Append(all...); err != nil {
		h.t.Fatal(err)
	}
}

func (h harness) reader(name string, from Start) *Reader {
	h.t.Helper()
	r, err := h.Reader(name, from)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = r.Close() })
	return r
}

// drain returns what r can see, as the numbers of the records, and checks their
// payloads and their order.
func drain(t *testing.T, r *Reader) (numbers []int) {
	t.Helper()
	var last uint64
	for {
		recs, err := r.TryNext(nil, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			return numbers
		}
		for _, rec := range recs {
			if rec.Seq <= last {
				t.Fatalf("sequence %d after %d", rec.Seq, last)
			}
			last = rec.Seq
			numbers = append(numbers, number(t, rec))
		}
	}
}

func number(t *testing.T, rec Record) int {
	t.Helper()
	n, err := parse(rec)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parse(rec Record) (n int, err error) {
	if _, err := fmt.Sscanf(string(rec.Payload), "%d:", &n); err != nil || string(rec.Payload) != payload(n) {
		return 0, fmt.Errorf("record %d holds %q", rec.Seq, rec.Payload)
	}
	return n, nil
}

func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

func (h harness) wantDamages(n int) {
	h.t.Helper()
	if len(*h.damages) != n {
		h.t.Fatalf("%d damages told, want %d: %v", len(*h.damages), n, *h.damages)
	}
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRoundTripOverSegmentsAndRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "journal")
	o := Options{Dir: dir, SegmentBytes: 16 << 10}
	h := open(t, o)
	r := h.reader("core", Oldest)
	h.put(0, 500, 7)
	if got := drain(t, r); !slices.Equal(got, numbers(0, 500)) {
		t.Fatalf("got %v", got)
	}
	r.Ack(200)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	var recovered []int
	o.Recovered = func(rec Record) { recovered = append(recovered, number(t, rec)) }
	h = open(t, o)
	r = h.reader("core", Newest)
	if got := drain(t, r); !slices.Equal(got, numbers(200, 500)) {
		t.Fatalf("after a restart got %v", got)
	}
	if !slices.Equal(recovered, numbers(0, 500)) {
		t.Fatalf("recovered %v", recovered)
	}
	if n := len(segments(t, dir)); n < 5 {
		t.Fatalf("%d segments, want several", n)
	}
	r.Ack(500)
	if err := h.Trim(); err != nil {
		t.Fatal(err)
	}
	if n := len(segments(t, dir)); n != 1 {
		t.Fatalf("%d segments left after all was acknowledged", n)
	}
	h.wantDamages(0)
	for path, mode := range map[string]os.FileMode{dir: 0o700, segments(t, dir)[0]: 0o600, filepath.Join(dir, lockName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Fatalf("%s: %v %v, want %o", path, info, err, mode)
		}
	}
}

func TestSequencesGoOnAfterRestart(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	for want := uint64(1); want < 40; want += 10 {
		h := open(t, o)
		if first, err := h.Append(slices.Repeat([][]byte{[]byte("a")}, 10)...); first != want || err != nil {
			t.Fatalf("first sequence %d, %v, want %d", first, err, want)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(segments(t, o.Dir)); n != 1 {
		t.Fatalf("%d segments after orderly restarts, want 1", n)
	}
}

func TestVisibleAtFlushOrAtAppend(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		for _, early := range []bool{false, true} {
			o := Options{ReadUnflushed: early}
			if dir != "" {
				o.Dir = filepath.Join(dir, fmt.Sprint(early))
			}
			h := open(t, o)
			r := h.reader("a", Oldest)
			h.add(0, 3)
			want := numbers(0, 3)
			if got := drain(t, r); slices.Equal(got, want) != early {
				t.Fatalf("dir %q, ReadUnflushed %v: got %v before the flush", o.Dir, early, got)
			}
			if err := h.Flush(); err != nil {
				t.Fatal(err)
			}
			r.Rewind()
			if got := drain(t, r); !slices.Equal(got, want) {
				t.Fatalf("dir %q, ReadUnflushed %v: got %v after the flush", o.Dir, early, got)
			}
		}
	}
}

func TestNextKeepsToItsLimits(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	r := h.reader("a", Oldest)
	sizes := []int{10, 10, 5000, 1, 1, 1, 1 << 20, 0}
	for _, n := range sizes {
		if _, err := h.Append(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 7 {
		recs, err := r.Next(t.Context(), nil, 3, 30)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, rec := range recs {
			got = append(got, len(rec.Payload))
			sum += len(rec.Payload)
		}
		if len(recs) > 3 || sum > 30 && len(recs) > 1 {
			t.Fatalf("%d records of %d bytes at once", len(recs), sum)
		}
		if len(got) == len(sizes) {
			break
		}
	}
	if !slices.Equal(got, sizes) {
		t.Fatalf("sizes %v, want %v", got, sizes)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Options{})
		r := h.reader("a", Oldest)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			h.add(0, 1)
			_ = h.Flush()
			time.Sleep(time.Hour)
			_ = h.Close()
		}()
		if recs, err := r.Next(ctx, nil, 10, 10); err != nil || len(recs) != 1 {
			t.Fatalf("%v, %v", recs, err)
		}
		if _, err := r.Next(ctx, nil, 10, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after the deadline: %v", err)
		}
		if _, err := r.Next(t.Context(), nil, 10, 10); !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
	})
}
