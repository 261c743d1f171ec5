package journal

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// chunk is what becomes one batch: room for the mark, then the records as they
// are on disk. What has been appended to buf never changes, so that readers use
// it without a lock.
type chunk struct {
	buf   []byte
	first uint64
	count uint64
	at    stamp
}

func (c *chunk) last() uint64 { return c.first + c.count - 1 }

func (c *chunk) size() int64 { return int64(len(c.buf) - markSize) }

// Append copies the payloads to the tail and returns the sequence of the first;
// the others follow on. It never touches the disk. With ErrTailFull or
// ErrTooLarge nothing was appended.
func (j *Journal) Append(payloads ...[]byte) (first uint64, err error) {
	var need int64
	for _, p := range payloads {
		if len(p) > MaxPayload {
			return 0, fmt.Errorf("append %d bytes, limit %d: %w", len(p), MaxPayload, ErrTooLarge)
		}
		need += recordHeader + int64(len(p))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0, ErrClosed
	}
	if j.tailLen+need > j.o.TailBytes && j.inMemory() {
		j.releaseLocked()
	}
	if j.tailLen+need > j.o.TailBytes {
		return 0, fmt.Errorf("append %d bytes to %d, limit %d: %w", need, j.tailLen, j.o.TailBytes, ErrTailFull)
	}
	if j.reserved > 0 && j.o.ReadUnflushed && j.next+uint64(len(payloads)) > j.reserved {
		return 0, fmt.Errorf("append: the disk refused so long that no sequence is reserved any more: %w", ErrTailFull)
	}
	first = j.next
	now := j.time.stamp()
	for _, p := range payloads {
		c := j.chunkLocked(now, len(p))
		c.buf = appendRecord(c.buf, j.next, p)
		c.count++
		j.next++
	}
	j.tailLen += need
	if j.o.ReadUnflushed && len(payloads) > 0 {
		j.publishLocked()
	}
	return first, nil
}

// chunkLocked returns the chunk that the next record, of size bytes, goes to. In
// memory a chunk ends at each flush, so that what is visible ends with a chunk.
func (j *Journal) chunkLocked(now stamp, size int) *chunk {
	if n := len(j.tail); n > 0 {
		c := j.tail[n-1]
		age := now.age - c.at.age
		flushed := c.count > 0 && c.last() <= j.durable
		if len(c.buf) < batchTarget && age < int64(batchSpan) && !flushed {
			return c
		}
	}
	var buf []byte
	switch n := len(j.spares); {
	case n > 0:
		buf, j.spares = j.spares[n-1], j.spares[:n-1]
	case len(j.tail) > 0 && len(j.tail[len(j.tail)-1].buf) >= batchTarget: // one was filled: this one will be
		buf = make([]byte, markSize, batchTarget+batchTarget/8)
	default:
		// What TailBytes bounds are records, and each may stay a chunk of its own.
		buf = make([]byte, markSize, markSize+recordHeader+size)
	}
	c := &chunk{buf: buf[:markSize], first: j.next, at: now}
	j.tail = append(j.tail, c)
	return c
}

// visibleLocked is the last sequence of the tail that readers may see.
func (j *Journal) visibleLocked() uint64 {
	if j.o.ReadUnflushed {
		return j.next - 1
	}
	return j.durable
}

// chunkAtLocked returns the first chunk with a record at or after seq.
func (j *Journal) chunkAtLocked(seq uint64) *chunk {
	i := sort.Search(len(j.tail), func(i int) bool { return j.tail[i].last() >= seq })
	if i == len(j.tail) {
		return nil
	}
	return j.tail[i]
}

// releaseLocked drops the chunks of a journal in memory that every reader has
// acknowledged; without a reader nothing goes.
func (j *Journal) releaseLocked() {
	if len(j.readers) == 0 {
		return
	}
	least := j.leastAckedLocked()
	for len(j.tail) > 0 && j.tail[0].last() <= min(least, j.durable) {
		j.shiftTailLocked()
	}
}

func (j *Journal) shiftTailLocked() {
	j.tailLen -= j.tail[0].size()
	j.tail[0] = nil
	j.tail = j.tail[1:]
}

// DropTailOldest pushes the n oldest records out of the tail, to make room when
// the disk refuses, and returns how many each reader lost by that: records that
// it had not acknowledged, whether it had been handed them or not. A reader that
// lost nothing is not in the map.
func (j *Journal) DropTailOldest(n int) map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n <= 0 || len(j.tail) == 0 {
		return nil
	}
	first := j.tail[0].first
	upTo := min(first+uint64(n)-1, j.next-1)
	for len(j.tail) > 0 && j.tail[0].last() <= upTo {
		j.shiftTailLocked()
	}
	if len(j.tail) > 0 && j.tail[0].first <= upTo {
		c := j.tail[0].without(upTo)
		j.tailLen -= j.tail[0].size() - c.size()
		j.tail[0] = c
	}
	if len(j.tail) == 0 && j.durable < upTo {
		j.durable = upTo // nothing is left to flush up to here
	}
	lost := make(map[string]int)
	for name, r := range j.readers {
		if n := j.dropForLocked(r, first, upTo); n > 0 {
			lost[name] = n
		}
	}
	return lost
}

// dropForLocked tells how many of [first, upTo], which left the tail, a reader
// lost. One that still has something on the disk, which is older, keeps that and
// comes to the hole later.
func (j *Journal) dropForLocked(r *Reader, first, upTo uint64) int {
	if n := len(j.segs); n > 0 && r.Acked() < j.segs[n-1].last() {
		return int(upTo - first + 1)
	}
	return r.giveUp(first, upTo)
}

// loseLocked acknowledges [first, upTo] for the readers that have not, and
// counts what they lost.
func (j *Journal) loseLocked(first, upTo uint64) map[string]int {
	lost := make(map[string]int)
	for name, r := range j.readers {
		if n := r.giveUp(first, upTo); n > 0 {
			lost[name] = n
		}
	}
	return lost
}

// without returns a copy of c that begins behind upTo. A copy, because readers
// may hold payloads of the old one where the new one's mark would be.
func (c *chunk) without(upTo uint64) *chunk {
	at := markSize
	for seq := c.first; seq <= upTo; seq++ {
		at += recordHeader + int(binary.LittleEndian.Uint32(c.buf[at:]))
	}
	buf := make([]byte, markSize, markSize+len(c.buf)-at)
	return &chunk{buf: append(buf, c.buf[at:]...), first: upTo + 1, count: c.last() - upTo, at: c.at}
}
