package journal

import (
	"slices"
	"time"
)

// stamp is when a batch was begun.
type stamp struct {
	wall int64 // ns since the Unix epoch, as the clock stood then
	age  int64 // of the journal, in ns; 0: an earlier release wrote it, which had no such thing
}

// machineClock is what a timeline asks for the time.
type machineClock interface {
	now() moment
	synced() bool // whether the wall clock is right
}

// timeline counts how old the journal is: the time for which it is certain that
// it passed since the journal was made. Nobody can set that, so a record's age is
// how much older the journal is now. Guarded by Journal.mu.
//
// In one start of the machine, its uptime tells what passed, also between two
// processes. Between two starts, or on the way to another machine, only the
// clock can tell: it counts once the kernel takes it for right, if it did so
// before as well. Else that time counts as none, and what waits is kept for longer.
type timeline struct {
	clock machineClock

	clockState
	generation uint64 // of the state as stored
	storedAge  int64
	dirty      bool  // there is more to store than that time passed
	asked      int64 // the age when it last asked whether the clock is right

	openWall, openAge int64 // at Open
}

// clockState is what outlives the process.
type clockState struct {
	boot bootID
	up   int64 // of that boot, when the journal was so old:
	age  int64
	// When the clock was last known to be right; wall is 0 if it never was.
	right struct{ wall, age int64 }
	// lapse is the age at which a time began, after right, that nobody could
	// measure; 0 if there was none.
	lapse  int64
	lapses []lapse
}

// lapse is a time that was measured later: records no younger than at aged by
// that much more.
type lapse struct{ at, more int64 }

const (
	// mostLapses bounds what is stored. Without the oldest, what waits seems younger.
	mostLapses = 16
	// storeClock is how much the age may lag behind on the disk: so much of it is
	// not counted after a power loss.
	storeClock = 10 * time.Minute
	askClock   = 10 * time.Second // between two questions whether the clock is right
)

// begin goes on from what an earlier process stored. newest is the highest age
// that a record has.
func (t *timeline) begin(newest int64) {
	m := t.clock.now()
	known := t.age > 0
	passed := m.up - t.up
	switch {
	case !known:
		t.age = int64(time.Second) // 0 stands for unknown
	case m.boot != t.boot:
		t.age = max(t.age, newest)
		if t.lapse == 0 && t.right.wall != 0 {
			t.lapse = t.age
		}
		t.age += int64(time.Second) // so that what comes now is certainly younger
	case passed > 0:
		t.age += passed
	}
	t.age = max(t.age, newest)
	t.boot, t.up, t.dirty = m.boot, m.up, true
	t.openWall, t.openAge = m.wall, t.age
	t.compare(m)
}

// look has the journal age to moment m.
func (t *timeline) look(m moment) {
	if passed := m.up - t.up; passed > 0 {
		t.age += passed
		t.up = m.up
	}
}

// compare holds the age against the clock where that is right.
func (t *timeline) compare(m moment) {
	if t.asked = t.age; !t.clock.synced() {
		return
	}
	if t.lapse > 0 {
		if more := m.wall - t.right.wall - (t.age - t.right.age); more > 0 {
			kept := t.lapses[max(0, len(t.lapses)+1-mostLapses):]
			t.lapses = append(slices.Clone(kept), lapse{t.lapse, more})
		}
		t.lapse, t.dirty = 0, true
	}
	t.right.wall, t.right.age = m.wall, t.age
}

// stamp is the stamp of what is appended now.
func (t *timeline) stamp() stamp {
	m := t.clock.now()
	t.look(m)
	return stamp{m.wall, t.age}
}

// since returns what tells the age of records now.
func (t *timeline) since() ages {
	m := t.clock.now()
	t.look(m)
	return ages{wall: m.wall, age: t.age, openWall: t.openWall, openAge: t.openAge, lapses: t.lapses}
}

// ages is a timeline at one moment. Any goroutine may use it.
type ages struct {
	wall, age         int64
	openWall, openAge int64
	lapses            []lapse // what is in the slice never changes
}

// of returns how old a record is, in ns.
func (a ages) of(s stamp) int64 {
	if s.age == 0 {
		return a.ofUnknown(s.wall)
	}
	age := max(a.age-s.age, 0)
	for _, l := range a.lapses {
		if s.age <= l.at {
			age += l.more
		}
	}
	return age
}

// ofUnknown goes by the clock as it was set when the journal was opened: that it
// was set since ages nothing. A record that lies in what was the future then
// tells that the clock was behind at that time, and is as old as the clock says now.
func (a ages) ofUnknown(wall int64) int64 {
	if wall > a.openWall {
		return max(a.wall-wall, 0)
	}
	return a.age - a.openAge + a.openWall - wall
}

// date is when a record was appended, by the clock as it is set now.
func (a ages) date(s stamp) time.Time { return time.Unix(0, a.wall-a.of(s)) }

// limit is what tells whether a record is older than a cutoff.
type limit struct {
	ages
	most int64
}

func (l limit) over(s stamp) bool { return l.of(s) > l.most }
