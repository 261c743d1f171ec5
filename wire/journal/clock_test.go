package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// machine is one whose time, clock and starts a test decides on.
type machine struct {
	true  int64 // what the time really is
	off   int64 // by how much the clock is ahead of that
	boots int
	ran   int64 // when the machine was started, by the true time
	right bool
}

func newMachine() *machine {
	return &machine{true: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
}

func (m *machine) now() moment {
	return moment{wall: m.true + m.off, boot: bootID{byte(m.boots)}, up: m.true - m.ran}
}

func (m *machine) synced() bool { return m.right && m.off == 0 }

func (m *machine) pass(d time.Duration) { m.true += int64(d) }

// set puts the clock ahead of the true time, by hand or by a daemon that knows it.
func (m *machine) set(ahead time.Duration, right bool) { m.off, m.right = int64(ahead), right }

// restart has the machine off for a time, and come back with a clock that is so far ahead.
func (m *machine) restart(off, ahead time.Duration) {
	m.pass(off)
	m.boots++
	m.ran = m.true
	m.set(ahead, false)
}

const day = 24 * time.Hour

// Two records wait: the first from before, the second from behind what is done to a machine and
// its clock. The journal is opened anew after each step.
func TestOnlyTimeThatPassedAges(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []func(*machine)
		age   time.Duration // of the first record
	}{
		{"the clock is set forward", do(wait(time.Second), set(2*day), wait(time.Second)), 2 * time.Second},
		{"it is set back", do(set(2*day), wait(time.Second), set(-2*day)), time.Second},
		{"it is days behind, and then right", do(set(-5*day), wait(time.Minute), right()), time.Minute},
		{"the machine really stood for days", do(wait(3 * day)), 3 * day},
		{"it was off for days, and its clock is right again", do(right(), wait(time.Second), restart(3*day, 0), right()), 3*day + time.Second},
		{"it was off, and starts in the past", do(right(), restart(time.Minute, -9000*day)), 0},
		{"and learns the time", do(right(), restart(time.Minute, -9000*day), wait(time.Second), right()), time.Minute + time.Second},
		{"it was off, and starts in the future", do(right(), restart(time.Minute, 9000*day), wait(time.Second), right()), time.Minute + time.Second},
		{"nobody can know how long it was off", do(restart(3*day, 0), wait(time.Hour), right()), time.Hour},
		{"several starts with a wrong clock", do(right(), restart(time.Hour, -day), restart(time.Hour, 50*day), restart(time.Hour, -9000*day), right()), 3 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine()
			o := Options{Dir: t.TempDir(), ReadUnflushed: true, clock: m}
			m.set(-3*time.Hour, false)
			h := open(t, o)
			h.put(0, 1, 1)
			for _, step := range c.steps {
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				step(m)
				h = open(t, o)
				if err := h.Trim(); err != nil {
					t.Fatal(err)
				}
			}
			m.pass(askClock)
			if err := h.Trim(); err != nil {
				t.Fatal(err)
			}
			h.put(1, 2, 1)
			h = h.again(o)
			r := h.reader("a", Oldest)
			h.wantOver(r, c.age+askClock+2*time.Second, 0)
			h.wantOver(r, c.age+askClock-2*time.Second, 1)
			h.wantOver(r, -2*time.Second, 2)
		})
	}
}

func do(steps ...func(*machine)) []func(*machine) { return steps }

func wait(d time.Duration) func(*machine)    { return func(m *machine) { m.pass(d) } }
func set(ahead time.Duration) func(*machine) { return func(m *machine) { m.set(ahead, false) } }
func right() func(*machine)                  { return func(m *machine) { m.set(0, true) } }
func restart(off, ahead time.Duration) func(*machine) {
	return func(m *machine) { m.restart(off, ahead) }
}

// again is the journal after a kill.
func (h harness) again(o Options) harness {
	h.lock.Close()
	return open(h.t, o)
}

func (h harness) wantOver(r *Reader, age time.Duration, want int) {
	h.t.Helper()
	before := r.Acked()
	if _, err := r.PassOlder(time.Now().Add(-age)); err != nil || int(r.Acked()) != want {
		h.t.Errorf("over %v are %d records (%d before), want %d, %v", age, r.Acked(), before, want, err)
	}
}

// Whatever is done to a machine and its clock, nothing is given up that is not
// over the limit by the true time; and what the machine could measure is given up.
func TestAgesAgainstTheTrueTime(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		m := newMachine()
		o := Options{Dir: t.TempDir(), SegmentBytes: 2 << 10, NoSync: true, clock: m}
		h := open(t, o)
		var appended []int64
		measured := true // no restart that the clock could not measure
		for range 60 {
			switch p := rng.IntN(10); {
			case p < 4:
				h.put(len(appended), len(appended)+1, 1)
				appended = append(appended, m.true)
			case p < 6:
				m.pass(time.Duration(rng.Int64N(int64(3 * time.Hour))))
			case p == 6:
				m.set(time.Duration(rng.Int64N(int64(100*day)))-50*day, false)
			case p == 7:
				m.set(0, true)
				m.pass(askClock)
			case p == 8:
				h = h.again(o)
			default:
				h = h.again(o)
				m.restart(time.Duration(rng.Int64N(int64(3*day))), time.Duration(rng.Int64N(int64(100*day)))-50*day)
				measured = false
				h = h.again(o)
			}
			if err := h.Trim(); err != nil {
				t.Fatal(err)
			}
		}
		limit := time.Duration(rng.Int64N(int64(5 * day)))
		r := h.reader("a", Oldest)
		if _, err := r.PassOlder(time.Now().Add(-limit)); err != nil {
			t.Fatal(err)
		}
		for i, at := range appended {
			age := time.Duration(m.true - at)
			given := uint64(i) < r.Acked()
			if given && age < limit-time.Second || !given && measured && age > limit+2*time.Second {
				t.Errorf("seed %d: record %d is %v old, the limit is %v, given up: %v", seed, i, age, limit, given)
			}
		}
		_ = h.Close()
	}
}

// A directory that is moved to another machine ages by the clock, where that is right on both.
func TestAMovedJournal(t *testing.T) {
	m := newMachine()
	m.set(0, true)
	o := Options{Dir: t.TempDir(), clock: m}
	h := open(t, o)
	h.put(0, 1, 1)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	m.pass(2 * time.Hour)
	m.boots, m.ran = 77, m.true-int64(300*day) // which runs for long
	h = open(t, o)
	r := h.reader("a", Oldest)
	h.wantOver(r, 2*time.Hour+time.Second, 0)
	h.wantOver(r, 2*time.Hour-2*time.Second, 1)
}

// A machine that goes back to a snapshot of its memory has an uptime behind what is on the disk.
func TestASnapshotOfTheMachine(t *testing.T) {
	m := newMachine()
	o := Options{Dir: t.TempDir(), clock: m}
	h := open(t, o)
	m.pass(time.Hour)
	h.put(0, 1, 1)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	m.ran += int64(30 * time.Minute)
	h = open(t, o)
	r := h.reader("a", Oldest)
	m.pass(time.Minute)
	h.wantOver(r, time.Minute+time.Second, 0)
	h.wantOver(r, time.Minute-2*time.Second, 1)
}

// What an earlier release wrote has no age: the clock tells, as it did there; and what it writes
// into a journal of this release is read as well.
func TestRecordsWithoutAnAge(t *testing.T) {
	m := newMachine()
	o := Options{Dir: t.TempDir(), clock: m}
	h := open(t, o)
	h.put(0, 2, 2)
	h.time.age = 0 // as if that release went on
	m.pass(time.Hour)
	first := h.time.age
	h.time.up = m.now().up
	h.put(2, 3, 1)
	if first != 0 {
		t.Fatal("the record has an age")
	}
	m.pass(time.Hour)
	h = h.again(o)
	m.set(9000*day, false) // ages nothing
	r := h.reader("a", Oldest)
	h.wantOver(r, 2*time.Hour+3*time.Second, 0)
	h.wantOver(r, 2*time.Hour-3*time.Second, 2)
	h.wantOver(r, time.Hour+time.Second, 2)
	h.wantOver(r, time.Hour-time.Second, 3)
}

// Without the file, or with one that is damaged, the journal is as old as its newest record.
func TestALostClockFile(t *testing.T) {
	for _, damaged := range []bool{true, false} {
		m := newMachine()
		o := Options{Dir: t.TempDir(), clock: m}
		h := open(t, o)
		h.put(0, 1, 1)
		m.pass(2 * time.Hour)
		h.put(1, 2, 1)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(o.Dir, clockName)
		err := os.Remove(path)
		if damaged {
			err = os.WriteFile(path, make([]byte, 2*slotSecond), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		h = open(t, o)
		if damaged {
			h.wantDamages(1)
		}
		r := h.reader("a", Oldest)
		h.wantOver(r, 2*time.Hour+2*time.Second, 0)
		h.wantOver(r, 2*time.Hour-2*time.Second, 1)
	}
}

func TestClockFile(t *testing.T) {
	c := clockState{boot: bootID{1, 2}, up: 3, age: 4, lapse: 5}
	c.right.wall, c.right.age = 6, 7
	for n := range mostLapses {
		c.lapses = append(c.lapses, lapse{int64(n) + 1, 8})
		b := encodeClock(c, 9)
		got, generation, ok := decodeClock(b)
		if len(b) != clockSize || len(b) > slotSecond || !ok || generation != 9 || fmt.Sprint(got) != fmt.Sprint(c) {
			t.Fatalf("%d bytes: %v, %v, %d; want %v", len(b), ok, got, generation, c)
		}
		for i := range b {
			b[i] ^= 1
			if _, _, ok := decodeClock(b); ok {
				t.Fatalf("a change of byte %d is not seen", i)
			}
			b[i] ^= 1
		}
	}
}

// The machine's own clocks go on with the time, and have the name of its start.
func TestTheMachinesClocks(t *testing.T) {
	a, b := newClocks(), newClocks()
	first := a.now()
	time.Sleep(time.Millisecond)
	second := b.now()
	_, err := os.Stat("/proc/sys/kernel/random/boot_id")
	if (first.boot == second.boot) != (err == nil) || first.boot == (bootID{}) {
		t.Errorf("boots %x, %x; %v", first.boot, second.boot, err)
	}
	if passed := second.up - first.up; passed < int64(time.Millisecond) || second.wall <= first.wall {
		t.Errorf("%v passed; %v, %v", time.Duration(passed), first, second)
	}
	a.synced() // must not fail where it is forbidden
}
