package journal

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	fixtureRecords = 240
	fixtureBatch   = 10
)

// fixture makes a journal of several segments that nobody has acknowledged, and
// returns its directory, with a reader "a" that is known.
func fixture(t *testing.T) string {
	t.Helper()
	h := open(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10})
	h.reader("a", Oldest)
	h.put(0, fixtureRecords, fixtureBatch)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(segments(t, h.o.Dir)); n < 4 {
		t.Fatalf("fixture of %d segments, want 4 or more", n)
	}
	return h.o.Dir
}

// reopened is what a damaged directory gives.
type reopened struct {
	harness
	read, recovered []int
}

// reopen opens dir without and with Recovered, reads everything, and holds the
// two against each other.
func reopen(t *testing.T, dir string) reopened {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other")
	copyDir(t, dir, other)
	r := reopened{harness: open(t, Options{Dir: dir, NoSync: true})}
	r.read = drain(t, r.reader("a", Oldest))
	o := Options{Dir: other, NoSync: true, Recovered: func(rec Record) { r.recovered = append(r.recovered, number(t, rec)) }}
	h := open(t, o)
	if got := drain(t, h.reader("a", Oldest)); !slices.Equal(got, r.read) || !slices.Equal(r.recovered, r.read) {
		t.Fatalf("read %v\nrecovered %v\nread after recovery %v", r.read, r.recovered, got)
	}
	return r
}

// goesOn checks that new records find their place behind what is there.
func (r reopened) goesOn() {
	r.t.Helper()
	before := r.Stats().Last
	r.put(fixtureRecords, fixtureRecords+20, 5)
	rd := r.reader("late", Oldest)
	if got := drain(r.t, rd); !slices.Equal(got, append(slices.Clone(r.read), numbers(fixtureRecords, fixtureRecords+20)...)) {
		r.t.Fatalf("after the damage and new records got %v", got)
	}
	if last := r.Stats().Last; last != before+20 {
		r.t.Fatalf("last sequence %d, before it was %d", last, before)
	}
}

func (r reopened) lost() int64 {
	r.t.Helper()
	return r.Stats().LostRecords
}

func TestTornTailAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	h.put(0, 6, 3)
	path := segments(t, dir)[0]
	whole, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	h.put(6, 9, 3)
	// Where each record of the last batch ends.
	ends := []int64{}
	at := whole.Size() + markSize
	for n := 6; n < 9; n++ {
		at += recordHeader + int64(len(payload(n)))
		ends = append(ends, at)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	for size := whole.Size(); size < at; size++ {
		cut := filepath.Join(scratch, fmt.Sprint(size))
		if err := os.Mkdir(cut, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cut, filepath.Base(path)), content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		good := 6
		for _, end := range ends {
			if end <= size {
				good++
			}
		}
		r := open(t, Options{Dir: cut, NoSync: true})
		if got := drain(t, r.reader("a", Oldest)); !slices.Equal(got, numbers(0, good)) {
			t.Fatalf("cut at %d: got %v, want %d", size, got, good)
		}
		if size == whole.Size() {
			r.wantDamages(0)
		} else {
			r.wantDamages(1)
		}
		r.put(good, good+2, 1)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, Options{Dir: cut, NoSync: true})
		if got := drain(t, r.reader("b", Oldest)); !slices.Equal(got, numbers(0, good+2)) {
			t.Fatalf("cut at %d and written to: got %v", size, got)
		}
		r.wantDamages(0)
		_ = r.Close()
		if err := os.RemoveAll(cut); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlippedBits flips a bit at many places of each segment: no start fails, at
// most the rest of one batch goes, and what goes is told to the record.
func TestFlippedBits(t *testing.T) {
	dir := fixture(t)
	scratch := t.TempDir()
	for _, path := range segments(t, dir) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(content); at += 1 + at*7919%1801 {
			broken := slices.Clone(content)
			broken[at] ^= 1 << (at % 8)
			copied := filepath.Join(scratch, fmt.Sprint(filepath.Base(path), at))
			copyDir(t, dir, copied)
			replaceFile(t, filepath.Join(copied, filepath.Base(path)), broken)
			r := reopen(t, copied)
			lost := fixtureRecords - len(r.read)
			if lost > fixtureBatch || int(r.lost()) != lost {
				t.Fatalf("%s, byte %d: %d records lost, %d told: %v", filepath.Base(path), at, lost, r.lost(), *r.damages)
			}
			if lost > 0 && len(*r.damages) != 1 {
				t.Fatalf("%s, byte %d: told %v", filepath.Base(path), at, *r.damages)
			}
			_ = r.Close()
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	// What is done to segment i, and of which segments the records go.
	replace := func(f func(content []byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name string
		do   func(t *testing.T, path string)
		told string // part of what is told
		left bool   // the file stays as it is
	}{
		{"missing", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "segment missing", false},
		{"empty", replace(func([]byte) []byte { return nil }), "without content", false},
		{"header gone", replace(func(b []byte) []byte { clear(b[:headerBlock]); return b }), "no readable segment header", true},
		{"shorter than a header", replace(func(b []byte) []byte { return b[:40] }), "without content", false},
		{"future version", replace(func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[8:], 2)
			binary.LittleEndian.PutUint32(b[headerSecond+8:], 2)
			return b
		}), "format version 2", true},
		{"a directory in its place", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file", true},
		{"another segment's content", func(t *testing.T, path string) {
			b, err := os.ReadFile(segments(t, filepath.Dir(path))[2])
			if err != nil {
				t.Fatal(err)
			}
			b[headerSecond-1]++ // of no meaning, but not the same file
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "its header says", true},
	}
	for _, test := range tests {
		for _, which := range []string{"first", "middle", "last"} {
			t.Run(test.name+", "+which, func(t *testing.T) {
				dir := fixture(t)
				all := segments(t, dir)
				i := map[string]int{"first": 0, "middle": 1, "last": len(all) - 1}[which]
				from, to := firstOf(t, all[i])-1, fixtureRecords
				if i+1 < len(all) {
					to = firstOf(t, all[i+1]) - 1
				}
				test.do(t, all[i])
				r := reopen(t, dir)
				want := append(numbers(0, from), numbers(to, fixtureRecords)...)
				if !slices.Equal(r.read, want) {
					t.Fatalf("got %v, want all but [%d, %d)", r.read, from, to)
				}
				r.wantDamages(1)
				d := (*r.damages)[0]
				if d.File != all[i] || !strings.Contains(d.What, test.told) || d.Lost != int64(to-from) || d.AtLeast != (which == "last") {
					t.Fatalf("told %v, want %s, %q and %d lost", d, all[i], test.told, to-from)
				}
				r.goesOn()
				if _, err := os.Stat(all[i]); (err == nil) != test.left {
					t.Fatalf("is the file still there: %v, want %v", err == nil, test.left)
				}
			})
		}
	}
}

// replaceFile writes a new file, because ext4 waits for the disk when an old one
// is overwritten.
func replaceFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func firstOf(t *testing.T, path string) int {
	t.Helper()
	first, ok := parseSegmentName(filepath.Base(path))
	if !ok {
		t.Fatalf("%q is no segment's name", path)
	}
	return int(first)
}
