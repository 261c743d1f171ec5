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
	clients    map[string]map[wire.Instance]*instanceState
	expiry     map[string]*expiryHeap // the same instances
	notDurable []*instanceState       // whose last is beyond durable, each once
	unflushed  []unflushed            // not flushed yet
	looked     int64                  // when forget last looked, seconds since the Unix epoch; owned by that goroutine
	ran        time.Duration          // for how long it did, by a clock that nobody sets; owned by that goroutine
}

// instanceState is one instance of a client.
type instanceState struct {
	last    uint64 // appended
	durable uint64 // flushed: all that a checkpoint may tell
	expires int64  // seconds since the Unix epoch

	instance wire.Instance
	place    int // among those of the client; owned by ending
}

// unflushed are results of an instance that follow each other in the journal.
type unflushed struct {
	by      *instanceState
	first   uint64 // the journal's sequence of the first
	records []recordEnd
}

// expiryHeap is a heap of a client's instances, with the one first that is to be
// forgotten first: a client can have a new one in each batch of 60 bytes.
type expiryHeap []*instanceState

func (e expiryHeap) Len() int           { return len(e) }
func (e expiryHeap) Less(i, j int) bool { return e[i].expires < e[j].expires }
func (e expiryHeap) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *expiryHeap) Push(s any) {
	s.(*instanceState).place = len(*e)
	*e = append(*e, s.(*instanceState))
}

func (e *expiryHeap) Pop() any {
	last := len(*e) - 1
	s := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return s
}

func newDuplicates() *duplicates {
	return &duplicates{clients: map[string]map[wire.Instance]*instanceState{}, expiry: map[string]*expiryHeap{}}
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

func (d *duplicates) instance(client string, instance wire.Instance) *instanceState {
	instances := d.clients[client]
	if instances == nil {
		instances = map[wire.Instance]*instanceState{}
		d.clients[client], d.expiry[client] = instances, &expiryHeap{}
	}
	s := instances[instance]
	if s == nil {
		order := d.expiry[client]
		if len(instances) >= maxInstances {
			delete(instances, heap.Pop(order).(*instanceState).instance)
		}
		s = &instanceState{instance: instance}
		instances[instance] = s
		heap.Push(order, s)
	}
	return s
}

// keep remembers an instance at least until expires.
func (d *duplicates) keep(client string, s *instanceState, expires int64) {
	if expires > s.expires {
		s.expires = expires
		heap.Fix(d.expiry[client], s.place)
	}
}

// flushed notes that all that was added is durable.
func (d *duplicates) flushed() {
	for _, s := range d.notDurable {
		s.durable = s.last
	}
	d.notDurable = d.notDurable[:0]
	clear(d.unflushed)
	d.unflushed = d.unflushed[:0]
}

// noteUnflushed notes where in the journal results of o's instance were appended.
func (d *duplicates) noteUnflushed(o *record.Origin, first uint64, parts []recordEnd) {
	if s := d.clients[o.Client][o.Instance]; s != nil {
		d.unflushed = append(d.unflushed, unflushed{s, first, parts})
	}
}

// flushedUpTo notes that of the results added since the last call of flushed only
// those are durable whose journal sequence is at most durable.
func (d *duplicates) flushedUpTo(durable uint64) {
	for _, l := range d.unflushed {
		if n := min(durable+1-min(l.first, durable+1), uint64(len(l.records))); n > 0 {
			l.by.durable = max(l.by.durable, l.records[n-1].sequence)
		}
	}
}

// clockStep is by how many seconds a clock has to be set to count as set, and
// not as one that drifts.
const clockStep = 60

// forgetAfter is how long after a start nobody is forgotten: a machine that
// boots with a wrong clock has it set right by then. What is remembered too
// long meanwhile, maxInstances bounds.
const forgetAfter = 15 * time.Minute

// forget drops the instances whose time is over. It is ran since the last call,
// by a clock that nobody sets: that the machine's is set makes nobody forgotten.
func (d *duplicates) forget(now time.Time, ran time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran += ran
	young := d.ran < forgetAfter
	forward := now.Unix() - d.looked - int64(ran/time.Second)
	// At first a clock that is set back may have been ahead since the boot: what
	// an earlier process remembered is of a time when it was right.
	if d.looked != 0 && (forward >= clockStep || forward <= -clockStep && !young) {
		d.postpone(forward, now.Unix())
	}
	d.looked = now.Unix()
	if young {
		return
	}
	for client, order := range d.expiry {
		instances := d.clients[client]
		for len(*order) > 0 && (*order)[0].expires < now.Unix() && (*order)[0].durable == (*order)[0].last {
			delete(instances, heap.Pop(order).(*instanceState).instance)
		}
		if len(instances) == 0 {
			delete(d.clients, client)
			delete(d.expiry, client)
		}
	}
}

// maxPostponed bounds what is put off, in seconds from now: an instance from
// before a restart may be of a time when the clock was right.
const maxPostponed = 30 * 24 * 60 * 60

// postpone gives each instance the time that it had before the clock was set
// forward, or back. Who expires first stays first.
func (d *duplicates) postpone(forward, now int64) {
	for _, order := range d.expiry {
		for _, s := range *order {
			s.expires = min(s.expires+forward, max(s.expires, now+maxPostponed))
		}
	}
}
