package sched

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/google/uuid"
)

// rhythmKey is what jobs must have in common to share a rhythm.
type rhythmKey struct {
	every, phase time.Duration     // interval jobs
	calendar     [sha256.Size]byte // calendar jobs
	jitter       time.Duration
	alone        string // the job's key where each of its runs has its own delay
}

// rhythm is a sequence of instants, and the jobs that are due at them. It is
// one job of gocron's, and for calendars also what gocron asks for the next time.
type rhythm struct {
	key  rhythmKey
	base time.Time // intervals: beat 0; holds a monotonic reading
	// clock reads the monotonic and the wall clock at once.
	clock func() (now, wall time.Time)

	// The scheduler's mutex guards these.
	id    uuid.UUID
	armed bool

	entries []*entry // the pool's mutex

	mu     sync.Mutex
	last   int64     // intervals: the last beat taken
	lastAt time.Time // calendars: the last instant taken, by the wall clock
	plan   plan      // calendars
}

// beat is an instant of a rhythm that has come.
type beat struct {
	number int64     // intervals: counted from the rhythm's base
	at     time.Time // by the monotonic clock
	due    time.Time // by the wall clock
	missed int       // instants before it that were slept over
	before time.Time // the last of those, by the wall clock
}

// early is how much sooner than due a rhythm may be called: no timer fires
// early, but the two clocks are read one after the other.
const early = time.Millisecond

func (r *rhythm) join(e *entry) {
	e.rhythm, e.place = r, len(r.entries)
	r.entries = append(r.entries, e)
}

func (r *rhythm) leave(e *entry) {
	end := len(r.entries) - 1
	r.entries[e.place] = r.entries[end]
	r.entries[e.place].place = e.place
	r.entries[end] = nil
	r.entries = r.entries[:end]
	e.rhythm = nil
}

// definition puts what is to come of the rhythm in gocron's terms.
func (r *rhythm) definition() (gocron.JobDefinition, gocron.JobOption) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, wall := r.clock()
	if r.key.every > 0 {
		r.last = -1
		start := r.base
		if !now.Before(r.base) {
			r.last = int64(now.Sub(r.base) / r.key.every)
			start = start.Add(time.Duration(r.last) * r.key.every)
		}
		// From a start in the past gocron goes on to the first beat to come.
		return gocron.DurationJob(r.key.every), gocron.WithStartAt(gocron.WithStartDateTimePast(start))
	}
	if r.lastAt.IsZero() || r.lastAt.After(wall) {
		r.lastAt = wall.Round(0)
		r.plan.since = r.lastAt
	}
	return gocron.CronJob("calendar", false), gocron.WithCronImplementation(r)
}

// take returns the beat that has come since the last one taken, if any. Where
// there are several it is the last of them.
func (r *rhythm) take() (beat, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, wall := r.clock()
	if r.key.every > 0 {
		return r.takeInterval(now, wall)
	}
	before, at, count := r.plan.between(r.lastAt, wall.Add(early))
	if count == 0 {
		return beat{}, false
	}
	r.lastAt = at
	late := max(0, wall.Sub(at))
	return beat{at: now.Add(-late), due: at, missed: count - 1, before: before}, true
}

func (r *rhythm) takeInterval(now, wall time.Time) (beat, bool) {
	since := now.Sub(r.base) + early
	n := int64(since / r.key.every)
	if since < 0 || n <= r.last {
		return beat{}, false
	}
	missed := int(n - r.last - 1)
	r.last = n
	late := max(0, now.Sub(r.base)-time.Duration(n)*r.key.every)
	due := wall.Add(-late)
	return beat{number: n, at: now.Add(-late), due: due, missed: missed, before: due.Add(-r.key.every)}, true
}

// missedBy returns how many of the missed instants were the entry's.
func (r *rhythm) missedBy(e *entry, b beat) int {
	if r.key.every > 0 {
		return int(min(int64(b.missed), b.number-e.firstBeat))
	}
	return b.missed
}

// horizon is the longest that gocron sleeps on a calendar. Changes of the wall
// clock are noticed anyway; this is for calendars that never fire again, as
// gocron knows no such thing, and against surprises.
const horizon = time.Hour

// Next tells gocron when to call next. Gocron lives by the steady clock: the
// result is now plus what the wall clock lacks.
func (r *rhythm) Next(last time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, wall := r.clock()
	at, ok := r.plan.after(wall.Add(last.Sub(now) + early))
	if next := now.Add(at.Sub(wall)); ok && next.Sub(last) <= horizon {
		if next.Unix() == last.Unix() {
			// As when the clock was just set back a little. Gocron would drop it.
			next = last.Add(breath)
		}
		return next.UTC()
	}
	return last.Add(horizon).UTC()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// IsValid makes the rhythm gocron's idea of a cron expression.
func (r *rhythm) IsValid(string, *time.Location, time.Time) error { return nil }

// plan is a calendar whose instants are delayed, each by its own random time.
type plan struct {
	calendar *Calendar
	jitter   time.Duration
	seed     uint64
	since    time.Time // instants of the calendar up to this do not count, however delayed
}

// breath is the least time between two instants: gocron drops one in the same
// second as the one before.
const breath = time.Second

// after returns the first instant after t.
func (p plan) after(t time.Time) (time.Time, bool) {
	due, ok := p.calendar.Next(later(t.Add(-p.jitter), p.since.Add(1)))
	for ; ok; due, ok = p.calendar.Next(due.Add(1)) {
		if at := p.delay(due); at.After(t) {
			return at, true
		}
	}
	return time.Time{}, false
}

// delay is random and yet always the same for the same instant, so that nobody
// has to remember it.
func (p plan) delay(due time.Time) time.Time {
	if p.jitter == 0 {
		return due
	}
	limit := p.jitter
	if next, ok := p.calendar.Next(due.Add(1)); ok {
		limit = min(limit, next.Sub(due)-breath)
	}
	return due.Add(time.Duration(scramble(p.seed^uint64(due.Unix())) % uint64(limit+1)))
}

// scramble is the finisher of splitmix64: neighbours end up far apart.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// countLimit bounds the counting of missed instants: a clock may leap decades.
const countLimit = 1000

// between returns the last instant in (from, to], the one before it if there is
// one, and how many there are. More than countLimit of them are not all counted.
func (p plan) between(from, to time.Time) (before, last time.Time, count int) {
	for at, ok := p.after(from); ok && !at.After(to); at, ok = p.after(at) {
		before, last = last, at
		if count++; count == countLimit {
			// No two instants are less than a second apart.
			if near := to.Add(-countLimit * time.Second); near.After(at) {
				at = near
			}
		}
	}
	return before, last, count
}
