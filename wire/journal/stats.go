package journal

import (
	"sort"
	"time"
)

// Stats is a journal at one moment.
type Stats struct {
	Bytes     int64  // in segment files
	TailBytes int64  // in memory, the 16 bytes before each record included
	Segments  int    // files in use
	Last      uint64 // last sequence handed out by Append, 0 if none ever was
	Durable   uint64 // last sequence flushed
	Readers   []ReaderStats

	Damages     int   // damaged places found so far
	LostRecords int64 // in them, as far as it can be known
	DiskErrors  int64 // refusals so far
	Failing     error // what the disk said last, nil once it took something again
}

// ReaderStats is one reader, open or only known.
type ReaderStats struct {
	Name  string
	Open  bool
	Acked uint64
	Backlog
}

// Backlog is what stands behind a place in the journal: for a reader, what it has
// not acknowledged.
type Backlog struct {
	Pending uint64    // records that are there
	Bytes   int64     // of the segments and the tail that hold them
	Oldest  time.Time // append time of the first of them by the clock as it is set now, up to 10 s early; zero if none
	Unsure  bool      // the disk did not tell, and Oldest may be far too early
}

// Stats may be called from any goroutine. It reads at most one segment for each
// reader, and each segment only once, or once a minute where the disk refuses.
func (j *Journal) Stats() Stats {
	for seg := j.toIndex(); seg != nil; seg = j.toIndex() {
		j.index(seg)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{
		TailBytes: j.tailLen, Segments: len(j.segs), Last: j.next - 1, Durable: j.durable,
		Damages: len(j.told), LostRecords: j.lost, DiskErrors: j.faults, Failing: j.failing,
	}
	for _, seg := range j.segs {
		s.Bytes += seg.size
	}
	times := j.time.since()
	for name, r := range j.readers {
		r.mu.Lock()
		rs := ReaderStats{Name: name, Open: r.open, Acked: r.acked}
		r.mu.Unlock()
		rs.Backlog = j.backlogLocked(rs.Acked, times)
		s.Readers = append(s.Readers, rs)
	}
	sort.Slice(s.Readers, func(a, b int) bool { return s.Readers[a].Name < s.Readers[b].Name })
	return s
}

// Behind returns what stands behind seq, as Stats does for each reader. Any
// goroutine may call it; it reads at most one segment, and that only once.
func (j *Journal) Behind(seq uint64) Backlog {
	j.mu.Lock()
	seg := j.unindexedLocked(seq + 1)
	rests := seg == nil || time.Since(seg.refused) <= indexAgain
	j.mu.Unlock()
	if !rests {
		j.index(seg)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.backlogLocked(seq, j.time.since())
}

func (j *Journal) backlogLocked(seq uint64, times ages) Backlog {
	b := Backlog{Pending: j.pendingLocked(seq)}
	if b.Pending > 0 {
		b.Bytes = j.bytesLocked(seq + 1)
		b.Oldest = j.timeLocked(seq+1, times)
		b.Unsure = j.unindexedLocked(seq+1) != nil
	}
	return b
}

// segmentLocked is the number of the first segment that ends at or after seq.
func (j *Journal) segmentLocked(seq uint64) int {
	return sort.Search(len(j.segs), func(i int) bool { return j.segs[i].last() >= seq })
}

// pendingLocked counts the records behind acked.
func (j *Journal) pendingLocked(acked uint64) (n uint64) {
	for _, s := range j.segs[j.segmentLocked(acked+1):] {
		n += s.last() - max(acked, s.first()-1)
	}
	if len(j.tail) > 0 {
		from := max(acked+1, j.tail[0].first)
		n += max(j.next, from) - from
	}
	return n
}

func (j *Journal) bytesLocked(seq uint64) (n int64) {
	for _, s := range j.segs[j.segmentLocked(seq):] {
		n += s.size
	}
	return n + j.tailLen
}

// timeLocked is the append time of the first record at or after seq.
func (j *Journal) timeLocked(seq uint64, times ages) time.Time {
	if i := j.segmentLocked(seq); i < len(j.segs) {
		p := j.segs[i].pointBefore(seq)
		return times.date(p.at)
	}
	if c := j.chunkAtLocked(seq); c != nil {
		return times.date(c.at)
	}
	return time.Time{}
}

// indexAgain is how long a segment rests whose marks the disk refused.
const indexAgain = time.Minute

// toIndex returns a segment that some reader stands in and whose times only its
// file knows.
func (j *Journal) toIndex() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.readers {
		if s := j.unindexedLocked(r.Acked() + 1); s != nil && time.Since(s.refused) > indexAgain {
			return s
		}
	}
	return nil
}

// unindexedLocked returns the segment of seq if only its file knows the time.
func (j *Journal) unindexedLocked(seq uint64) *segment {
	if i := j.segmentLocked(seq); i < len(j.segs) && !j.segs[i].indexed && seq > j.segs[i].first() {
		return j.segs[i]
	}
	return nil
}

// index reads the marks of a segment that was there at the start. Where the disk
// refuses, the time of the mark before, or the header's, stands in.
func (j *Journal) index(s *segment) {
	j.mu.Lock()
	seg := *s
	j.mu.Unlock()
	points, err := j.marks(seg)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(points) > 0 {
		s.points = points
	}
	if s.indexed = err == nil; err != nil {
		s.refused = time.Now()
	}
}

// marks reads what there is of them, and returns what the disk said if it did not
// give all.
func (j *Journal) marks(seg segment) (points []point, refused error) {
	w, f, err := j.walkMarks(seg, point{seg.first(), headerBlock, stamp{}})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := segment{}
	for {
		ev := w.step()
		switch {
		case ev == evMark:
			found.addPoint(point{w.mark.first, w.markOff, w.mark.at})
		case w.failed != nil:
			refused = w.failed
		}
		if ev == evEnd {
			return found.points, refused
		}
	}
}
