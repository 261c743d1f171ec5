package intake

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
)

// origin is that of a result of the nth instance of a client.
func origin(n int, received time.Time, remember time.Duration) *record.Origin {
	o := &record.Origin{Client: "web1", Sequence: 1, Received: received.UnixMicro(), Remember: uint32(remember / time.Second)}
	binary.BigEndian.PutUint64(o.Instance[:], uint64(n+1))
	return o
}

// The first to be forgotten is the one whose time is over first, whenever it
// came and however often its time was put off.
func TestTheInstanceThatEndsFirstIsForgottenFirst(t *testing.T) {
	d, begin := newDuplicates(), time.Unix(1e9, 0)
	for n := range maxInstances {
		d.add(origin(n, begin, time.Duration(maxInstances-n)*time.Second))
	}
	last := maxInstances - 1
	d.add(origin(last, begin, time.Hour*1000)) // put off
	d.add(origin(maxInstances, begin, time.Hour))
	d.add(origin(maxInstances+1, begin, time.Hour))
	for n, want := range map[int]bool{last: true, last - 1: false, last - 2: false, last - 3: true, 0: true, maxInstances: true, maxInstances + 1: true} {
		if got := d.has(origin(n, begin, 0)); got != want {
			t.Errorf("instance %d: known %v, want %v", n, got, want)
		}
	}
	if n := len(d.clients["web1"]); n != maxInstances || len(*d.expiry["web1"]) != n {
		t.Errorf("%d instances, %d in order", n, len(*d.expiry["web1"]))
	}
}

// 3,000 hosts of one name that call send once a minute do not pile up, and
// nothing is forgotten that is not flushed.
func TestOneShotInstancesDoNotPileUp(t *testing.T) {
	d, now := newDuplicates(), time.Unix(1e9, 0)
	d.forget(now, forgetAfter)
	for n := range 10 * 3000 {
		d.add(origin(n, now, 11*time.Second))
		d.flushed()
		if now = now.Add(20 * time.Millisecond); n%50 == 0 {
			d.forget(now, time.Second)
		}
		if got := len(d.clients["web1"]); got > 1000 {
			t.Fatalf("%d instances are remembered for 11 s of 50 a second", got)
		}
	}
	d.add(origin(1<<20, now, 0))
	d.forget(now.Add(time.Hour), time.Hour)
	if !d.has(origin(1<<20, now, 0)) {
		t.Error("an instance was forgotten before its flush")
	}
	d.flushed()
	d.forget(now.Add(time.Hour), 0)
	if len(d.clients)+len(d.expiry) != 0 {
		t.Errorf("%d clients are remembered, %d in order", len(d.clients), len(d.expiry))
	}
}

// The clock is set while clients are connected, or come again after a
// connection that was lost with its last ACK: they are known as long as before.
func TestAClockThatIsSetForgetsNobody(t *testing.T) {
	const day = 24 * time.Hour
	for name, forward := range map[string]time.Duration{"two days": 2 * day, "from 1970": 20000 * day, "back": -2 * day, "a little": 30 * time.Second} {
		d, now := newDuplicates(), time.Unix(2e9, 0)
		d.forget(now, forgetAfter)
		d.add(origin(1, now, time.Minute))
		d.add(origin(2, now, day))
		d.flushed()
		now = now.Add(forward)
		d.forget(now.Add(2*time.Second), 2*time.Second)
		for n := 1; n <= 2; n++ {
			if !d.has(origin(n, now, 0)) {
				t.Errorf("%s: instance %d is forgotten", name, n)
			}
		}
		d.add(origin(3, now, time.Hour))
		d.flushed()
		d.forget(now.Add(2*time.Hour), 2*time.Hour-2*time.Second)
		for n, want := range map[int]bool{1: false, 2: true, 3: false} {
			if d.has(origin(n, now, 0)) != want {
				t.Errorf("%s: after two hours instance %d is known: %v", name, n, !want)
			}
		}
		d.forget(now.Add(day+time.Minute), day-2*time.Hour+time.Minute)
		if len(d.clients) != 0 {
			t.Errorf("%s: an instance is known for over a day", name)
		}
	}
}

// A server that starts in the past finds instances of when its clock was
// right. They are not remembered for as long as it was wrong.
func TestInstancesOfARightClockAreForgotten(t *testing.T) {
	d, right, wrong := newDuplicates(), time.Unix(2e9, 0), time.Unix(1e3, 0)
	d.add(origin(1, right, time.Hour))
	d.flushed()
	d.forget(wrong, 0)
	d.forget(right, time.Minute)
	if !d.has(origin(1, right, 0)) {
		t.Error("forgotten at once")
	}
	d.forget(right.Add(31*24*time.Hour), 31*24*time.Hour)
	if len(d.clients) != 0 {
		t.Error("remembered for over a month")
	}
}

// A machine boots with its clock ahead, and has it set right in a minute. Who
// was known to the process before is known to this one, and for as long.
func TestAClockAheadAtTheStartForgetsNobody(t *testing.T) {
	file, now := filepath.Join(t.TempDir(), checkpointFile), time.Unix(2e9, 0)
	before := newDuplicates()
	before.add(origin(1, now, 24*time.Hour))
	before.flushed()
	if err := before.save(file); err != nil {
		t.Fatal(err)
	}
	d := newDuplicates()
	if err := d.load(file); err != nil {
		t.Fatal(err)
	}
	d.forget(now.Add(48*time.Hour), 0)
	d.forget(now.Add(time.Minute), time.Minute)
	d.forget(now.Add(forgetAfter), forgetAfter-time.Minute)
	d.forget(now.Add(24*time.Hour), 24*time.Hour-forgetAfter)
	if !d.has(origin(1, now, 0)) {
		t.Error("forgotten before its time")
	}
	d.forget(now.Add(24*time.Hour+time.Second), time.Second)
	if len(d.clients) != 0 {
		t.Error("remembered for over a day")
	}
}

// A client that calls itself another with each batch costs the goroutine that
// appends for all no more than any other.
func TestANewInstanceIsCheapWhereThereAreMany(t *testing.T) {
	d, now := newDuplicates(), time.Unix(1e9, 0)
	fill := func(from, to int) time.Duration {
		begin := time.Now()
		for n := from; n < to; n++ {
			d.add(origin(n, now.Add(time.Duration(n)*time.Millisecond), time.Hour))
		}
		return time.Since(begin)
	}
	first := fill(0, maxInstances)
	if more := fill(maxInstances, 2*maxInstances); more > 50*first+50*time.Millisecond {
		t.Errorf("%d instances took %v, as many beyond the limit %v", maxInstances, first, more)
	}
	if s := d.clients["web1"][wire.Instance{0, 0, 0, 0, 0, 0, 0, 1}]; s != nil {
		t.Error("the first instance is still known")
	}
}
