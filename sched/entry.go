package sched

import (
	"container/list"
	"time"
)

// The pool's rules. Without them the first few hundred hanging plugins would
// take all slots, and what is quick would wait for what is slow.
//
// A job is quick while its runs take less than slowAfter, slow if not, and fresh
// while nobody knows but it is presumed quick. Slow runs leave a quarter of the
// slots to others; slow and fresh ones together leave an eighth to jobs that are
// known to be quick; neither leaves more than the others could use. So hanging
// plugins never take what quick ones need, and jobs that turn out slow in a
// crowd, as at a start, do not either.
//
// A run that takes longer than slowAfter counts as slow from then on, whatever
// it was before. Among runs that may start, the one that has waited longest does.
const (
	slowAfter = time.Second
	// presumeQuick is the interval below which a job is presumed quick.
	presumeQuick = 10 * time.Second
)

type class int

const (
	quick class = iota
	fresh
	slow
	classes
)

// entry is a job with what its runs have shown. The pool's mutex guards it.
type entry struct {
	job       Job
	rhythm    *rhythm // nil: not scheduled
	place     int     // in the rhythm's entries
	firstBeat int64   // interval jobs: the first beat of the rhythm that is theirs
	removed   bool

	counted class // where the pool counts it
	need    int   // as how many runs at once

	running, waiting int
	newest           *run // of those waiting; may be nil
	measured         bool
	expected         time.Duration // of a run, once measured
}

// class is where the entry's next run belongs.
func (e *entry) class() class {
	expected := e.expected
	if !e.measured {
		expected = e.job.Expected
		if expected == 0 && (e.job.Every == 0 || e.job.Every >= presumeQuick) {
			return slow
		}
	}
	switch {
	case expected >= slowAfter:
		return slow
	case e.measured:
		return quick
	}
	return fresh
}

// learn takes in how long a run took. What was slow once is forgotten by halves.
func (e *entry) learn(took time.Duration) {
	e.expected = max(took, e.expected/2)
	e.measured = true
}

// run is one due run of a job.
type run struct {
	entry   *entry
	at, due time.Time // by the monotonic and the wall clock
	place   uint64    // in the order of waiting
	class   class
	do      func(due time.Time)
	began   time.Time
	young   *list.Element // in pool.young, until it counts as slow
}

// queue is a line of waiting runs.
type queue struct {
	runs []*run
	done int // how many of them have left
}

func (q *queue) len() int   { return len(q.runs) - q.done }
func (q *queue) head() *run { return q.runs[q.done] }
func (q *queue) push(r *run) {
	q.runs = append(q.runs, r)
}

func (q *queue) pop() *run {
	r := q.runs[q.done]
	q.runs[q.done] = nil
	if q.done++; q.done == len(q.runs) {
		q.runs, q.done = q.runs[:0], 0
	}
	return r
}

// filter keeps those in the queue that keep says, in their order.
func (q *queue) filter(keep func(*run) bool) {
	kept := q.runs[:0]
	for _, r := range q.runs[q.done:] {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	clear(q.runs[len(kept):])
	q.runs, q.done = kept, 0
}
