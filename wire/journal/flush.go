package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Flush writes the tail to disk, waits until it is durable (unless
// Options.NoSync), and shows it to the readers. After a *DiskError what was not
// stored is still in the tail, with the same sequences, and the next Flush tries
// again.
func (j *Journal) Flush() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	if j.inMemory() {
		j.durable = j.next - 1
		j.publishLocked()
		j.mu.Unlock()
		return nil
	}
	low := j.o.ReadUnflushed && (j.reserved < j.next || j.reserved-j.next < seqReserve/2)
	j.mu.Unlock()
	if err := j.flushLeft(); err != nil {
		return j.note(err)
	}
	if low {
		if err := j.saveState(seqReserve); err != nil {
			return err
		}
	}
	for {
		done, err := j.flushSome()
		if err != nil {
			return j.note(err)
		}
		if done {
			return nil
		}
	}
}

// flushLeft makes durable what an earlier process wrote last. It may have been
// killed before it flushed that, and who sends it again is told that it is there.
func (j *Journal) flushLeft() error {
	if j.left == "" {
		return nil
	}
	access := os.O_RDONLY // which it may be for us
	if j.leftRefused {
		access = os.O_RDWR
	}
	f, err := os.OpenFile(j.left, access, 0)
	if errors.Is(err, fs.ErrNotExist) { // trimmed
		j.left = ""
		return nil
	}
	if err != nil {
		return &DiskError{openOp, j.left, err}
	}
	defer f.Close()
	if j.leftRefused {
		if err := writeAgain(f); err != nil {
			return &DiskError{"write again", j.left, err}
		}
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		j.leftRefused = true
		return &DiskError{flushOp, j.left, err}
	}
	if err := syncDir(j.o.Dir); err != nil {
		return err
	}
	j.left = ""
	return nil
}

// writeAgain has the next flush write all of a file. What the disk refused in one
// before, the kernel takes for written.
func writeAgain(f *os.File) error {
	data, err := io.ReadAll(f)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	return err
}

// flushSome stores as much of the tail as one segment takes.
func (j *Journal) flushSome() (done bool, err error) {
	j.mu.Lock()
	tail := j.tail
	var seg *segment
	if n := len(j.segs); n > 0 {
		seg = j.segs[n-1]
	}
	j.mu.Unlock()
	if len(tail) == 0 {
		return true, nil
	}
	room := j.o.SegmentBytes
	fits := j.active != nil && seg != nil && seg.last()+1 == tail[0].first && seg.size+int64(len(tail[0].buf)) <= room
	f := j.active
	if !fits {
		if seg, f, err = j.newSegment(seg, tail[0]); err != nil {
			return false, err
		}
	}
	n, size := 1, seg.size+int64(len(tail[0].buf))
	for n < len(tail) && size+int64(len(tail[n].buf)) <= room {
		size += int64(len(tail[n].buf))
		n++
	}
	if err := j.store(f, seg, tail[:n]); err != nil {
		j.undo(f, seg, !fits, err)
		return false, err
	}
	if !fits && j.active != nil {
		j.active.Close() // all of it was flushed before
	}
	j.active = f
	j.commit(seg, !fits, n)
	return n == len(tail), nil
}

// newSegment makes the file of the segment that c begins, with its header.
func (j *Journal) newSegment(prev *segment, c *chunk) (*segment, *os.File, error) {
	var salt [8]byte
	rand.Read(salt[:])
	h := header{first: c.first, ordinal: j.ordinal, created: c.at, salt: binary.LittleEndian.Uint64(salt[:])}
	if prev != nil && !prev.unread { // else a start must find out how many records prev has
		h.prev = prev.first()
	}
	seg := &segment{path: filepath.Join(j.o.Dir, segmentName(h.first)), header: h, salt: saltCRC(h.salt), size: headerBlock, indexed: true}
	f, err := makeFile(seg.path)
	if errors.Is(err, fs.ErrExist) {
		// An earlier try left it, when the disk refused to remove it too. No
		// segment in use has this name, and what the file may hold is in the
		// tail still.
		if err = os.Remove(seg.path); err == nil {
			f, err = makeFile(seg.path)
		}
	}
	if err != nil {
		return nil, nil, &DiskError{"make segment", seg.path, err}
	}
	if _, err := f.WriteAt(encodeHeader(h), 0); err != nil {
		err = &DiskError{"write segment header", seg.path, err}
		j.undo(f, seg, true, err)
		return nil, nil, err
	}
	return seg, f, nil
}

func makeFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// store writes the chunks behind what seg holds and makes them durable.
func (j *Journal) store(f *os.File, seg *segment, chunks []*chunk) error {
	at := seg.size
	for _, c := range chunks {
		encodeMark(c.buf, mark{uint32(c.size()), uint32(c.count), c.at, c.first}, seg.salt)
		if _, err := f.WriteAt(c.buf, at); err != nil {
			return &DiskError{"write batch to", seg.path, err}
		}
		at += int64(len(c.buf))
	}
	if j.o.NoSync {
		return nil
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return &DiskError{flushOp, seg.path, err}
	}
	if seg.count == 0 {
		return syncDir(j.o.Dir)
	}
	return nil
}

const flushOp = "flush batch to"

// undo takes back what store left behind. A new segment goes; another is cut
// back. One whose flush failed is not written again: the kernel may have thrown
// the pages away and would call the next flush a success.
func (j *Journal) undo(f *os.File, seg *segment, fresh bool, cause error) {
	if fresh {
		f.Close()
		os.Remove(seg.path)
		return
	}
	var de *DiskError
	cut := f.Truncate(seg.size)
	if cut != nil || !errors.As(cause, &de) || de.Op == flushOp {
		f.Close()
		j.active = nil
	}
}

// commit publishes the first n chunks of the tail as part of seg.
func (j *Journal) commit(seg *segment, fresh bool, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if fresh {
		j.segs = append(j.segs, seg)
		j.stateOld = true
	}
	for _, c := range j.tail[:n] {
		if !j.o.ReadUnflushed && cap(c.buf) <= 2*batchTarget && len(j.spares) < mostSpares {
			j.spares = append(j.spares, c.buf)
		}
		seg.addPoint(point{c.first, seg.size, c.at})
		seg.size += int64(len(c.buf))
		seg.count += c.count
		j.ordinal += c.count
		j.durable = c.last()
		j.tailLen -= c.size()
	}
	clear(j.tail[:n])
	j.tail = j.tail[n:]
	j.failing = nil
	j.publishLocked()
}

// removeFile removes a segment's file; one that is gone already is as good.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &DiskError{"remove segment", path, err}
	}
	return nil
}
