package sched

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// rig is a running scheduler that notes what happens.
type rig struct {
	*Scheduler
	t    *testing.T
	stop func() // ends Run and waits for it

	mu      sync.Mutex
	starts  map[string][]time.Time // when
	dues    map[string][]time.Time
	skipped []Skip
}

// newRig starts a scheduler that is stopped at the end of the test, and was
// prepared before.
func newRig(t *testing.T, opts Options, prepare ...func(*Scheduler)) *rig {
	t.Helper()
	r := &rig{t: t, starts: map[string][]time.Time{}, dues: map[string][]time.Time{}}
	opts.Skipped = func(s Skip) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.skipped = append(r.skipped, s)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Scheduler = s
	for _, f := range prepare {
		f(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// takes returns what a job does that takes so long.
func (r *rig) takes(key string, d time.Duration) func(time.Time) {
	return func(due time.Time) {
		r.mu.Lock()
		r.starts[key] = append(r.starts[key], time.Now())
		r.dues[key] = append(r.dues[key], due)
		r.mu.Unlock()
		if d > 0 {
			time.Sleep(d)
		}
	}
}

// job returns a job that runs every so often and takes so long.
func (r *rig) job(key string, every, takes time.Duration) Job {
	return Job{Key: key, Every: every, MaxInstances: 1, MisfireGrace: 5 * time.Second, Run: r.takes(key, takes)}
}

func (r *rig) calendar(key string, fields map[string]string, zone string) Job {
	return Job{Key: key, Calendar: mustParse(r.t, fields, zone), MaxInstances: 1,
		MisfireGrace: 5 * time.Second, Run: r.takes(key, 0)}
}

func (r *rig) apply(set []Job, remove ...string) {
	r.t.Helper()
	if err := r.Apply(set, remove); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) started(key string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.starts[key])
}

func (r *rig) due(key string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dues[key])
}

// skips returns the skips of the key for that reason.
func (r *rig) skips(key string, why SkipReason) []Skip {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Skip
	for _, s := range r.skipped {
		if s.Key == key && s.Why == why {
			found = append(found, s)
		}
	}
	return found
}

// wantBalance checks that each due run is accounted for.
func (r *rig) wantBalance() {
	r.t.Helper()
	s := r.Stats()
	sum := s.Started + uint64(s.Waiting)
	for _, n := range s.Skipped {
		sum += n
	}
	if s.Due != sum {
		r.t.Errorf("%d runs were due, but %d were started, are waiting or were skipped: %+v", s.Due, sum, s)
	}
	if s.Started != s.Finished+uint64(s.Running) {
		r.t.Errorf("%d started, %d finished, %d running", s.Started, s.Finished, s.Running)
	}
	reported := uint64(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, skip := range r.skipped {
		reported += uint64(skip.Runs)
	}
	if skipped := sum - s.Started - uint64(s.Waiting); reported != skipped {
		r.t.Errorf("%d skipped runs were reported, %d counted", reported, skipped)
	}
}

func options(first time.Duration) Options {
	opts := DefaultOptions()
	opts.FirstMin, opts.FirstMax = first, first
	return opts
}
