// Package sched decides when checks run: every so often, or by calendar. It
// keeps their rhythm through reloads, clock changes and overload, and runs them
// under a limit.
//
// It does not know what a check is: a job is an opaque key and a function. It
// runs no processes, times nothing out, and cancels nothing.
//
// Jobs that are due at the same instants share a rhythm, which is one job of
// gocron's. Gocron says when a rhythm is due; the pool then starts its jobs, or
// lets them wait for a free slot, or skips them. Each due run is either started
// or reported as skipped.
package sched

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
)

// Job is something to run again and again.
type Job struct {
	// Key tells jobs apart. It is opaque.
	Key string
	// Every is the interval. If it is 0, the Calendar counts.
	Every time.Duration
	// Calendar says when to run a job without interval.
	Calendar *Calendar
	// Jitter delays each run of a calendar job by a random time up to this, but
	// not into the last second before the calendar's next instant.
	Jitter time.Duration
	// MaxInstances is how many runs of the job may be under way at once, 1 or
	// more. Runs of an earlier definition under the same key count.
	MaxInstances int
	// MisfireGrace is how much later than due a run may start, more than 0.
	MisfireGrace time.Duration
	// Expected is how long a run is thought to take before one was measured. If
	// it is 0, a job with an interval below 10 s is presumed quick, others not.
	Expected time.Duration
	// Run does the work and returns when it is done. It is told when it was due.
	Run func(due time.Time)
}

// SkipReason says why a due run was not started.
type SkipReason string

// The reasons for skipping a run.
const (
	Instances SkipReason = "max_instances"      // as many as allowed are still running
	Misfire   SkipReason = "misfire_grace_time" // it could not start in time: suspend, clock change, no free slot
	Removed   SkipReason = "removed"            // the job was removed while the run waited for a slot
	Stopping  SkipReason = "stopping"           // the scheduler stopped while the run waited for a slot
)

// Skip reports runs of a job that were due and not started.
type Skip struct {
	Key string
	Due time.Time // the last of them
	Why SkipReason
	// Runs is how many they are, mostly 1. After a suspend or a leap of the
	// clock, runs that were missed are reported together; for a calendar job
	// they are counted up to a limit of about 1,000.
	Runs int
}

// Options are what a Scheduler can be told.
type Options struct {
	// MaxConcurrent is how many runs may be under way at once, over all jobs.
	MaxConcurrent int
	// FirstMin and FirstMax bound the random time between adding an interval
	// job and its first run.
	FirstMin, FirstMax time.Duration
	// Skipped is called for runs that were due and not started; it may be nil.
	// It may be called from several goroutines at once, must return soon, and
	// must not call Apply.
	Skipped func(Skip)
	// Wall reads the clock that calendars go by; nil means time.Now. Intervals
	// and lateness go by the monotonic clock.
	Wall func() time.Time
}

// DefaultOptions are 256 runs at once, and first runs after 2 to 10 s.
func DefaultOptions() Options {
	return Options{MaxConcurrent: 256, FirstMin: 2 * time.Second, FirstMax: 10 * time.Second}
}

func (o Options) validate() error {
	switch {
	case o.MaxConcurrent < 1:
		return fmt.Errorf("MaxConcurrent is %d: it must be 1 or more", o.MaxConcurrent)
	case o.FirstMin < 0 || o.FirstMax < o.FirstMin:
		return fmt.Errorf("FirstMin is %v and FirstMax %v: they must be 0 or more, and in this order", o.FirstMin, o.FirstMax)
	}
	return nil
}

func (j Job) validate() error {
	switch {
	case j.Every < 0:
		return fmt.Errorf("job %q: Every is %v: it must be more than 0", j.Key, j.Every)
	case (j.Every > 0) == (j.Calendar != nil):
		return fmt.Errorf("job %q: it must have either Every or Calendar", j.Key)
	case j.Jitter < 0, j.Jitter > 0 && j.Calendar == nil:
		return fmt.Errorf("job %q: Jitter is %v: it must be 0 or more, and is for calendars only", j.Key, j.Jitter)
	case j.MaxInstances < 1:
		return fmt.Errorf("job %q: MaxInstances is %d: it must be 1 or more", j.Key, j.MaxInstances)
	case j.MisfireGrace <= 0:
		return fmt.Errorf("job %q: MisfireGrace is %v: it must be more than 0", j.Key, j.MisfireGrace)
	case j.Run == nil:
		return fmt.Errorf("job %q: Run is nil", j.Key)
	}
	return nil
}

// ErrStopped is returned for a scheduler that has stopped or is stopping.
var ErrStopped = errors.New("the scheduler has stopped")

// grid is the spacing of the instants at which interval jobs can be due. The
// coarser it is, the more jobs share a rhythm, and the less gocron has to do:
// 50,000 jobs at 5 s are 500 rhythms.
const grid = 10 * time.Millisecond

// Scheduler runs jobs when they are due.
type Scheduler struct {
	opts  Options
	epoch time.Time // of the grid
	pool  *pool

	mu      sync.Mutex // held while gocron is called; taken before the pool's, never after
	state   state
	cron    gocron.Scheduler // while running
	jobs    map[string]*entry
	dying   []*entry // removed ones that are in jobs while they run
	rhythms map[rhythmKey]*rhythm
	leap    time.Duration // the wall clock's lead when calendars were last armed
}

type state int

const (
	idle state = iota
	running
	stopped
)

// New returns a scheduler without jobs. Nothing runs before [Scheduler.Run].
func New(opts Options) (*Scheduler, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("scheduler options: %w", err)
	}
	if opts.Skipped == nil {
		opts.Skipped = func(Skip) {}
	}
	return &Scheduler{
		opts:    opts,
		epoch:   time.Now(),
		pool:    newPool(opts.MaxConcurrent, opts.Skipped),
		jobs:    map[string]*entry{},
		rhythms: map[rhythmKey]*rhythm{},
	}, nil
}

// Apply removes jobs by their keys, and adds or replaces others. It is done
// when it returns. Where a job is not right, nothing is changed at all.
//
// A replaced job's new definition counts from its next start on. It keeps its
// phase if its interval, or its calendar and jitter, are the same. What is
// already running goes on, also for a removed job. A key in both lists is set.
func (s *Scheduler) Apply(set []Job, remove []string) error {
	keys := make(map[string]bool, len(set))
	for _, job := range set {
		if err := job.validate(); err != nil {
			return err
		}
		if keys[job.Key] {
			return fmt.Errorf("job %q: it is given twice", job.Key)
		}
		keys[job.Key] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stopped {
		return ErrStopped
	}
	var gone []*entry
	for _, key := range remove {
		if e := s.jobs[key]; e != nil && !keys[key] {
			gone = append(gone, e)
		}
	}
	gone = s.pool.remove(gone)
	moved, fresh := s.define(set)
	if s.state == running {
		s.detach(gone)
		s.detach(moved)
		s.attach(append(moved, fresh...))
	}
	s.bury(gone)
	if s.state == running {
		return s.rearm()
	}
	return nil
}

// bury forgets removed entries, but not before their last run has ended: if a
// job comes back meanwhile, that run counts.
func (s *Scheduler) bury(gone []*entry) {
	s.dying = append(s.dying, gone...)
	s.pool.sweep()
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.dying = slices.DeleteFunc(s.dying, func(e *entry) bool {
		if e.removed && e.running == 0 {
			delete(s.jobs, e.job.Key)
		}
		return !e.removed || e.running == 0
	})
	s.pool.counts.Jobs = len(s.jobs) - len(s.dying)
}

// define takes the definitions over. It returns the entries whose rhythm is no
// longer right, and the new ones.
func (s *Scheduler) define(set []Job) (moved, fresh []*entry) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	for _, job := range set {
		e := s.jobs[job.Key]
		if e == nil {
			e = &entry{job: job}
			s.jobs[job.Key] = e
			s.pool.classify(e)
			fresh = append(fresh, e)
			continue
		}
		switch {
		case e.removed:
			e.removed = false
			fresh = append(fresh, e)
		case s.state == running && !sameTrigger(e.job, job):
			moved = append(moved, e)
		}
		e.job = job
		s.pool.classify(e)
	}
	return moved, fresh
}

func sameTrigger(a, b Job) bool {
	if a.Calendar == nil || b.Calendar == nil {
		return a.Calendar == b.Calendar && a.Every == b.Every
	}
	return a.Calendar.identity == b.Calendar.identity && a.Jitter == b.Jitter
}

// attach gives each entry a rhythm and, if it is an interval job, its first run.
func (s *Scheduler) attach(entries []*entry) {
	now := time.Now()
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	for _, e := range entries {
		var first time.Duration // since the epoch
		key := rhythmKey{every: e.job.Every}
		if c := e.job.Calendar; c != nil {
			key.calendar = c.identity
			if e.job.Jitter > 0 {
				key.alone = e.job.Key
				key.jitter = e.job.Jitter
			}
		} else {
			first = now.Sub(s.epoch) + s.opts.FirstMin + rand.N(s.opts.FirstMax-s.opts.FirstMin+1)
			first = (first + grid - 1) / grid * grid
			key.phase = first % e.job.Every
		}
		r := s.rhythms[key]
		if r == nil {
			r = s.newRhythm(key, e.job)
			s.rhythms[key] = r
		}
		if e.job.Every > 0 {
			e.firstBeat = int64(first / e.job.Every)
		}
		r.join(e)
	}
}

// detach takes the entries out of their rhythms.
func (s *Scheduler) detach(entries []*entry) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	for _, e := range entries {
		e.rhythm.leave(e)
	}
}

func (s *Scheduler) newRhythm(key rhythmKey, job Job) *rhythm {
	r := &rhythm{key: key, clock: s.clock}
	if key.every > 0 {
		r.base = s.epoch.Add(key.phase)
		return r
	}
	r.plan = plan{calendar: job.Calendar, jitter: key.jitter, seed: rand.Uint64()}
	return r
}

// clock reads both clocks: the monotonic one as gocron's steady clock shows it.
func (s *Scheduler) clock() (now, wall time.Time) {
	read := time.Now()
	now = s.epoch.Add(read.Sub(s.epoch))
	if s.opts.Wall == nil {
		return now, read
	}
	return now, s.opts.Wall()
}

// Stats returns the counts since New.
func (s *Scheduler) Stats() Stats { return s.pool.stats() }
