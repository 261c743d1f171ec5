package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

// Start is where a reader begins that the journal does not know yet: behind that
// sequence, as far as there are records.
type Start uint64

const (
	Oldest Start = 0       // with everything that is there
	Newest Start = ^Oldest // with what is appended from now on
)

const maxEscapedName = 200 // leaves room for the suffix in a file name of 255

// Reader goes through the records in order. It remembers two places: the
// position, which Next moves, and up to where everything is acknowledged, which
// outlives the process.
type Reader struct {
	j    *Journal
	name string
	path string        // of its cursor
	wake chan struct{} // holds a token when something may have become visible

	stored slot // the owner's: the cursor as last stored

	mu     sync.Mutex // guards what follows; taken inside Journal.mu, never around it
	open   bool
	acked  uint64
	handed uint64 // the highest sequence that Next has passed
	gaps   []gap  // damage that it passed, not acknowledged yet

	// The reading goroutine's alone.
	pos  uint64 // the sequence that Next returns next, or the first after it
	seg  *segment
	file *os.File
	w    walker
	from *chunk // where it last read in the tail
	off  int    // and an offset there
	at   uint64 // and the sequence of the record at it

	refusal refusal // what the disk last did not give
}

// ValidReaderName returns nil if a reader may have that name.
func ValidReaderName(name string) error {
	if n := len(url.PathEscape(name)); n == 0 || n > maxEscapedName {
		return fmt.Errorf("the name must have 1 to %d bytes as a file name, and has %d", maxEscapedName, n)
	}
	return nil
}

// Reader opens the reader called name. One that is known from before, in this
// process or an earlier one, goes on behind what it acknowledged; another begins
// at from. One whose cursor is damaged reads again from the oldest record.
func (j *Journal) Reader(name string, from Start) (*Reader, error) {
	if err := ValidReaderName(name); err != nil {
		return nil, fmt.Errorf("open journal reader %q: %w", name, err)
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil, ErrClosed
	}
	r := j.readers[name]
	known := r != nil
	if !known {
		r = j.newReaderLocked(name)
		r.acked = max(j.oldestLocked()-1, min(uint64(from), j.next-1))
		r.handed = r.acked
	}
	r.mu.Lock()
	taken := r.open
	r.open = true
	r.pos = r.acked + 1
	r.mu.Unlock()
	j.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("open journal reader %q: it is open already", name)
	}
	if !known && !j.inMemory() {
		// So that it holds its records from now on. If the disk refuses, the
		// next Trim tries again; Stats shows it.
		_, _ = j.saveCursors([]*Reader{r})
	}
	return r, nil
}

func (j *Journal) newReaderLocked(name string) *Reader {
	r := &Reader{j: j, name: name, wake: make(chan struct{}, 1)}
	if !j.inMemory() {
		r.path = filepath.Join(j.o.Dir, url.PathEscape(name)+cursorSuffix)
	}
	j.readers[name] = r
	return r
}

func (j *Journal) oldestLocked() uint64 {
	switch {
	case len(j.segs) > 0:
		return j.segs[0].first()
	case len(j.tail) > 0:
		return j.tail[0].first
	}
	return j.next
}

// RemoveReader forgets the reader called name, open or not, and no longer keeps
// records for it. If it is open, its methods must not be called any more.
func (j *Journal) RemoveReader(name string) error {
	j.mu.Lock()
	r := j.readers[name]
	delete(j.readers, name)
	j.mu.Unlock()
	if r == nil {
		return fmt.Errorf("remove journal reader %q: there is none of that name", name)
	}
	err := r.Close()
	if r.path == "" {
		return err
	}
	if rm := os.Remove(r.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, j.note(&DiskError{"remove cursor", r.path, rm}))
	}
	return err
}

// Close lets go of the reader's file. The journal goes on keeping records for
// it, and Journal.Reader opens it again.
func (r *Reader) Close() error {
	r.mu.Lock()
	r.open = false
	r.mu.Unlock()
	r.from = nil
	return r.leaveSegment()
}

// Name returns the name that the reader was opened with.
func (r *Reader) Name() string { return r.name }

// Next is TryNext, but waits until there is a record. It ends with ctx's error
// or ErrClosed.
func (r *Reader) Next(ctx context.Context, dst []Record, maxRecords, maxBytes int) ([]Record, error) {
	for {
		dst, err := r.TryNext(dst, maxRecords, maxBytes)
		if err != nil || len(dst) > 0 {
			return dst, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return dst, fmt.Errorf("wait for a record: %w", ctx.Err())
		case <-r.j.done:
			return dst, ErrClosed
		}
	}
}

// TryNext returns the next records in dst[:0], at most maxRecords (at least 1)
// with payloads of together maxBytes; the first is returned even if it is larger.
// It may return fewer than there are; none means that there are none. The
// position moves behind them. After an error, of the disk or ErrClosed, it stays;
// what the disk refuses for minutes is passed over as damage.
func (r *Reader) TryNext(dst []Record, maxRecords, maxBytes int) ([]Record, error) {
	dst = dst[:0]
	t := take{records: max(maxRecords, 1), bytes: maxBytes}
	r.w.pinned = false
	for !t.full {
		seg, buf, err := r.locate()
		switch {
		case err != nil:
			return dst[:0], err
		case seg.path != "":
			dst, err = r.readSegment(dst, &t, seg)
		case buf != nil:
			dst = r.readTail(dst, &t, buf)
		default:
			t.full = true
		}
		if err != nil {
			if len(dst) == 0 {
				return dst, err
			}
			break // the next call comes to it again
		}
	}
	if n := len(dst); n > 0 {
		r.mu.Lock()
		r.handed = max(r.handed, dst[n-1].Seq)
		r.mu.Unlock()
	}
	return dst, nil
}

// take counts what a call may still return.
type take struct {
	records, bytes int
	full           bool
}

// add takes a payload of n bytes if there is room for it.
func (t *take) add(n, have int) bool {
	if have >= t.records || have > 0 && n > t.bytes {
		t.full = true
		return false
	}
	t.bytes -= n
	t.full = have+1 == t.records
	return true
}

// locate finds where pos is: a segment, as it is now (with a path), or a piece of
// the tail that begins with the record at pos; neither, if nothing is there yet.
func (r *Reader) locate() (seg segment, buf []byte, err error) {
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return seg, nil, ErrClosed
	}
	r.pos = max(r.pos, r.Acked()+1)
	i := sort.Search(len(j.segs), func(i int) bool { return j.segs[i].last() >= r.pos })
	if i < len(j.segs) {
		s := j.segs[i]
		r.pos = max(r.pos, s.first())
		if r.seg != s {
			_ = r.leaveSegment() // it was only read
			r.seg = s
		}
		return *s, nil, nil
	}
	if r.seg != nil && r.seg.first() < j.oldestLocked() {
		_ = r.leaveSegment() // an open file takes its room also when its name is gone
	}
	c := j.chunkAtLocked(r.pos)
	if c == nil || max(c.first, r.pos) > j.visibleLocked() {
		return seg, nil, nil
	}
	r.pos = max(r.pos, c.first)
	if r.from != c || r.at > r.pos {
		r.from, r.off, r.at = c, markSize, c.first
	}
	for ; r.at < r.pos; r.at++ {
		r.off += recordHeader + int(binary.LittleEndian.Uint32(c.buf[r.off:]))
	}
	return seg, c.buf[r.off:], nil
}

func (r *Reader) readTail(dst []Record, t *take, buf []byte) []Record {
	at := time.Unix(0, r.from.at.wall)
	for len(buf) > 0 {
		n := int(binary.LittleEndian.Uint32(buf))
		if !t.add(n, len(dst)) {
			break
		}
		end := recordHeader + n
		dst = append(dst, Record{r.pos, at, buf[recordHeader:end:end]})
		r.pos++
		r.at++
		r.off += end
		buf = buf[end:]
	}
	return dst
}

// Ack tells that everything up to seq is done with; beyond what Next returned it
// acknowledges only that. Constant time; any goroutine may call it.
func (r *Reader) Ack(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = max(r.acked, min(seq, r.handed))
	r.passGapsLocked()
}

// passGapsLocked acknowledges damage that nothing unacknowledged lies before.
func (r *Reader) passGapsLocked() {
	for len(r.gaps) > 0 && r.gaps[0].from <= r.acked+1 {
		r.acked = max(r.acked, r.gaps[0].to-1)
		r.gaps = r.gaps[1:]
	}
	r.handed = max(r.handed, r.acked)
}

// Acked returns up to which sequence everything is acknowledged. Any goroutine
// may call it.
func (r *Reader) Acked() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// Rewind puts the position back to the first record that is not acknowledged.
func (r *Reader) Rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos = r.acked + 1
	r.gaps = nil
	r.from = nil
}

// giveUp acknowledges up to the last of [first, upTo] and returns how many of
// them had not been.
func (r *Reader) giveUp(first, upTo uint64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acked >= upTo {
		return 0
	}
	n := upTo - max(r.acked, first-1)
	r.acked = upTo
	r.passGapsLocked()
	return int(n)
}
