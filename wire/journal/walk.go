package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
)

// event is what a step of a walker came to.
type event int

const (
	evMark   event = iota // a batch begins: walker.mark, walker.markOff
	evRecord              // a good record: walker.payload, its sequence is walker.next-1
	evGap                 // damage was passed over: walker.gap
	evPinned              // going on needs the window, which is pinned
	evEnd                 // no more; walker.tornAt tells whether it ended badly
)

// gap is a damaged place; the sequences [from, to) are lost with it.
type gap struct {
	off      int64
	from, to uint64
	what     string
}

const (
	windowSize = 256 << 10
	pageSize   = 4096 // step over what the disk cannot read
)

// walker goes through the batches of one segment, checks everything, and passes
// over what is damaged. It never takes memory for a length that the file cannot
// hold, and every step either moves on or ends.
type walker struct {
	src   io.ReaderAt
	salt  uint32 // saltCRC of the segment
	end   int64  // bytes of src that count
	limit uint64 // first sequence that is not this segment's
	from  uint64 // records below are passed over, whole batches unread

	off  int64  // of the next mark or record
	next uint64 // its sequence

	mark     mark
	markOff  int64
	batchEnd int64
	left     uint32 // records of this batch from off on; 0: a mark is next
	orphan   bool   // the batch lost its mark; its records are good as far as they follow on

	payload []byte // of the last evRecord, valid until the window moves
	gap     gap
	tornAt  int64 // -1, or where the file's good bytes end
	// tornLost is how many records the batch cut there has lost, -1 if unknown.
	tornLost int64

	failed error // what the disk said if it did not give something in the last step

	pinned bool // payloads already handed out lie in the window
	window []byte
	winOff int64
	span   int // bytes to read at once
}

// start puts the walker to a mark at off, whose batch begins with next.
func (w *walker) start(off int64, next uint64) {
	w.off, w.next, w.left, w.orphan, w.tornAt = off, next, 0, false, -1
	w.window = w.window[:0]
	if w.span == 0 {
		w.span = windowSize
	}
}

func (w *walker) step() event {
	w.failed = nil
	for {
		var ev event
		var more bool
		if w.left > 0 {
			ev, more = w.stepRecord()
		} else {
			ev, more = w.stepMark()
		}
		if !more {
			return ev
		}
	}
}

// view returns n bytes at off, of which the caller knows that they lie before
// end. Not ok: the window is pinned, or the disk does not give them.
func (w *walker) view(off int64, n int) (b []byte, ok bool) {
	if at := off - w.winOff; at >= 0 && at+int64(n) <= int64(len(w.window)) {
		return w.window[at : at+int64(n)], true
	}
	if w.pinned {
		return nil, false
	}
	size := int(min(int64(max(n, w.span)), w.end-off))
	if c := cap(w.window); c < size || c > 4*windowSize && size <= windowSize {
		w.window = make([]byte, 1<<bits.Len(uint(max(size, pageSize)-1)))
	}
	// A short read is what a file cut behind our back or a bad sector gives.
	got, err := w.src.ReadAt(w.window[:size], off)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = err
	}
	w.window, w.winOff = w.window[:got], off
	if got < n {
		return nil, false
	}
	return w.window[:n], true
}

func (w *walker) stepMark() (event, bool) {
	if w.off >= w.end || w.next >= w.limit {
		return evEnd, false
	}
	var m mark
	ok := w.off+markSize <= w.end
	if ok {
		var b []byte
		if b, ok = w.view(w.off, markSize); ok {
			m, ok = decodeMark(b, w.salt)
		} else if w.pinned {
			return evPinned, false
		}
	}
	switch {
	case !ok || m.first < w.next:
		return w.lostMark()
	case m.first >= w.limit:
		w.off = w.end
		return evEnd, false
	case m.first > w.next:
		w.gap = gap{w.off, w.next, m.first, "the sequence jumps inside a segment"}
		w.next = m.first
		return evGap, false
	}
	w.mark, w.markOff = m, w.off
	w.off += markSize
	w.batchEnd = w.off + int64(m.length)
	w.left = m.count
	if m.after() <= w.from && w.batchEnd <= w.end {
		w.off, w.next, w.left = w.batchEnd, m.after(), 0
	}
	return evMark, false
}

// lostMark is called at a place where no good mark is: the records behind it
// count as far as they follow on, else the next mark is searched.
func (w *walker) lostMark() (event, bool) {
	if w.pinned {
		return evPinned, false
	}
	if n, _ := w.recordAt(w.off+markSize, w.end); n > 0 {
		w.gap = gap{w.off, w.next, w.next, "damaged batch mark, its records are used"}
		w.mark.first, w.markOff = w.next, w.off // the time stays that of the batch before
		w.off += markSize
		w.left, w.batchEnd, w.orphan = 1<<32-1, w.end, true
		return evGap, false
	}
	pos, m, found := w.search(w.off + 1)
	if !found {
		w.tornAt, w.tornLost, w.off = w.off, -1, w.end
		return evEnd, false
	}
	w.gap = gap{w.off, w.next, m.first, "damaged batch, skipped to the next mark"}
	w.off, w.next = pos, m.first
	return evGap, false
}

// search looks from pos on for a mark that can follow here.
func (w *walker) search(pos int64) (int64, mark, bool) {
	for pos+markSize <= w.end {
		b, ok := w.rest(pos)
		if !ok {
			pos = (pos/pageSize + 1) * pageSize
			continue
		}
		i := bytes.Index(b, []byte(batchMagic))
		if i < 0 {
			pos += int64(len(b) - len(batchMagic) + 1)
			continue
		}
		pos += int64(i)
		if pos+markSize > w.end {
			break
		}
		if b, ok := w.view(pos, markSize); ok {
			if m, ok := decodeMark(b, w.salt); ok && m.first >= w.next && m.first < w.limit {
				return pos, m, true
			}
		}
		pos++
	}
	return 0, mark{}, false
}

// rest returns what the window holds from pos on, at least a mark's size.
func (w *walker) rest(pos int64) ([]byte, bool) {
	if _, ok := w.view(pos, markSize); !ok {
		return nil, false
	}
	return w.window[pos-w.winOff:], true
}

// recordAt returns the size of the good record with sequence next at off, 0 if
// there is none before stop; again means that a pinned window was in the way.
func (w *walker) recordAt(off, stop int64) (size int64, again bool) {
	if off+recordHeader > stop {
		return 0, false
	}
	b, ok := w.view(off, recordHeader)
	if !ok {
		return 0, w.pinned
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > MaxPayload || off+recordHeader+n > stop {
		return 0, false
	}
	if b, ok = w.view(off, recordHeader+int(n)); !ok {
		return 0, w.pinned
	}
	if binary.LittleEndian.Uint32(b[4:]) != recordCRC(b) || binary.LittleEndian.Uint64(b[8:]) != w.next {
		return 0, false
	}
	w.payload = b[recordHeader:]
	return recordHeader + n, false
}

func (w *walker) stepRecord() (event, bool) {
	if w.next >= w.limit {
		w.off = w.end
		return evEnd, false
	}
	n, again := w.recordAt(w.off, min(w.batchEnd, w.end))
	if again {
		return evPinned, false
	}
	if n == 0 {
		return w.badRecord()
	}
	w.off += n
	w.next++
	w.left--
	return evRecord, w.next <= w.from
}

func (w *walker) badRecord() (event, bool) {
	if w.orphan {
		// The records that followed on ended: here the next mark should be.
		w.left, w.orphan = 0, false
		return evEnd, true
	}
	if w.batchEnd > w.end {
		w.tornAt, w.tornLost = w.off, int64(w.mark.after()-w.next)
		w.off, w.left = w.end, 0
		return evEnd, false
	}
	w.gap = gap{w.off, w.next, w.mark.after(), "damaged record, skipped to the next batch"}
	w.off, w.next, w.left = w.batchEnd, w.mark.after(), 0
	return evGap, false
}

// unread takes back the last evRecord.
func (w *walker) unread() {
	w.off -= recordHeader + int64(len(w.payload))
	w.next--
	w.left++
}
