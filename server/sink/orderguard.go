package sink

import (
	"hash/maphash"
	"time"

	"massive-passive/internal/core"
	"massive-passive/wire/check"
)

// object is a host or service in little memory.
type object = core.Object

// objectOf returns the object that a result is about.
func objectOf(seed maphash.Seed, r *check.Result) object { return core.ObjectOf(seed, r) }

// orderGuard finds results that are older than one already delivered from another
// client. It holds about 40 bytes for an object, and for no more than twice
// guardObjects of them: those seen last.
type orderGuard struct {
	now, before map[object]delivered
	clients     map[string]uint32
}

// delivered is what of one object was delivered. Times are microseconds since
// the Unix epoch.
type delivered struct {
	newest int64
	others int64  // the newest of all clients but the one that newest is from
	client uint32 // that one
}

const guardObjects = 500_000

func newOrderGuard() *orderGuard {
	return &orderGuard{now: map[object]delivered{}, clients: map[string]uint32{}}
}

// clockSlack is how much later than a result another one may be received that
// stands before it in the journal: by the clock, or because it had to wait.
const clockSlack = time.Minute

// broughtBack returns a finish time that was seen before a result, in
// microseconds since the Unix epoch. One that lies in the future of when that
// was received is of a clock that was set back since. It must not outlast all
// that is measured until then, so that it becomes the result's own.
func broughtBack(finish int64, it *item) int64 {
	if finish > it.received+clockSlack.Microseconds() {
		return it.result.Finish
	}
	return finish
}

// pass tells whether a result may be delivered, and notes that it is.
func (g *orderGuard) pass(o object, it *item) bool {
	d, ok := g.judge(o, it)
	if ok {
		g.set(o, d)
	}
	return ok
}

// judge tells whether a result may be delivered, and what would be noted then.
func (g *orderGuard) judge(o object, it *item) (delivered, bool) {
	number, known := g.clients[it.client]
	if !known {
		number = uint32(len(g.clients))
		g.clients[it.client] = number
	}
	finish := it.result.Finish
	d, known := g.now[o]
	if !known {
		if d, known = g.before[o]; !known {
			return delivered{newest: finish, client: number}, true
		}
	}
	d.newest, d.others = broughtBack(d.newest, it), broughtBack(d.others, it)
	switch {
	case d.client == number && finish < d.others, d.client != number && finish < d.newest:
		return d, false
	case d.client == number:
		d.newest = max(d.newest, finish)
	default:
		d = delivered{newest: finish, others: d.newest, client: number}
	}
	return d, true
}

func (g *orderGuard) set(o object, d delivered) {
	if len(g.now) >= guardObjects {
		if _, there := g.now[o]; !there {
			g.before, g.now = g.now, map[object]delivered{}
		}
	}
	g.now[o] = d
}
