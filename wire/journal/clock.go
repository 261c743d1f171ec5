package journal

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock knows by how much the machine's clock was set while the journal is
// open, so that no record ages by that: a machine without a clock of its own
// starts in the past and is told the time later. Guarded by Journal.mu.
type clock struct {
	wall   int64     // when the journal was opened, ns since the Unix epoch
	start  time.Time // the same moment, monotonic
	asleep int64     // ns that the machine had slept until then
	slept  int64     // ns that it slept since, as last looked at
	first  uint64    // sequence of this process, others are from before
	steps  []step    // in order; what is in the slice never changes
}

// step is how much the clock was ahead of where it would be, unset, from a
// sequence on.
type step struct {
	from  uint64
	shift int64 // ns
}

const (
	leastStep = int64(time.Minute) // less is what a clock drifts
	mostSteps = 100                // of a clock that is set all the time
)

func newClock(first uint64) clock {
	now := time.Now()
	return clock{wall: now.UnixNano(), start: now, asleep: asleep(), first: first}
}

// asleep is how long the machine was suspended since it was started, in ns: time
// that passed, but that the monotonic clock does not count.
func asleep() int64 {
	var boot, run unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &run) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return boot.Nano() - run.Nano()
}

// shift is how much the clock is ahead now.
func (c *clock) shift(now time.Time) int64 {
	last := int64(0)
	if n := len(c.steps); n > 0 {
		last = c.steps[n-1].shift
	}
	ahead := now.UnixNano() - c.wall - int64(now.Sub(c.start))
	if near(ahead-c.slept, last) {
		return last
	}
	c.slept = asleep() - c.asleep
	if near(ahead-c.slept, last) {
		return last
	}
	return ahead - c.slept
}

func near(a, b int64) bool { return a-b < leastStep && b-a < leastStep }

// note is told that a chunk begins with sequence seq.
func (c *clock) note(now time.Time, seq uint64) {
	shift := c.shift(now)
	if n := len(c.steps); n == 0 && shift == 0 || n > 0 && shift == c.steps[n-1].shift {
		return
	}
	if len(c.steps) >= mostSteps {
		c.steps = append([]step(nil), c.steps[mostSteps/2:]...)
	}
	c.steps = append(c.steps, step{seq, shift})
}

// dates returns what tells the times of records by the clock as it is set now.
func (c *clock) dates(now time.Time) dates {
	return dates{wall: c.wall, first: c.first, shift: c.shift(now), steps: c.steps}
}

// dates is a clock at one moment. Any goroutine may use it.
type dates struct {
	wall  int64
	first uint64
	shift int64
	steps []step
}

// of returns when record seq was appended, by the clock of now: at is what its
// clock said then. A record of an earlier process that lies in what was the
// future when the journal was opened tells that the clock was behind at that
// time, and keeps its time.
func (d dates) of(seq uint64, at int64) int64 {
	if seq < d.first && at > d.wall {
		return at
	}
	shift := int64(0)
	for _, s := range d.steps {
		if s.from > seq {
			break
		}
		shift = s.shift
	}
	return at + d.shift - shift
}
