package sched

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIntervalKeepsPhaseWithoutDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		begin := time.Now()
		r.apply([]Job{r.job("a", 7*time.Second, 100*time.Millisecond)})
		time.Sleep(time.Hour - time.Second)                             // not the very instant of a run
		r.wantRhythm("a", begin.Add(2*time.Second), 7*time.Second, 514) // (3599 - 2) / 7, and the first
		r.wantBalance()
	})
}

// wantRhythm checks that the key's n starts are at first and every so often
// from there on.
func (r *rig) wantRhythm(key string, first time.Time, every time.Duration, n int) {
	r.t.Helper()
	starts := r.started(key)
	if len(starts) != n {
		r.t.Fatalf("%d runs of %q, want %d: %v", len(starts), key, n, starts)
	}
	for i, at := range starts {
		want := first.Add(time.Duration(i) * every)
		if late := at.Sub(want); late < 0 || late > grid {
			r.t.Fatalf("run %d of %q at %v, want %v", i, key, at, want)
		}
	}
}

func TestFirstRunsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := DefaultOptions()
		opts.FirstMin, opts.FirstMax = 2*time.Second, 12*time.Second
		r := newRig(t, opts)
		synctest.Wait() // until Run has begun, so that the jobs are added while it runs
		begin := time.Now()
		const n = 1000
		r.apply(r.crowd(n, "c", time.Hour, 0))
		time.Sleep(20 * time.Second)
		var perSecond [13]int
		for i := range n {
			starts := r.started(fmt.Sprint("c", i))
			if len(starts) != 1 {
				t.Fatalf("%d first runs, want 1", len(starts))
			}
			after := starts[0].Sub(begin)
			if after < 2*time.Second || after > 12*time.Second+grid {
				t.Fatalf("first run after %v, want 2 to 12 s", after)
			}
			perSecond[int(after/time.Second)]++
		}
		for s := 2; s < 12; s++ {
			if perSecond[s] < n/20 || perSecond[s] > n/5 {
				t.Errorf("%d of %d first runs in second %d", perSecond[s], n, s)
			}
		}
	})
}

// crowd returns n interval jobs.
func (r *rig) crowd(n int, prefix string, every, takes time.Duration) []Job {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = r.job(fmt.Sprint(prefix, i), every, takes)
	}
	return jobs
}

func TestJobsAddedBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(options(2 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan time.Time, 10)
		job := Job{Key: "a", Every: time.Minute, MaxInstances: 1, MisfireGrace: time.Second,
			Run: func(due time.Time) { ran <- due }}
		if err := s.Apply([]Job{job}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // counts for nothing
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		if after := (<-ran).Sub(begin); after < 2*time.Second || after > 2*time.Second+grid {
			t.Errorf("first run %v after Run, want 2 s", after)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Apply(nil, []string{"a"}); !errors.Is(err, ErrStopped) {
			t.Errorf("Apply after the end: %v, want ErrStopped", err)
		}
		if err := s.Run(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("second Run: %v, want ErrStopped", err)
		}
	})
}

func TestReplaceAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		begin := time.Now()
		r.apply([]Job{r.job("same", 10*time.Second, 0), r.job("moved", 10*time.Second, 0), r.job("gone", 10*time.Second, 0)})
		time.Sleep(15 * time.Second) // runs at 2 and 12
		same := r.job("same", 10*time.Second, 0)
		same.Run = r.takes("same, new", 0)
		r.apply([]Job{same, r.job("moved", 7*time.Second, 0)}, "gone", "never there")
		time.Sleep(20 * time.Second) // to 35
		r.wantRhythm("same", begin.Add(2*time.Second), 10*time.Second, 2)
		r.wantRhythm("same, new", begin.Add(22*time.Second), 10*time.Second, 2)
		r.wantRhythm("gone", begin.Add(2*time.Second), 10*time.Second, 2)
		moved := r.started("moved")
		if len(moved) != 5 || moved[2].Sub(begin) < 17*time.Second || moved[2].Sub(begin) > 17*time.Second+grid {
			t.Errorf("the moved job ran at %v, want 2, 12, 17, 24, 31 s after %v", moved, begin)
		}
		if jobs := r.Stats().Jobs; jobs != 2 {
			t.Errorf("%d jobs, want 2", jobs)
		}
		r.wantBalance()
	})
}

// TestRemovedWhileWaiting: the plugin that runs may finish, the run that waits
// for a slot is dropped and reported.
func TestRemovedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options(2 * time.Second)
		opts.MaxConcurrent = 1
		r := newRig(t, opts)
		r.apply([]Job{r.job("a", time.Minute, 4*time.Second), r.job("b", time.Minute, 4*time.Second)})
		time.Sleep(3 * time.Second) // one runs, the other waits
		if s := r.Stats(); s.Running != 1 || s.Waiting != 1 {
			t.Fatalf("%+v, want one running and one waiting", s)
		}
		r.apply(nil, "a", "b")
		if n := len(r.skips("a", Removed)) + len(r.skips("b", Removed)); n != 1 {
			t.Errorf("%d runs were reported as removed, want 1", n)
		}
		time.Sleep(10 * time.Minute)
		if s := r.Stats(); s.Started != 1 || s.Finished != 1 || s.Waiting != 0 {
			t.Errorf("%+v, want one run that finished", s)
		}
		r.wantBalance()
	})
}

func TestMaxInstances(t *testing.T) {
	for allowed, want := range map[int][2]int{1: {10, 20}, 2: {20, 10}, 3: {30, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, options(2*time.Second))
			job := r.job("a", 10*time.Second, 29*time.Second)
			job.MaxInstances = allowed
			r.apply([]Job{job})
			time.Sleep(300 * time.Second)
			if got := [2]int{len(r.started("a")), len(r.skips("a", Instances))}; got != want {
				t.Errorf("with %d instances: %d started and %d skipped, want %d and %d", allowed, got[0], got[1], want[0], want[1])
			}
			r.wantBalance()
		})
	}
}

// TestReplacedCountsInstances: a definition that is replaced while it runs does
// not run beside its successor.
func TestReplacedCountsInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		r.apply([]Job{r.job("a", 10*time.Second, 25*time.Second)})
		time.Sleep(5 * time.Second)
		next := r.job("a", 10*time.Second, 0)
		next.Run = r.takes("new", 0)
		r.apply([]Job{next})
		time.Sleep(30 * time.Second) // to 35; the old one ran from 2 to 27
		if skipped := r.skips("a", Instances); len(skipped) != 2 {
			t.Errorf("skipped %v, want the runs of 12 and 22 s", skipped)
		}
		if n := len(r.started("new")); n != 1 {
			t.Errorf("%d runs of the new definition, want 1", n)
		}
	})
}

// TestComesBack: a job that is removed and comes back does not run beside what is
// left of it, and is counted once.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		job := r.job("a", 10*time.Second, 15*time.Second)
		r.apply([]Job{job})
		time.Sleep(5 * time.Second) // it runs from 2 to 17
		r.apply(nil, "a")
		if n := r.Stats().Jobs; n != 0 {
			t.Errorf("%d jobs after it was removed", n)
		}
		time.Sleep(5 * time.Second)
		r.apply([]Job{job}) // due at 12 and 22
		if n := r.Stats().Jobs; n != 1 {
			t.Errorf("%d jobs after it came back", n)
		}
		time.Sleep(15 * time.Second)
		if skipped := r.skips("a", Instances); len(skipped) != 1 || len(r.started("a")) != 2 {
			t.Errorf("skipped %v, started %v; want the run of 12 s skipped, those of 2 and 22 s started", skipped, r.started("a"))
		}
		time.Sleep(15 * time.Second)
		r.apply(nil, "a")
		time.Sleep(time.Minute)
		r.apply(nil, "a")
		r.Scheduler.mu.Lock()
		defer r.Scheduler.mu.Unlock()
		if len(r.jobs)+len(r.dying)+len(r.rhythms) != 0 {
			t.Errorf("what was removed is kept: %v, %v, %v", r.jobs, r.dying, r.rhythms)
		}
	})
}

func TestBadJobsChangeNothing(t *testing.T) {
	s, err := New(DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	good := Job{Key: "good", Every: time.Second, MaxInstances: 1, MisfireGrace: time.Second, Run: func(time.Time) {}}
	daily := mustParse(t, object{"hour": "1"}, "UTC")
	for want, change := range map[string]func(*Job){
		"Every or Calendar": func(j *Job) { j.Every = 0 },
		"either Every or":   func(j *Job) { j.Calendar = daily },
		"Every is -1s":      func(j *Job) { j.Every = -time.Second },
		"Jitter":            func(j *Job) { j.Jitter = time.Second },
		"Jitter is -1s":     func(j *Job) { j.Every, j.Calendar, j.Jitter = 0, daily, -time.Second },
		"MaxInstances is 0": func(j *Job) { j.MaxInstances = 0 },
		"MisfireGrace is 0": func(j *Job) { j.MisfireGrace = 0 },
		"Run is nil":        func(j *Job) { j.Run = nil },
		"given twice":       func(j *Job) { j.Key = "good" },
	} {
		bad := good
		bad.Key = "bad"
		change(&bad)
		err := s.Apply([]Job{good, bad}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad.Key) {
			t.Errorf("got %v, want %q and the key in it", err, want)
		}
	}
	if n := s.Stats().Jobs; n != 0 {
		t.Errorf("%d jobs were taken over from what was refused", n)
	}
}

func TestBadOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"MaxConcurrent is 0": func(o *Options) { o.MaxConcurrent = 0 },
		"FirstMin is -1s":    func(o *Options) { o.FirstMin = -time.Second },
		"FirstMax 1s":        func(o *Options) { o.FirstMax = time.Second },
	} {
		opts := DefaultOptions()
		change(&opts)
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options(2 * time.Second)
		opts.MaxConcurrent = 2
		r := newRig(t, opts)
		begin := time.Now()
		r.apply(r.crowd(3, "a", 3*time.Second, 30*time.Second))
		time.Sleep(2500 * time.Millisecond) // two run, one waits
		r.stop()
		if took := time.Since(begin); took < 32*time.Second || took > 32*time.Second+grid {
			t.Errorf("Run returned after %v, want when the runs of 2 s ended at 32 s", took)
		}
		s := r.Stats()
		if s.Started != 2 || s.Finished != 2 || s.Skipped[Stopping] != 1 || s.Due != 3 {
			t.Errorf("%+v, want 3 due, 2 finished, 1 skipped", s)
		}
		r.wantBalance()
		time.Sleep(time.Hour)
		if after := r.Stats(); after.Due != s.Due || after.Started != s.Started {
			t.Errorf("after the end %+v, before %+v", after, s)
		}
	})
}
