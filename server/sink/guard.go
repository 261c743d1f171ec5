package sink

import (
	"hash/maphash"

	"massive-passive/wire/check"
)

// object is a host or service in little memory: a hash of its names. Two of a
// million objects share one with a chance of one in thirty million.
type object uint64

// objectOf returns the object that a result is about.
func objectOf(seed maphash.Seed, r *check.Result) object {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(r.Host)
	if r.Kind == check.Service {
		h.WriteByte(';') // no name has one
		h.WriteString(r.Service)
	}
	return object(h.Sum64())
}

// guard finds results that are older than one already delivered from another
// client. It holds about 40 bytes for an object, and for no more than twice
// guardObjects of them: those seen last.
type guard struct {
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

func newGuard() *guard {
	return &guard{now: map[object]delivered{}, clients: map[string]uint32{}}
}

// pass tells whether a result may be delivered, and notes that it is.
func (g *guard) pass(o object, client string, finish int64) bool {
	number, known := g.clients[client]
	if !known {
		number = uint32(len(g.clients))
		g.clients[client] = number
	}
	d, current := g.now[o]
	if !current {
		d, known = g.before[o]
		if !known {
			g.set(o, delivered{newest: finish, client: number})
			return true
		}
	}
	switch {
	case d.client == number && finish < d.others, d.client != number && finish < d.newest:
		return false
	case d.client == number:
		d.newest = max(d.newest, finish)
	default:
		d = delivered{newest: finish, others: d.newest, client: number}
	}
	g.set(o, d)
	return true
}

func (g *guard) set(o object, d delivered) {
	if len(g.now) >= guardObjects {
		if _, there := g.now[o]; !there {
			g.before, g.now = g.now, map[object]delivered{}
		}
	}
	g.now[o] = d
}
