package journal

import (
	"errors"
	"fmt"
)

// Adopt takes over what a journal in memory holds and its sequences, and closes
// that one: records that nobody was done with are behind those on the disk then, not
// flushed yet. It is for an owner who had to begin without a disk (with
// Options.First above all that the disk may hold), and owns both. The readers of
// the other one must not be in use any more, and nothing must have been appended
// here. After an error both are as they were.
func (j *Journal) Adopt(memory *Journal) error {
	if j.inMemory() || !memory.inMemory() {
		return errors.New("adopt journal: only one in memory can be, by one on a disk")
	}
	memory.mu.Lock()
	first, next := memory.first, memory.next
	memory.mu.Unlock()
	if first < j.next {
		return fmt.Errorf("adopt journal: its sequences begin with %d, and those on the disk go up to %d", first, j.next-1)
	}
	// Beforehand, because without it Append refuses, and the disk may.
	floor := slot{j.state.generation, next + j.reserveAhead(), j.ordinal}
	if err := j.storeState(floor); err != nil {
		return err
	}
	memory.mu.Lock()
	defer memory.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	memory.releaseLocked()
	j.time.adopt(&memory.time, memory.tail)
	j.tail, j.tailLen, j.next = memory.tail, memory.tailLen, next
	memory.tail, memory.closed = nil, true
	close(memory.done)
	j.publishLocked()
	return nil
}

// adopt gives chunks of another timeline the ages that they have on this one.
func (t *timeline) adopt(other *timeline, chunks []*chunk) {
	now, theirs := t.since(), other.since()
	if t.age < theirs.age { // the disk's was made since
		t.age = theirs.age
		now = t.since()
	}
	for i, c := range chunks {
		moved := *c
		moved.at.age = max(now.age-theirs.of(c.at), 1)
		chunks[i] = &moved
	}
	t.dirty = true
}
