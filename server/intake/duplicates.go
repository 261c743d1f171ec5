package intake

import (
	"container/heap"
	"sync"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
)

// maxInstances bounds what is remembered of one client. Every process start
// and every one-shot send of it is an instance.
const maxInstances = 10000

// duplicates knows up to which sequence the results of each instance are in
// the journal. Only the goroutine that appends changes it. It is rebuilt from the
// journal's records and a checkpoint that is written before records go, so
// that no crash can part the two.
type duplicates struct {
	// mu is held where that goroutine changes clients, and by others to look
	// at it.
	mu         sync.Mutex
	clients    map[string]map[wire.Instance]*seen
	order      map[string]*ending // the same instances
	notDurable []*seen            // whose last is beyond durable, each once
	unflushed  []unflushed        // not flushed yet
	looked     int64              // when forget last looked, seconds since the Unix epoch; owned by that goroutine
	ran        time.Duration      // for how long it did, by a clock that nobody sets; owned by that goroutine
}

// seen is one instance of a client.
type seen struct {
	last    uint64 // appended
	durable uint64 // flushed: all that a checkpoint may tell
	expires int64  // seconds since the Unix epoch

	instance wire.Instance
	place    int // among those of the client; owned by ending
}

// unflushed are results of an instance that follow each other in the journal.
type unflushed struct {
	by    *seen
	first uint64 // the journal's sequence of the first
	parts []part
}

// ending is a heap of a client's instances, with the one first that is to be
// forgotten first: a client can have a new one in each batch of 60 bytes.
type ending []*seen

func (e ending) Len() int           { return len(e) }
func (e ending) Less(i, j int) bool { return e[i].expires < e[j].expires }
func (e ending) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *ending) Push(s any) {
	s.(*seen).place = len(*e)
	*e = append(*e, s.(*seen))
}

func (e *ending) Pop() any {
	last := len(*e) - 1
	s := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return s
}

func newDuplicates() *duplicates {
	return &duplicates{clients: map[string]map[wire.Instance]*seen{}, order: map[string]*ending{}}
}

// has tells whether the result of o was appended before. Results without an
// instance never were.
func (d *duplicates) has(o *record.Origin) bool {
	s := d.clients[o.Client][o.Instance]
	return s != nil && o.Sequence <= s.last
}

// highest returns up to which sequence an instance's results were appended.
// Any goroutine may call it.
func (d *duplicates) highest(client string, instance wire.Instance) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.clients[client][instance]; s != nil {
		return s.last
	}
	return 0
}

// add notes that the result of o was appended, or was there already.
func (d *duplicates) add(o *record.Origin) {
	if o.Instance == (wire.Instance{}) {
		return
	}
	s := d.instance(o.Client, o.Instance)
	d.keep(o.Client, s, o.Received/1e6+int64(o.Remember))
	if o.Sequence <= s.last {
		return
	}
	if s.last == s.durable {
		d.notDurable = append(d.notDurable, s)
	}
	s.last = o.Sequence
}

func (d *duplicates) instance(client string, instance wire.Instance) *seen {
	instances := d.clients[client]
	if instances == nil {
		instances = map[wire.Instance]*seen{}
		d.clients[client], d.order[client] = instances, &ending{}
	}
	s := instances[instance]
	if s == nil {
		order := d.order[client]
		if len(instances) >= maxInstances {
			delete(instances, heap.Pop(order).(*seen).instance)
		}
		s = &seen{instance: instance}
		instances[instance] = s
		heap.Push(order, s)
	}
	return s
}

// keep remembers an instance at least until expires.
func (d *duplicates) keep(client string, s *seen, expires int64) {
	if expires > s.expires {
		s.expires = expires
		heap.Fix(d.order[client], s.place)
	}
}

// flushed tells that all that was added is durable.
func (d *duplicates) flushed() {
	for _, s := range d.notDurable {
		s.durable = s.last
	}
	d.notDurable = d.notDurable[:0]
	clear(d.unflushed)
	d.unflushed = d.unflushed[:0]
}

// noteUnflushed tells where in the journal results of o's instance were appended.
func (d *duplicates) noteUnflushed(o *record.Origin, first uint64, parts []part) {
	if s := d.clients[o.Client][o.Instance]; s != nil {
		d.unflushed = append(d.unflushed, unflushed{s, first, parts})
	}
}

// flushedUpTo tells that of what was added since flushed was called only that is
// durable which the journal has up to a sequence.
func (d *duplicates) flushedUpTo(durable uint64) {
	for _, l := range d.unflushed {
		if n := min(durable+1-min(l.first, durable+1), uint64(len(l.parts))); n > 0 {
			l.by.durable = max(l.by.durable, l.parts[n-1].sequence)
		}
	}
}

// clockStep is by how many seconds a clock has to be set to count as set, and
// not as one that drifts.
const clockStep = 60

// forgetNobody is how long after a start nobody is forgotten: a machine that
// boots with a wrong clock has it set right by then. What is remembered too
// long meanwhile, maxInstances bounds.
const forgetNobody = 15 * time.Minute

// forget drops the instances whose time is over. It is ran since the last call,
// by a clock that nobody sets: that the machine's is set makes nobody forgotten.
func (d *duplicates) forget(now time.Time, ran time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran += ran
	young := d.ran < forgetNobody
	forward := now.Unix() - d.looked - int64(ran/time.Second)
	// At first a clock that is set back may have been ahead since the boot: what
	// an earlier process remembered is of a time when it was right.
	if d.looked != 0 && (forward >= clockStep || forward <= -clockStep && !young) {
		d.putOff(forward, now.Unix())
	}
	d.looked = now.Unix()
	if young {
		return
	}
	for client, order := range d.order {
		instances := d.clients[client]
		for len(*order) > 0 && (*order)[0].expires < now.Unix() && (*order)[0].durable == (*order)[0].last {
			delete(instances, heap.Pop(order).(*seen).instance)
		}
		if len(instances) == 0 {
			delete(d.clients, client)
			delete(d.order, client)
		}
	}
}

// putOffMost bounds what is put off, in seconds from now: an instance from
// before a restart may be of a time when the clock was right.
const putOffMost = 30 * 24 * 60 * 60

// putOff gives each instance the time that it had before the clock was set
// forward, or back. Who expires first stays first.
func (d *duplicates) putOff(forward, now int64) {
	for _, order := range d.order {
		for _, s := range *order {
			s.expires = min(s.expires+forward, max(s.expires, now+putOffMost))
		}
	}
}
