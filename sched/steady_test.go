package sched

import (
	"testing"
	"time"
	"unsafe"
)

// setForward returns what a reading of the clocks becomes when the machine's is
// set forward after it: its wall clock is behind by that, and its monotonic one
// is not. It is the layout of time.Time that it goes by, and checks.
func setForward(t *testing.T, read time.Time, by time.Duration) time.Time {
	t.Helper()
	before := read
	wall := (*uint64)(unsafe.Pointer(&read))
	*wall -= uint64(by/time.Second) << 30
	if read.Sub(before) != 0 || before.Round(0).Sub(read.Round(0)) != by {
		t.Fatalf("%v of %v is no reading from before the clock was set", read, before)
	}
	return read
}

// Machines boot with a wrong clock, and wake up with one. Checks at an interval
// go on as if nothing had been.
func TestAClockThatIsSetMovesNoInterval(t *testing.T) {
	const every, grace = 3 * time.Second, 1500 * time.Millisecond
	for _, by := range []time.Duration{time.Second, -2 * time.Second} { // either would be too late for the grace
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options(100*time.Millisecond), func(s *Scheduler) { s.epoch = setForward(t, s.epoch, by) })
			begin := time.Now()
			job := r.job("interval", every, 0)
			job.MisfireGrace = grace
			r.apply([]Job{job})
			time.Sleep(2*every + grace)
			starts := r.started("interval")
			if skipped := r.skips("interval", Misfire); len(starts) != 3 || len(skipped) > 0 {
				t.Fatalf("started %d times, and skipped %v; want 3 times", len(starts), skipped)
			}
			for n, at := range starts {
				due := begin.Add(100*time.Millisecond + time.Duration(n)*every)
				if late := at.Sub(due); late < 0 || late > grace {
					t.Errorf("run %d was %v late", n, late)
				}
			}
			r.wantBalance()
		})
	}
}
