package sched

import (
	"container/list"
	"sync"
	"time"
)

// pool starts due runs while there are slots.
type pool struct {
	limit  int
	report func(Skip)
	wg     sync.WaitGroup // of the goroutines that run jobs

	mu      sync.Mutex
	closed  bool
	arrived uint64
	waiting [classes]queue
	active  [classes]int
	needed  [classes]int // the most runs at once that the jobs of a class can come to
	young   *list.List   // of *run: running, not slow, the oldest first
	counts  Stats
	skips   []Skip // to be reported once mu is free
}

func newPool(limit int, report func(Skip)) *pool {
	return &pool{
		limit:  limit,
		report: report,
		young:  list.New(),
		counts: Stats{Skipped: map[SkipReason]uint64{}},
	}
}

func (p *pool) running() int { return p.active[quick] + p.active[fresh] + p.active[slow] }

// free tells whether a run of the class may start.
func (p *pool) free(c class) bool {
	if p.running() >= p.limit {
		return false
	}
	room := p.active[slow]+p.active[fresh] < p.limit-min(p.limit/8, p.needed[quick])
	switch c {
	case slow:
		return room && p.active[slow] < p.limit-min(p.limit/4, p.needed[quick]+p.needed[fresh])
	case fresh:
		return room
	}
	return true
}

// classify counts what e may need where it belongs now.
func (p *pool) classify(e *entry) {
	p.needed[e.counted] -= e.need
	e.counted, e.need = e.class(), e.job.MaxInstances
	if e.removed {
		e.need = 0
	}
	p.needed[e.counted] += e.need
}

// learn takes in how long a run of e took.
func (p *pool) learn(e *entry, took time.Duration) {
	e.learn(took)
	p.classify(e)
}

// offer has the rhythm's jobs run if one of its instants has come.
func (p *pool) offer(r *rhythm) {
	p.mu.Lock()
	b, ok := r.take()
	if !ok || p.closed {
		p.mu.Unlock()
		return
	}
	for _, e := range r.entries {
		if r.key.every > 0 && b.number < e.firstBeat {
			continue
		}
		p.admit(e, b, r.missedBy(e, b))
	}
	p.release(p.fill(time.Now()))
}

// admit has a due run wait for a slot, or skips it.
func (p *pool) admit(e *entry, b beat, missed int) {
	if missed > 0 {
		p.counts.Due += uint64(missed)
		p.skip(e, b.before, Misfire, missed)
	}
	p.counts.Due++
	if e.running+e.waiting >= e.job.MaxInstances {
		if e.newest == nil {
			p.skip(e, b.due, Instances, 1)
			return
		}
		// It takes the place in the line of the one before, which would only
		// be staler: a crowd must not push the same jobs back each time.
		p.skip(e, e.newest.due, Misfire, 1)
		e.newest.at, e.newest.due = b.at, b.due
		return
	}
	p.arrived++
	e.newest = &run{entry: e, at: b.at, due: b.due, place: p.arrived, class: e.class()}
	e.waiting++
	p.waiting[e.newest.class].push(e.newest)
}

// skip notes runs that do not start.
func (p *pool) skip(e *entry, due time.Time, why SkipReason, runs int) {
	p.counts.Skipped[why] += uint64(runs)
	p.skips = append(p.skips, Skip{Key: e.job.Key, Due: due, Why: why, Runs: runs})
}

// fill starts counting as running what may run now, and returns it.
func (p *pool) fill(now time.Time) []*run {
	p.age(now)
	var starts []*run
	for {
		r := p.next()
		if r == nil {
			return starts
		}
		if p.unqueue(r, now) {
			p.begin(r, now)
			starts = append(starts, r)
		}
	}
}

// next takes the run out of the queues that has waited longest of those that
// may start.
func (p *pool) next() *run {
	var first *queue
	for c := range classes {
		if q := &p.waiting[c]; q.len() > 0 && p.free(c) && (first == nil || q.head().place < first.head().place) {
			first = q
		}
	}
	if first == nil {
		return nil
	}
	return first.pop()
}

// unqueue ends a run's waiting, and tells whether it is still to start.
func (p *pool) unqueue(r *run, now time.Time) bool {
	e := r.entry
	e.waiting--
	if e.newest == r {
		e.newest = nil
	}
	switch {
	case p.closed:
		p.skip(e, r.due, Stopping, 1)
	case e.removed:
		p.skip(e, r.due, Removed, 1)
	case now.Sub(r.at) > e.job.MisfireGrace:
		p.skip(e, r.due, Misfire, 1)
	default:
		return true
	}
	return false
}

func (p *pool) begin(r *run, now time.Time) {
	r.began, r.do = now, r.entry.job.Run
	r.entry.running++
	p.active[r.class]++
	if r.class != slow {
		r.young = p.young.PushBack(r)
	}
	p.counts.Started++
	p.counts.Late.add(max(0, now.Sub(r.at)))
}

// age counts runs as slow that have taken too long to be quick.
func (p *pool) age(now time.Time) {
	for front := p.young.Front(); front != nil; front = p.young.Front() {
		r := front.Value.(*run)
		took := now.Sub(r.began)
		if took < slowAfter {
			return
		}
		p.young.Remove(front)
		p.active[r.class]--
		p.active[slow]++
		r.class, r.young = slow, nil
		p.learn(r.entry, took)
	}
}

func (p *pool) finish(r *run, now time.Time) {
	if r.young != nil {
		p.young.Remove(r.young)
	}
	p.active[r.class]--
	r.entry.running--
	p.learn(r.entry, now.Sub(r.began))
	p.counts.Finished++
}

// release frees the mutex, starts a goroutine for each run, and reports what
// was skipped.
func (p *pool) release(starts []*run) {
	skips := p.skips
	p.skips = nil
	p.wg.Add(len(starts))
	p.mu.Unlock()
	for _, r := range starts {
		go p.work(r)
	}
	for _, s := range skips {
		p.report(s)
	}
}

// work runs r, and then, in its place, what has waited for it.
func (p *pool) work(r *run) {
	defer p.wg.Done()
	for {
		r.do(r.due)
		now := time.Now()
		p.mu.Lock()
		p.finish(r, now)
		starts := p.fill(now)
		if len(starts) == 0 {
			p.release(nil)
			return
		}
		r = starts[0]
		p.release(starts[1:])
	}
}

// sweep skips waiting runs that can no longer start in time.
func (p *pool) sweep() {
	p.mu.Lock()
	now := time.Now()
	for c := range p.waiting {
		p.waiting[c].filter(func(r *run) bool {
			e := r.entry
			return !p.closed && !e.removed && now.Sub(r.at) <= e.job.MisfireGrace || p.unqueue(r, now)
		})
	}
	p.release(p.fill(now))
}

// remove marks the entries as removed, and returns those that were not yet. A
// sweep then skips what waits.
func (p *pool) remove(entries []*entry) (removed []*entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if !e.removed {
			e.removed = true
			p.classify(e)
			removed = append(removed, e)
		}
	}
	return removed
}

func (p *pool) deserted(r *rhythm) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(r.entries) == 0
}

// close skips what waits; nothing starts from then on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.sweep()
}

func (p *pool) wait() { p.wg.Wait() }
