package server

import (
	"encoding/binary"
	"testing"
	"time"

	"massive-passive/server/record"
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
	if n := len(d.clients["web1"]); n != maxInstances || len(*d.order["web1"]) != n {
		t.Errorf("%d instances, %d in order", n, len(*d.order["web1"]))
	}
}

// 3,000 hosts of one name that call send once a minute do not pile up, and
// nothing is forgotten that is not flushed.
func TestOneShotInstancesDoNotPileUp(t *testing.T) {
	d, now := newDuplicates(), time.Unix(1e9, 0)
	for n := range 10 * 3000 {
		d.add(origin(n, now, 11*time.Second))
		d.flushed()
		if now = now.Add(20 * time.Millisecond); n%50 == 0 {
			d.forget(now)
		}
		if got := len(d.clients["web1"]); got > 1000 {
			t.Fatalf("%d instances are remembered for 11 s of 50 a second", got)
		}
	}
	d.add(origin(1<<20, now, 0))
	d.forget(now.Add(time.Hour))
	if !d.has(origin(1<<20, now, 0)) {
		t.Error("an instance was forgotten before its flush")
	}
	d.flushed()
	d.forget(now.Add(time.Hour))
	if len(d.clients)+len(d.order) != 0 {
		t.Errorf("%d clients are remembered, %d in order", len(d.clients), len(d.order))
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
