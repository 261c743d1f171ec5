package journal

import (
	"errors"
	"fmt"
	"sort"
)

// Trim stores the cursors that moved and removes the segments that every reader,
// also one that is known but not open, has acknowledged. A journal without
// readers keeps everything. It costs one small write and flush for each reader
// that moved. None of that needs room on the disk, so that a full one can heal.
func (j *Journal) Trim() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	if j.inMemory() {
		j.releaseLocked()
		j.mu.Unlock()
		return nil
	}
	least := j.leastAckedLocked()
	// What the disk refuses to put into the newest segment finds room only when
	// that one goes too, if it is the only one.
	refused := j.failing != nil && len(j.tail) > 0
	n := 0
	for len(j.readers) > 0 && n < len(j.segs) && j.segs[n].last() <= least && (refused || !j.isActiveLocked(n)) {
		n++
	}
	newest := n > 0 && j.isActiveLocked(n-1)
	var upTo uint64
	if n > 0 {
		upTo = j.segs[n-1].last()
	}
	readers := j.readersLocked()
	j.mu.Unlock()
	// Cursors first: one that is behind the oldest segment would look like loss.
	err, unborn := j.saveCursors(readers)
	unborn = errors.Join(unborn, j.saveClock(false))
	if err == nil && j.stateOld {
		err = j.saveState(j.reserveAhead())
	}
	if err == nil && n > 0 {
		if err = j.beforeRemove(upTo); err == nil {
			if newest {
				j.closeActive()
			}
			err = j.removeOldest(n)
		}
	}
	if err = errors.Join(err, unborn); err == nil {
		j.healed()
	}
	return err
}

// closeActive has the next flush begin a segment. All of this one is flushed.
func (j *Journal) closeActive() {
	j.active.Close()
	j.active = nil
}

// healed is called when a Trim had nothing to complain of. What a flush was
// refused only the next flush can put right.
func (j *Journal) healed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.tail) == 0 {
		j.failing = nil
	}
}

// isActiveLocked tells whether segment i is the one that the next flush writes to.
func (j *Journal) isActiveLocked(i int) bool { return i == len(j.segs)-1 && j.active != nil }

func (j *Journal) leastAckedLocked() uint64 {
	least := ^uint64(0)
	for _, r := range j.readers {
		least = min(least, r.Acked())
	}
	return least
}

func (j *Journal) beforeRemove(upTo uint64) error {
	if j.o.BeforeRemove == nil {
		return nil
	}
	if err := j.o.BeforeRemove(upTo); err != nil {
		return fmt.Errorf("keep journal segments up to record %d: %w", upTo, err)
	}
	return nil
}

// removeOldest removes n segments, oldest first, so that whatever stops it
// leaves no hole.
func (j *Journal) removeOldest(n int) error {
	for range n {
		j.mu.Lock()
		s := j.segs[0]
		j.segs = j.segs[1:]
		j.mu.Unlock()
		if err := removeFile(s.path); err != nil {
			j.mu.Lock()
			j.segs = append([]*segment{s}, j.segs...)
			j.mu.Unlock()
			return j.note(err)
		}
	}
	j.mu.Lock()
	j.publishLocked() // so that who waits lets go of the files
	j.mu.Unlock()
	if j.o.NoSync {
		return nil
	}
	if err := syncDir(j.o.Dir); err != nil {
		return j.note(err)
	}
	return nil
}

// saveCursors stores the cursors that moved since they were last stored, or whose
// records were flushed since: else these would seem to be missing once they are
// removed. The errors of those that never were stored are returned apart: they need room on
// the disk, and without one a reader begins anew after a crash, whichever
// segments are there.
func (j *Journal) saveCursors(readers []*Reader) (err, unborn error) {
	for _, r := range readers {
		acked := r.Acked()
		j.mu.Lock()
		s := slot{r.stored.generation, acked, j.ordinalLocked(acked)}
		j.mu.Unlock()
		if s == r.stored && s.generation > 0 {
			continue
		}
		stored, failed := writeSlot(r.path, s, !j.o.NoSync)
		switch {
		case failed == nil:
			r.stored = stored
		case r.stored.generation == 0:
			unborn = errors.Join(unborn, j.note(failed))
		default:
			err = errors.Join(err, j.note(failed))
		}
	}
	return err, unborn
}

// ordinalLocked is the number of records ever flushed up to seq.
func (j *Journal) ordinalLocked(seq uint64) uint64 {
	i := sort.Search(len(j.segs), func(i int) bool { return j.segs[i].first() > seq })
	if i == 0 {
		if len(j.segs) == 0 {
			return j.ordinal
		}
		return j.segs[0].header.ordinal
	}
	s := j.segs[i-1]
	return s.header.ordinal + min(seq-s.first()+1, s.count)
}

// Holders tells, in order, which readers still need the oldest segment (in
// memory: the oldest batch), and its size in bytes. It changes nothing.
func (j *Journal) Holders() (readers []string, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var last uint64
	switch {
	case len(j.segs) > 0:
		last, size = j.segs[0].last(), j.segs[0].size
	case j.inMemory() && len(j.tail) > 0:
		last, size = j.tail[0].last(), j.tail[0].size()
	default:
		return nil, 0
	}
	for name, r := range j.readers {
		if r.Acked() < last {
			readers = append(readers, name)
		}
	}
	sort.Strings(readers)
	return readers, size
}

// PushOut gives up oldest segments (in memory: batches), at least one if there is
// one, until need bytes are free, and returns how many records each reader lost
// that had not acknowledged them. It stops at the first error; what the map says
// is lost is lost nevertheless.
func (j *Journal) PushOut(need int64) (lost map[string]int, err error) {
	lost = make(map[string]int)
	for freed := int64(0); ; {
		size, more, err := j.pushOutOne(lost)
		freed += size
		if err != nil || !more || freed >= need {
			return lost, err
		}
	}
}

func (j *Journal) pushOutOne(lost map[string]int) (size int64, more bool, err error) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return 0, false, ErrClosed
	}
	if j.inMemory() {
		defer j.mu.Unlock()
		if len(j.tail) == 0 {
			return 0, false, nil
		}
		c := j.tail[0]
		addLost(lost, j.loseLocked(c.first, c.last()))
		j.shiftTailLocked()
		j.durable = max(j.durable, c.last())
		return c.size(), true, nil
	}
	if len(j.segs) == 0 {
		j.mu.Unlock()
		return 0, false, nil
	}
	s, last := j.segs[0], j.isActiveLocked(0)
	j.mu.Unlock()
	if err := j.beforeRemove(s.last()); err != nil {
		return 0, false, err
	}
	if last {
		j.closeActive()
	}
	j.mu.Lock()
	addLost(lost, j.loseLocked(s.first(), s.last()))
	readers := j.readersLocked()
	j.mu.Unlock()
	err, unborn := j.saveCursors(readers)
	return s.size, true, errors.Join(err, unborn, j.removeOldest(1))
}

func addLost(to, from map[string]int) {
	for name, n := range from {
		to[name] += n
	}
}
