package journal

import (
	"slices"
	"testing"
	"time"
)

// An owner that began without a disk goes over to it with all that waits.
func TestAdopt(t *testing.T) {
	m := newMachine()
	o := Options{Dir: t.TempDir(), ReadUnflushed: true, clock: m}
	h := open(t, o)
	h.reader("a", Oldest)
	h.put(0, 10, 5) // of an earlier process
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	m.pass(time.Hour)
	memory := open(t, Options{ReadUnflushed: true, First: 1 << 40, clock: m})
	r := memory.reader("a", Oldest)
	memory.put(10, 20, 5)
	if got := drain(t, r); !slices.Equal(got, numbers(10, 20)) {
		t.Fatalf("from memory: %v", got)
	}
	r.Ack(1<<40 + 4) // its first batch
	memory.add(20, 23)
	m.pass(time.Hour)

	h = open(t, o)
	if err := h.Adopt(memory.Journal); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.Append([]byte("x")); err != ErrClosed {
		t.Errorf("the adopted one still takes something: %v", err)
	}
	h.put(23, 30, 7)
	r = h.reader("a", Oldest)
	h.wantOver(r, 2*time.Hour+3*time.Second, 0)
	want := append(numbers(0, 10), numbers(15, 30)...)
	if got := drain(t, r); !slices.Equal(got, want) {
		t.Errorf("from the disk: %v, want %v", got, want)
	}
	if h.Stats().Durable != h.Stats().Last {
		t.Error("not all is flushed")
	}
	h.lock.Close() // a kill
	h = open(t, o)
	r = h.reader("a", Oldest)
	if got := drain(t, r); !slices.Equal(got, want) {
		t.Errorf("after a kill: %v", got)
	}
	h.wantOver(r, time.Hour+3*time.Second, 10)
	h.wantOver(r, time.Hour-3*time.Second, 1<<40+12)
	h.wantDamages(0)
}

// Sequences that the disk had before cannot come again.
func TestAdoptOnlyHigherSequences(t *testing.T) {
	o := Options{Dir: t.TempDir(), ReadUnflushed: true}
	h := open(t, o)
	h.put(0, 10, 5)
	memory := open(t, Options{ReadUnflushed: true, First: 10})
	memory.put(0, 3, 3)
	if err := h.Adopt(memory.Journal); err == nil {
		t.Error("adopted")
	}
	if _, err := memory.Append([]byte("x")); err != nil {
		t.Errorf("the one in memory does not go on: %v", err)
	}
}
