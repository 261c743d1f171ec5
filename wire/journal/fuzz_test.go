package journal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

// FuzzSegment takes any bytes as what follows a good header, or, if raw, as a
// whole segment file. With stamp every mark in it gets the right checksum, so
// that lengths and counts that no writer would make are believed.
func FuzzSegment(f *testing.F) {
	salt := saltCRC(0)
	batch := func(first uint64, records ...string) []byte {
		b := make([]byte, markSize)
		for i, r := range records {
			b = appendRecord(b, first+uint64(i), []byte(r))
		}
		encodeMark(b, mark{uint32(len(b) - markSize), uint32(len(records)), stamp{wall: 1}, first}, salt)
		return b
	}
	good := append(batch(1, "a", "", "ccc"), batch(4, "d")...)
	f.Add(good, false, false)
	f.Add(append(encodeHeader(header{first: 1}), good...), true, false)
	f.Add(good[:len(good)-3], false, false)
	f.Add(append(append(batch(1, "a"), "rubbish"...), batch(2, "b")...), false, true)
	f.Add(append(batch(1, batchMagic, batchMagic), batch(3, "b")[8:]...), false, true)
	f.Add(bytes.Repeat([]byte(batchMagic), 100), false, true)
	f.Add(append(batch(1, "a"), batch(9, "jump")...), false, false)
	f.Add([]byte{}, true, false)
	f.Fuzz(func(t *testing.T, content []byte, raw, stamp bool) {
		if !raw {
			content = append(encodeHeader(header{first: 1}), content...)
		}
		if stamp {
			stampMarks(content, salt)
		}
		n := walkAll(t, content)
		openAny(t, content, n)
	})
}

func stampMarks(b []byte, salt uint32) {
	for at := 0; ; at += len(batchMagic) {
		i := bytes.Index(b[at:], []byte(batchMagic))
		if i < 0 || at+i+markSize > len(b) {
			return
		}
		at += i
		m := b[at : at+markSize]
		c := crc32.Update(salt, castagnoli(), m[:36])
		m[36], m[37], m[38], m[39] = byte(c), byte(c>>8), byte(c>>16), byte(c>>24)
	}
}

// walkAll walks content with a small and a large window, and checks that it ends
// and that each record is one.
func walkAll(t *testing.T, content []byte) (records int) {
	h, err := decodeHeader(content)
	if err != nil {
		return 0
	}
	count := func(span int) (n int) {
		w := &walker{src: bytes.NewReader(content), salt: saltCRC(h.salt), end: int64(len(content)), limit: noLimit, span: span}
		w.start(headerBlock, h.first)
		last := h.first - 1
		for steps := 0; ; steps++ {
			if steps > 2*len(content) {
				t.Fatal("the walk does not end")
			}
			switch w.step() {
			case evRecord:
				rec := appendRecord(nil, w.next-1, w.payload)
				if w.next-1 <= last || !bytes.Equal(rec, content[w.off-int64(len(rec)):w.off]) {
					t.Fatalf("record %d after %d is not one of the file", w.next-1, last)
				}
				last = w.next - 1
				n++
			case evPinned:
				t.Fatal("pinned without a pin")
			case evEnd:
				return n
			}
		}
	}
	small, large := count(markSize), count(windowSize)
	if small != large {
		t.Fatalf("%d records through a small window, %d through a large one", small, large)
	}
	return large
}

// openAny opens a journal of that one file; what Open recovers, a reader gets.
func openAny(t *testing.T, content []byte, want int) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), content, 0o600); err != nil {
		t.Fatal(err)
	}
	recovered := 0
	j, err := Open(Options{Dir: dir, NoSync: true, Recovered: func(Record) { recovered++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	r, err := j.Reader("a", Oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := 0
	for {
		recs, err := r.TryNext(nil, 7, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			break
		}
		read += len(recs)
	}
	if h, err := decodeHeader(content); err != nil || h.first != 1 {
		want = 0
	}
	if recovered != want || read != want {
		t.Fatalf("the file holds %d records, recovered %d, read %d", want, recovered, read)
	}
}

// badSectors fails every read that touches [from, to).
type badSectors struct {
	*bytes.Reader
	from, to int64
}

func (b badSectors) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= b.from || off >= b.to {
		return b.Reader.ReadAt(p, off)
	}
	if off >= b.from {
		return 0, errors.New("input/output error")
	}
	n, _ := b.Reader.ReadAt(p[:b.from-off], off)
	return n, errors.New("input/output error")
}

// TestBadSector: a place that the disk cannot read costs the batches that it
// touches and no more.
func TestBadSector(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	h.put(0, 600, 5)
	s := *h.segs[0]
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for from := int64(headerBlock); from < s.size-2*pageSize; from += 7 * pageSize {
		src := badSectors{bytes.NewReader(content), from, from + pageSize}
		w := &walker{src: src, salt: s.salt, end: s.size, limit: s.last() + 1}
		w.start(headerBlock, s.first())
		good, lost, touched := 0, uint64(0), 0
		for ev := w.step(); ev != evEnd; ev = w.step() {
			switch ev {
			case evRecord:
				good++
			case evGap:
				lost += w.gap.to - w.gap.from
			}
		}
		for _, b := range batches(t, content, s) {
			if b.off < from+pageSize && b.off+markSize+int64(b.length) > from {
				touched += int(b.count)
			}
		}
		if good+int(lost) != 600 || int(lost) > touched {
			t.Fatalf("bad sector at %d: %d good, %d lost, %d in the batches there", from, good, lost, touched)
		}
	}
}

type placedMark struct {
	mark
	off int64
}

func batches(t *testing.T, content []byte, s segment) (all []placedMark) {
	t.Helper()
	for off := int64(headerBlock); off < s.size; {
		m, ok := decodeMark(content[off:off+markSize], s.salt)
		if !ok {
			t.Fatalf("no mark at %d", off)
		}
		all = append(all, placedMark{m, off})
		off += markSize + int64(m.length)
	}
	return all
}
