package sched

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// setClock is a wall clock that can be set, which the machine's cannot be in a
// test. It goes on beside the monotonic clock.
type setClock struct {
	lead atomic.Int64 // over the machine's wall clock, in nanoseconds
}

func (c *setClock) now() time.Time           { return time.Now().Add(time.Duration(c.lead.Load())).Round(0) }
func (c *setClock) leap(by time.Duration)    { c.lead.Add(int64(by)) }
func (c *setClock) clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

// newLeapRig runs a job each minute of the wall clock and one each 7 s. The wall
// clock shows 00:00:00.
func newLeapRig(t *testing.T) (*rig, *setClock, time.Time) {
	clock := &setClock{}
	opts := options(2 * time.Second)
	opts.Wall = clock.now
	r := newRig(t, opts)
	r.apply([]Job{r.calendar("minute", object{"minute": "*"}, "UTC"), r.job("interval", 7*time.Second, 0)})
	return r, clock, time.Now()
}

// wantDues checks the key's due times, as "15:04:05".
func (r *rig) wantDues(key string, want ...string) {
	r.t.Helper()
	dues := r.due(key)
	var got []string
	for _, due := range dues {
		got = append(got, due.UTC().Format(time.TimeOnly))
	}
	if len(got) != len(want) {
		r.t.Fatalf("%q was run for %v, want %v", key, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			r.t.Fatalf("%q was run for %v, want %v", key, got, want)
		}
	}
}

func TestLeapForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, clock, begin := newLeapRig(t)
		time.Sleep(90 * time.Second)
		clock.leap(time.Hour) // 00:01:30 becomes 01:01:30
		time.Sleep(95 * time.Second)
		// The run of 01:01:00 is 30 s late, beyond its grace.
		r.wantDues("minute", "00:01:00", "01:02:00", "01:03:00")
		skipped := r.skips("minute", Misfire)
		if len(skipped) != 2 || skipped[0].Runs != 59 || skipped[1].Runs != 1 || clock.clock(skipped[1].Due) != "01:01:00" {
			t.Errorf("skipped %v, want 59 runs up to 01:00:00 and the one of 01:01:00", skipped)
		}
		r.wantRhythm("interval", begin.Add(2*time.Second), 7*time.Second, 27)
		r.wantBalance()
	})
}

// TestLeapIntoGrace: what the clock leapt over by less than the grace still runs.
func TestLeapIntoGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, clock, _ := newLeapRig(t)
		time.Sleep(45 * time.Second)
		clock.leap(17 * time.Second) // 00:00:45 becomes 00:01:02
		time.Sleep(30 * time.Second)
		r.wantDues("minute", "00:01:00")
		time.Sleep(30 * time.Second)
		r.wantDues("minute", "00:01:00", "00:02:00")
		r.wantBalance()
	})
}

func TestLeapBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, clock, begin := newLeapRig(t)
		time.Sleep(150 * time.Second)
		clock.leap(-time.Hour) // 00:02:30 becomes 23:02:30
		time.Sleep(155 * time.Second)
		r.wantDues("minute", "00:01:00", "00:02:00", "23:03:00", "23:04:00", "23:05:00")
		r.wantRhythm("interval", begin.Add(2*time.Second), 7*time.Second, 44)
		r.wantBalance()
	})
}

// TestSmallSteps: a clock that is set by less than half a second, again and
// again and in both directions, neither loses a run nor repeats one.
func TestSmallSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, clock, _ := newLeapRig(t)
		for i := range 60 {
			time.Sleep(59900 * time.Millisecond) // the steps come shortly before, at, and after a run
			clock.leap([]time.Duration{-300, 200, 250, -350, 450, -150}[i%6] * time.Millisecond)
		}
		time.Sleep(time.Minute)
		dues := r.due("minute")
		for i, due := range dues {
			if i > 0 && due.Sub(dues[i-1]) != time.Minute {
				t.Errorf("runs for %v and %v follow each other", dues[i-1], due)
			}
		}
		if len(dues) < 59 {
			t.Errorf("%d runs in about an hour", len(dues))
		}
		r.wantBalance()
	})
}

// TestLeapOfDecades is a machine without a battery that learns the time.
func TestLeapOfDecades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &setClock{}
		opts := options(2 * time.Second)
		opts.Wall = clock.now
		r := newRig(t, opts)
		r.apply([]Job{r.calendar("second", object{"second": "*"}, "Europe/Berlin")})
		time.Sleep(5500 * time.Millisecond)
		clock.leap(56 * 365 * 24 * time.Hour)
		time.Sleep(5 * time.Second)
		if n := len(r.started("second")); n < 9 || n > 10 {
			t.Errorf("%d runs in 10 s", n)
		}
		skipped := r.skips("second", Misfire)
		if len(skipped) != 1 || skipped[0].Runs < countLimit {
			t.Errorf("skipped %v, want them in one, %d or more", skipped, countLimit)
		}
		r.wantBalance()
	})
}

func TestCalendarEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		begin := time.Now()
		r.apply([]Job{r.calendar("second", object{"second": "*"}, "UTC")})
		time.Sleep(20*time.Minute + time.Second/2)
		r.wantRhythm("second", begin.Add(time.Second), time.Second, 1200)
		r.wantBalance()
	})
}

// TestCalendarOverDaylightSaving runs through a whole repeated hour.
func TestCalendarOverDaylightSaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &setClock{}
		opts := options(2 * time.Second)
		opts.Wall = clock.now
		clock.leap(time.Until(at(t, "2026-10-25T01:50:00+02:00")))
		r := newRig(t, opts)
		r.apply([]Job{r.calendar("half", object{"minute": "*/30"}, "Europe/Berlin")})
		time.Sleep(2 * time.Hour)
		r.wantDues("half", "00:00:00", "00:30:00", "01:00:00", "01:30:00") // UTC
	})
}

func TestCalendarThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock shows 2000-01-01 00:00:00
		r := newRig(t, options(2*time.Second))
		r.apply([]Job{
			r.calendar("ends", object{"minute": "*", "end_date": "2000-01-01 00:03:00"}, "UTC"),
			r.calendar("never", object{"year": "1999"}, "UTC"),
			r.calendar("later", object{"month": "1", "day": "1", "hour": "1", "minute": "30"}, "UTC"),
		})
		time.Sleep(2 * time.Hour)
		r.wantDues("ends", "00:01:00", "00:02:00", "00:03:00")
		r.wantDues("never")
		r.wantDues("later", "01:30:00")
		r.wantBalance()
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		begin := time.Now()
		job := r.calendar("a", object{"minute": "*"}, "UTC")
		job.Jitter = 90 * time.Second // more than there is room for
		dense := r.calendar("dense", object{"second": "*/2"}, "UTC")
		dense.Jitter = time.Second
		r.apply([]Job{job, dense})
		time.Sleep(2 * time.Hour)
		starts := r.started("a")
		if len(starts) != 119 && len(starts) != 120 {
			t.Fatalf("%d runs in two hours, want about 120", len(starts))
		}
		var perQuarter [4]int
		for i, at := range starts {
			delay := at.Sub(begin.Add(time.Duration(i+1) * time.Minute))
			if delay < 0 || delay > 59*time.Second {
				t.Fatalf("run %d is %v after its minute", i, delay)
			}
			perQuarter[delay/(15*time.Second)]++
		}
		for i, n := range perQuarter {
			if n < 12 {
				t.Errorf("%d of %d delays are in quarter %d of the minute", n, len(starts), i)
			}
		}
		if n := len(r.started("dense")); n != 3599 && n != 3600 {
			t.Errorf("%d runs each 2 s in two hours", n)
		}
		r.wantBalance()
	})
}

// TestSharedRhythms: what is due together costs gocron one job.
func TestSharedRhythms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		jobs := r.crowd(1000, "i", time.Minute, 0)
		for i := range 1000 {
			job := r.calendar(jobs[i].Key+"c", object{"minute": "*/5"}, "Europe/Berlin")
			jobs = append(jobs, job)
		}
		r.apply(jobs)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Scheduler.mu.Lock()
		defer r.Scheduler.mu.Unlock()
		if n := len(r.rhythms); n != 2 {
			t.Errorf("%d rhythms, want 2", n)
		}
	})
}
