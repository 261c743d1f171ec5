package journal

import (
	"testing"
	"time"
)

// setClock has all that happened until now have happened by a clock that was so
// far behind the machine's, as if that had just been set forward.
func (h harness) setClock(forward time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := int64(forward)
	h.clock.wall -= d
	for _, s := range h.segs {
		s.header.created -= d
		for i := range s.points {
			s.points[i].time -= d
		}
	}
	for _, c := range h.tail {
		c.time -= d
	}
}

// A machine without a clock of its own starts in the past, and is told the time
// a moment later: no result of a moment ago is a day old then.
func TestAClockThatIsSetAgesNothing(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		h := open(t, Options{Dir: dir, SegmentBytes: 4 << 10})
		r := h.reader("a", Oldest)
		begin := time.Now()
		h.put(0, 30, 1) // several segments
		pass := func(age time.Duration, want int) {
			t.Helper()
			if n, err := r.PassOlder(time.Now().Add(-age)); n != want || err != nil {
				t.Errorf("%q: %d records are over %v, want %d, %v", dir, n, age, want, err)
			}
		}
		for _, forward := range []time.Duration{48 * time.Hour, 20 * 365 * 24 * time.Hour, -30 * time.Hour} {
			h.setClock(forward)
			pass(time.Hour, 0)
			h.put(30, 31, 1) // by the clock as it is then
		}
		if oldest := h.Stats().Readers[0].Oldest; oldest.Before(begin.Add(-time.Minute)) || oldest.After(time.Now()) {
			t.Errorf("%q: the oldest is said to be of %v, it is of %v", dir, oldest, begin)
		}
		pass(-time.Hour, 33)
	}
}

// A machine without a clock of its own begins a segment in the past, and is told
// the time behind it. To the next process, that says nothing of the one before it.
func TestASegmentThatBeganInThePastAgesNothingBeforeIt(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10}
	h := open(t, o)
	h.put(0, 30, 1)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	last, before := h.segs[len(h.segs)-1], h.segs[len(h.segs)-2]
	r := h.reader("a", Start(before.first()-1))
	const decades = int64(20 * 365 * 24 * time.Hour)
	last.header.created -= decades
	for range 2 {
		if n, err := r.PassOlder(time.Now().Add(-time.Hour)); n > 0 || err != nil {
			t.Errorf("%d records are over an hour, %v", n, err)
		}
		before.header.created -= decades + int64(time.Second) // it began so, too
	}
}

func TestDates(t *testing.T) {
	const minute, day = int64(time.Minute), int64(24 * time.Hour)
	now := time.Now()
	c := clock{wall: now.UnixNano(), start: now, asleep: asleep(), first: 10}
	wall := c.wall
	c.note(now.Add(time.Second), 10)
	c.wall -= day // it is set forward by a day
	c.note(now.Add(2*time.Second), 20)
	c.note(now.Add(3*time.Second), 30)
	c.wall += day + minute/2 // and back, nearly
	d := c.dates(now.Add(4 * time.Second))
	for _, test := range []struct {
		name     string
		seq      uint64
		at, want int64
	}{
		{"before the clock was set", 19, wall, wall + d.shift},
		{"while it was ahead", 20, wall + day, wall + d.shift},
		{"of an earlier process", 9, wall - 5*day, wall - 5*day + d.shift},
		{"of one that knew the time", 9, wall + 5*day, wall + 5*day},
	} {
		if got := d.of(test.seq, test.at); got-test.want > minute || test.want-got > minute {
			t.Errorf("%s: off by %v", test.name, time.Duration(got-test.want))
		}
	}
	if len(c.steps) != 1 || d.shift <= -minute || d.shift >= minute {
		t.Errorf("steps %v, now %v", c.steps, time.Duration(d.shift))
	}
	for n := range uint64(10 * mostSteps) { // a clock that is set all the time
		c.wall -= 2 * minute
		c.note(now, 100+n)
	}
	if len(c.steps) > mostSteps {
		t.Errorf("%d steps are kept", len(c.steps))
	}
}
