package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// crowdOf is 300 checks that take 60 s, each so often, among 20 that take no
// time, each 5 s.
type crowdOf struct {
	name      string
	slowEvery time.Duration
	firstMax  time.Duration
	settle    time.Duration // until who is slow has shown
}

// TestQuickAmongSlow holds that quick checks start within a second of their
// time, and each time, whatever the slow ones do.
func TestQuickAmongSlow(t *testing.T) {
	for _, test := range []crowdOf{
		{"the interval tells", time.Minute, 10 * time.Second, 0},
		{"the interval tells, all at once", time.Minute, 2 * time.Second, 0},
		{"the interval tells, long", 5 * time.Minute, 10 * time.Second, 0},
		// All take part in the first round as equals, and 300 are more than fit.
		{"the interval misleads", 5 * time.Second, 10 * time.Second, 75 * time.Second},
		{"the interval misleads, all at once", 5 * time.Second, 2 * time.Second, 75 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { holdQuick(t, test) })
		})
	}
}

func holdQuick(t *testing.T, test crowdOf) {
	opts := DefaultOptions()
	opts.FirstMin, opts.FirstMax = 2*time.Second, test.firstMax
	r := newRig(t, opts)
	jobs := append(r.crowd(300, "slow", test.slowEvery, time.Minute), r.crowd(20, "quick", 5*time.Second, 10*time.Millisecond)...)
	rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	begin := time.Now()
	r.apply(jobs)
	const watched = 6 * time.Minute
	most := 0
	for time.Since(begin) < test.settle+watched {
		time.Sleep(500 * time.Millisecond)
		most = max(most, r.Stats().Running)
	}
	if most > 256 {
		t.Errorf("%d ran at once, want 256 at most", most)
	}
	var late []time.Duration
	for i := range 20 {
		key := fmt.Sprint("quick", i)
		dues := r.due(key)
		for n, start := range r.started(key) {
			if start.Sub(begin) > test.settle {
				late = append(late, start.Sub(dues[n]))
			}
		}
	}
	slices.Sort(late)
	if want := int(20 * (watched - test.firstMax) / (5 * time.Second)); len(late) < want*99/100 {
		t.Errorf("%d starts of quick checks, want %d", len(late), want)
	}
	if p99 := late[len(late)*99/100]; p99 > time.Second {
		t.Errorf("quick checks start %v late (p99)", p99)
	}
	s := r.Stats()
	if used := s.Started - uint64(len(late)); test.slowEvery == time.Minute && used < 192*3 {
		t.Errorf("%d slow runs in %v: the slots are not used", used, watched)
	}
	r.wantBalance()
}

// TestCrowdArrives: who is known to be quick keeps its time while others come
// that look quick and are not, and more that do not even look it.
func TestCrowdArrives(t *testing.T) {
	for _, test := range []struct{ seemQuick, seemSlow int }{{300, 0}, {200, 190}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, options(2*time.Second))
			begin := time.Now()
			r.apply(r.crowd(20, "quick", 5*time.Second, 10*time.Millisecond))
			time.Sleep(time.Minute)
			r.apply(r.crowd(test.seemQuick, "a", 5*time.Second, time.Minute))
			time.Sleep(2 * grid) // so that the others come later
			r.apply(r.crowd(test.seemSlow, "b", time.Minute, time.Minute))
			time.Sleep(4 * time.Minute)
			for i := range 20 {
				r.wantRhythm(fmt.Sprint("quick", i), begin.Add(2*time.Second), 5*time.Second, 60)
			}
			r.wantBalance()
		})
	}
}

// TestSlowMayTakeWhatNobodyNeeds: slots are kept only for as many quick runs as
// there can be.
func TestSlowMayTakeWhatNobodyNeeds(t *testing.T) {
	for _, test := range []struct{ quick, want int }{{0, 100}, {3, 97}, {50, 75}} {
		synctest.Test(t, func(t *testing.T) {
			opts := options(2 * time.Second)
			opts.MaxConcurrent = 100
			r := newRig(t, opts)
			r.apply(r.crowd(test.quick, "quick", 5*time.Second, 10*time.Millisecond))
			time.Sleep(time.Minute)
			r.apply(r.crowd(200, "slow", time.Hour, 10*time.Minute))
			time.Sleep(4*time.Second + 500*time.Millisecond) // no quick one runs then
			if n := r.Stats().Running; n != test.want {
				t.Errorf("beside %d quick jobs %d slow runs are under way at once, want %d", test.quick, n, test.want)
			}
			r.apply(nil, keys("quick", test.quick)...)
			time.Sleep(11 * time.Minute)
			r.wantBalance()
		})
	}
}

func keys(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// TestMisfireForWantOfSlots: what waits longer than its grace is skipped, and
// reported soon, also while nothing ends.
func TestMisfireForWantOfSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options(2 * time.Second)
		opts.MaxConcurrent = 1
		r := newRig(t, opts)
		r.apply([]Job{r.job("holds", time.Hour, 10*time.Minute)})
		time.Sleep(time.Second)
		r.apply([]Job{r.job("waits", time.Minute, 0)}) // due at 3 s
		time.Sleep(6 * time.Second)
		if n := len(r.skips("waits", Misfire)); n != 0 {
			t.Fatalf("skipped after 4 s, within its grace")
		}
		time.Sleep(3 * time.Second)
		if n := len(r.skips("waits", Misfire)); n != 1 {
			t.Fatalf("skipped %d times after 7 s, want once", n)
		}
		time.Sleep(15 * time.Minute)
		if n := len(r.skips("waits", Misfire)); n != 10 {
			t.Errorf("skipped %d times, want the 10 times that the slot was taken", n)
		}
		for i, start := range r.started("waits") {
			if late := start.Sub(r.due("waits")[i]); late > 5*time.Second {
				t.Errorf("started %v late, beyond its grace", late)
			}
		}
		r.wantBalance()
	})
}

// TestPlaceInLine: jobs that wait and become due again keep their place, so that
// overload skips all of them in turn rather than the same ones each time.
func TestPlaceInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options(2 * time.Second)
		opts.MaxConcurrent = 2
		r := newRig(t, opts)
		jobs := r.crowd(12, "a", 2*time.Second, 900*time.Millisecond)
		for i := range jobs {
			jobs[i].MisfireGrace = 3 * time.Second
		}
		r.apply(jobs)
		time.Sleep(10 * time.Minute)
		least, most := 1<<30, 0
		for i := range jobs {
			n := len(r.started(jobs[i].Key))
			least, most = min(least, n), max(most, n)
		}
		if least < 90 || most > 135 { // there is time for 111 of each
			t.Errorf("under overload one job ran %d times and another %d times", least, most)
		}
		synctest.Wait() // what came due at this very moment
		r.wantBalance()
	})
}

// TestLearning: what a job is taken for follows from its runs.
func TestLearning(t *testing.T) {
	job := Job{Every: 5 * time.Second}
	for _, test := range []struct {
		name string
		job  Job
		took []time.Duration
		want class
	}{
		{"short interval", job, nil, fresh},
		{"long interval", Job{Every: 10 * time.Second}, nil, slow},
		{"calendar", Job{}, nil, slow},
		{"expected quick", Job{Every: time.Hour, Expected: time.Millisecond}, nil, fresh},
		{"expected slow", Job{Every: 5 * time.Second, Expected: time.Minute}, nil, slow},
		{"was quick", Job{Every: time.Hour, Expected: time.Minute}, []time.Duration{time.Millisecond}, quick},
		{"was slow", job, []time.Duration{time.Minute}, slow},
		{"was slow a moment ago", job, []time.Duration{time.Minute, time.Millisecond}, slow},
		{"was slow long ago", job, append([]time.Duration{time.Minute}, make([]time.Duration, 6)...), quick},
	} {
		e := &entry{job: test.job}
		for _, took := range test.took {
			e.learn(took)
		}
		if got := e.class(); got != test.want {
			t.Errorf("%s: class %d, want %d", test.name, got, test.want)
		}
	}
}

// TestHangsSpread: 300 checks that were quick begin to hang at once, as when a
// router dies. They take all slots once, but not again after that.
func TestHangsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		jobs := r.crowd(300, "hangs", 5*time.Second, 0)
		begin := time.Now()
		for i := range jobs {
			note := jobs[i].Run
			jobs[i].Run = func(due time.Time) {
				note(due)
				if time.Since(begin) > time.Minute {
					time.Sleep(time.Minute)
				}
			}
		}
		r.apply(append(jobs, r.crowd(20, "fine", 5*time.Second, 10*time.Millisecond)...))
		time.Sleep(10 * time.Minute)
		for i := range 20 {
			key := fmt.Sprint("fine", i)
			for n, start := range r.started(key) {
				after, late := start.Sub(begin), start.Sub(r.due(key)[n])
				if late > time.Second && (after < time.Minute || after > 125*time.Second) {
					t.Fatalf("%s started %v late after %v", key, late, after)
				}
			}
			if n := len(r.started(key)); n < 120-65/5 {
				t.Fatalf("%s ran %d times, want 120 but for the minute of the hang", key, n)
			}
		}
		r.wantBalance()
	})
}
