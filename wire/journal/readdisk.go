package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

// readSegment returns records of seg, a copy of what r.seg is now. The caller
// goes on with what comes behind it unless t is full.
func (r *Reader) readSegment(dst []Record, t *take, seg segment) ([]Record, error) {
	if r.file == nil || r.w.next != r.pos {
		if len(dst) > 0 {
			t.full = true // the window holds their payloads
			return dst, nil
		}
		if err := r.enter(seg); err != nil {
			return dst, err
		}
		if r.file == nil {
			return dst, nil
		}
	}
	w := &r.w
	w.end, w.limit = seg.size, seg.last()+1
	for {
		w.pinned = len(dst) > 0
		switch w.step() {
		case evRecord:
			if !t.add(len(w.payload), len(dst)) {
				w.unread()
				return dst, nil
			}
			r.gave(w.next - 1)
			n := len(w.payload)
			dst = append(dst, Record{w.next - 1, time.Unix(0, w.mark.at.wall), w.payload[:n:n]})
			r.pos = w.next
			if t.full {
				return dst, nil
			}
		case evGap:
			if err := r.passOver(seg.path, w.gap); err != nil {
				return dst, err
			}
		case evPinned:
			t.full = true
			return dst, nil
		case evEnd:
			if w.next < w.limit {
				if err := r.passOver(seg.path, gap{w.endedAt(), w.next, w.limit, endsEarly}); err != nil {
					return dst, err
				}
			}
			w.next, w.tornAt = w.limit, -1
			r.pos = w.limit
			return dst, nil
		}
	}
}

// endedAt is the offset behind the last good byte.
func (w *walker) endedAt() int64 {
	if w.tornAt >= 0 {
		return w.tornAt
	}
	return w.off
}

// refusal is an unbroken run of places that the disk did not give, and how long
// it has been asked for them. A record from behind the last place ends it.
type refusal struct {
	seq   uint64    // of the last place
	asked time.Time // last
	spent time.Duration
	given []uint64 // places for which it was asked long enough, should they come again
}

const (
	// patience is how long the disk is asked for a place before a reader goes
	// beyond it: a disk that was away for a moment has everything when it is back.
	patience = 5 * time.Minute
	// patienceStep is the most that counts between two times. Who does not ask
	// does not find out.
	patienceStep = 30 * time.Second
)

const (
	openOp = "open segment"
	readOp = "read segment"
)

// refused notes that the disk did not give what is at pos. It returns an error
// until that has lasted.
func (r *Reader) refused(op, path string, cause error) error {
	now := time.Now()
	f := &r.refusal
	if slices.Contains(f.given, r.pos) {
		return nil // a reader that went back has no need to ask again
	}
	if f.seq == 0 {
		f.asked = now
	}
	f.spent += min(now.Sub(f.asked), patienceStep)
	f.seq, f.asked = r.pos, now
	if f.spent >= patience {
		acked := r.Acked()
		f.given = append(slices.DeleteFunc(f.given, func(seq uint64) bool { return seq <= acked }), r.pos)
		return nil
	}
	_ = r.leaveSegment() // the next try opens it anew
	return r.j.note(&DiskError{op, path, cause})
}

// gave notes that the disk gave a record.
func (r *Reader) gave(seq uint64) {
	if f := &r.refusal; f.seq != 0 && seq > f.seq {
		f.seq, f.spent = 0, 0
	}
}

// passOver goes beyond a gap that the walker came to, unless the disk may still
// give what is there.
func (r *Reader) passOver(path string, g gap) error {
	if cause := r.w.failed; cause != nil {
		if err := r.refused(readOp, path, cause); err != nil {
			return err
		}
		g.what += fmt.Sprintf(" (%v)", cause)
	}
	r.pass(path, g)
	return nil
}

// pass goes beyond damage: told, and acknowledged as soon as all before it is.
func (r *Reader) pass(path string, g gap) {
	r.j.damage(Damage{path, g.off, g.what, int64(g.to - g.from), false})
	if g.to == g.from {
		return
	}
	r.mu.Lock()
	r.gaps = append(r.gaps, g)
	r.passGapsLocked()
	r.mu.Unlock()
	r.pos = max(r.pos, g.to)
}

// enter opens seg at the mark before pos. A file that is gone is passed over,
// and r.file is nil then.
func (r *Reader) enter(seg segment) error {
	if r.file == nil {
		f, err := os.Open(seg.path)
		if errors.Is(err, fs.ErrNotExist) && seg.last() > r.Acked() {
			r.pass(seg.path, gap{0, r.pos, seg.last() + 1, "the segment's file is gone"})
			r.pos = seg.last() + 1
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // trimmed meanwhile; pos moves to what is left
		}
		if err != nil {
			return r.cannotOpen(seg, err)
		}
		r.file = f
	}
	r.w.src, r.w.salt, r.w.from = r.file, seg.salt, r.pos
	at := seg.pointBefore(r.pos)
	r.w.end, r.w.limit = seg.size, seg.last()+1
	r.w.start(at.off, at.first)
	return r.skip(seg)
}

// lostForGood is what an open says of a file that the disk, or a file system
// that checks itself, has lost.
var lostForGood = []error{unix.EIO, unix.EUCLEAN, unix.EBADMSG}

// cannotOpen goes beyond a segment whose file is lost for good. What else keeps
// it from being opened, as too many open files or a stale mount, ends some time.
func (r *Reader) cannotOpen(seg segment, cause error) error {
	if !slices.ContainsFunc(lostForGood, func(lost error) bool { return errors.Is(cause, lost) }) {
		return r.j.note(&DiskError{openOp, seg.path, cause})
	}
	if err := r.refused(openOp, seg.path, cause); err != nil {
		return err
	}
	r.pass(seg.path, gap{0, r.pos, seg.last() + 1, fmt.Sprintf("the segment cannot be opened (%v)", cause)})
	return nil
}

// skip steps the walker up to the record at pos, or the first good one behind it.
func (r *Reader) skip(seg segment) error {
	for r.w.next < r.pos {
		switch r.w.step() {
		case evRecord: // the one at pos
			r.w.unread()
			return nil
		case evGap:
			if r.w.gap.to > r.pos {
				g := r.w.gap
				g.from = max(g.from, r.pos)
				if err := r.passOver(seg.path, g); err != nil {
					return err
				}
			}
		case evEnd:
			if r.w.failed != nil && r.w.next < r.w.limit {
				return r.refused(readOp, seg.path, r.w.failed)
			}
			return nil // readSegment says what is missing
		}
	}
	return nil
}

// pointBefore is the known mark nearest before seq.
func (s *segment) pointBefore(seq uint64) point {
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].first > seq })
	if i == 0 {
		return point{s.first(), headerBlock, s.header.created}
	}
	return s.points[i-1]
}

func (r *Reader) leaveSegment() error {
	if r.file == nil {
		r.seg = nil
		return nil
	}
	err := r.file.Close()
	r.file, r.seg = nil, nil
	r.w.window = r.w.window[:0]
	return err
}

// PassOlder gives up the records appended before cutoff, up to the first batch
// that was not, and returns how many of them were not acknowledged. What readers
// cannot see yet is left alone. A record ages by the time for which it is certain
// that it passed, however the clock was set, and whatever was restarted.
func (r *Reader) PassOlder(cutoff time.Time) (passed int, err error) {
	acked := r.Acked()
	upTo, err := r.j.olderThan(acked, r.j.limit(time.Since(cutoff)))
	if upTo <= acked {
		return 0, err
	}
	r.j.mu.Lock()
	defer r.j.mu.Unlock()
	passed = int(r.j.pendingLocked(r.Acked()) - r.j.pendingLocked(upTo))
	r.giveUp(1, upTo)
	r.pos = max(r.pos, upTo+1)
	return max(passed, 0), err
}

func (j *Journal) limit(most time.Duration) limit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return limit{j.time.since(), int64(most)}
}

// overWhole tells from where the next segment began whether all of seg is over
// the limit. Where only a clock tells, it may have been behind at that time.
func (l limit) overWhole(seg segment, next stamp) bool {
	return l.over(next) && (next.age > 0 || seg.indexed && seg.pointBefore(noLimit).at.wall <= next.wall)
}

// olderThan returns the last sequence behind which a record is not over a,
// going from the one after acked.
func (j *Journal) olderThan(acked uint64, a limit) (uint64, error) {
	upTo := acked
	for {
		j.mu.Lock()
		i := sort.Search(len(j.segs), func(i int) bool { return j.segs[i].last() > upTo })
		if i == len(j.segs) {
			defer j.mu.Unlock()
			return j.olderTailLocked(upTo, a), nil
		}
		seg := *j.segs[i]
		whole := false
		if i+1 < len(j.segs) {
			whole = a.overWhole(seg, j.segs[i+1].header.created)
		}
		j.mu.Unlock()
		if whole {
			upTo = seg.last()
			continue
		}
		got, err := j.olderInSegment(seg, upTo, a)
		if err != nil || got < seg.last() {
			return got, err
		}
		upTo = got
	}
}

func (j *Journal) olderTailLocked(upTo uint64, a limit) uint64 {
	for c := j.chunkAtLocked(upTo + 1); c != nil && a.over(c.at) && upTo < j.visibleLocked(); c = j.chunkAtLocked(upTo + 1) {
		upTo = min(c.last(), j.visibleLocked())
	}
	return upTo
}

// olderInSegment goes by the marks alone; an index of them answers without the
// disk as long as the next record is young.
func (j *Journal) olderInSegment(seg segment, upTo uint64, a limit) (uint64, error) {
	at := seg.pointBefore(upTo + 1)
	if !a.over(at.at) {
		return upTo, nil
	}
	w, f, err := j.walkMarks(seg, at)
	if err != nil {
		return upTo, err
	}
	defer f.Close()
	for {
		switch w.step() {
		case evMark:
			if !a.over(w.mark.at) {
				return max(upTo, w.mark.first-1), nil
			}
			upTo = max(upTo, min(w.mark.after(), w.limit)-1)
		case evGap:
			if w.failed != nil {
				return upTo, nil // what is there may be young
			}
		case evEnd:
			return upTo, nil
		}
	}
}

// walkMarks returns a walker that reads the marks of seg only, from at on. The
// caller closes the file.
func (j *Journal) walkMarks(seg segment, at point) (*walker, *os.File, error) {
	f, err := os.Open(seg.path)
	if err != nil {
		return nil, nil, j.note(&DiskError{openOp, seg.path, err})
	}
	w := &walker{src: f, salt: seg.salt, end: seg.size, limit: seg.last() + 1, from: ^uint64(0), span: pageSize}
	w.start(at.off, at.first)
	return w, f, nil
}
