package sched

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-co-op/gocron/v2"
)

const (
	// tick is how often waiting runs are held against their grace, and the wall
	// clock against the monotonic one.
	tick = time.Second
	// leapTolerance is how far the wall clock may be set before calendars are
	// armed anew. Smaller steps correct themselves at the next run.
	leapTolerance = 500 * time.Millisecond
	// shutdownTimeout is for gocron's own tasks, which hand over and return.
	// Gocron polls while it waits for them.
	shutdownTimeout = 2 * time.Second
)

// Run schedules and runs the jobs until ctx ends, then waits for the runs that
// are under way: whoever wants them to end sooner ends them. When it returns,
// nothing that it started still runs. It can be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	cron, err := s.start()
	if err != nil {
		return fmt.Errorf("start scheduler: %w", err)
	}
	<-ctx.Done()
	s.mu.Lock()
	s.state = stopped
	s.mu.Unlock()
	s.pool.close()
	err = cron.Shutdown()
	s.pool.wait()
	if err != nil {
		return fmt.Errorf("stop scheduler: %w", err)
	}
	return nil
}

func (s *Scheduler) start() (gocron.Scheduler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != idle {
		return nil, ErrStopped
	}
	// In UTC, because gocron drops a run whose local reading equals the one
	// before, as happens when clocks are turned back.
	cron, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(shutdownTimeout), gocron.WithClock(newSteady(s.epoch)))
	if err != nil {
		return nil, err
	}
	s.cron, s.state, s.leap = cron, running, s.wallLead()
	cron.Start()
	entries := make([]*entry, 0, len(s.jobs))
	for _, e := range s.jobs {
		entries = append(entries, e)
	}
	s.attach(entries)
	err = s.rearm()
	if err == nil {
		_, err = cron.NewJob(gocron.DurationJob(tick), gocron.NewTask(s.keepHouse))
	}
	if err != nil {
		s.state = stopped
		return nil, errors.Join(err, cron.Shutdown())
	}
	return cron, nil
}

// rearm gives new rhythms to gocron and takes deserted ones away. s.mu is held.
func (s *Scheduler) rearm() error {
	for key, r := range s.rhythms {
		switch {
		case s.pool.deserted(r):
			delete(s.rhythms, key)
			if err := s.disarm(r); err != nil {
				return err
			}
		case !r.armed:
			if err := s.arm(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Scheduler) arm(r *rhythm) error {
	task := gocron.NewTask(func() { s.pool.offer(r) })
	definition, option := r.definition()
	job, err := s.cron.NewJob(definition, task, option)
	if err != nil {
		return fmt.Errorf("arm rhythm: %w", err)
	}
	r.id, r.armed = job.ID(), true
	return nil
}

func (s *Scheduler) disarm(r *rhythm) error {
	if !r.armed {
		return nil
	}
	r.armed = false
	if err := s.cron.RemoveJob(r.id); err != nil {
		return fmt.Errorf("disarm rhythm: %w", err)
	}
	return nil
}

// keepHouse runs every tick.
func (s *Scheduler) keepHouse() {
	s.pool.sweep()
	s.mu.Lock()
	defer s.mu.Unlock()
	lead := s.wallLead()
	if s.state != running || (lead-s.leap).Abs() < leapTolerance {
		return
	}
	if s.followLeap() == nil { // else the next tick tries again
		s.leap = lead
	}
}

// wallLead returns how much more time has gone by on the wall clock than on the
// monotonic one. It changes when the wall clock is set, and after a suspend,
// during which the monotonic one stands still.
func (s *Scheduler) wallLead() time.Duration {
	now, wall := s.clock()
	return wall.Round(0).Sub(s.epoch.Round(0)) - now.Sub(s.epoch)
}

// followLeap arms the calendars anew after the wall clock has leapt. What it
// leapt over forwards is skipped, or still run if it is within the grace; what
// it shows again after a leap backwards is run again.
func (s *Scheduler) followLeap() error {
	for _, r := range s.rhythms {
		if r.key.every > 0 {
			continue
		}
		if err := s.disarm(r); err != nil {
			return err
		}
		if err := s.arm(r); err != nil {
			return err
		}
		s.pool.offer(r) // what came due before it was armed
	}
	return nil
}
