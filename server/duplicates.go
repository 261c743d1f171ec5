package server

import (
	"sync"
	"time"

	"massive-passive/server/record"
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
	mu      sync.Mutex
	clients map[string]map[wire.Instance]*seen
	touched []*seen // whose last is beyond durable, each once
}

// seen is one instance of a client.
type seen struct {
	last    uint64 // appended
	durable uint64 // flushed: all that a checkpoint may tell
	expires int64  // seconds since the Unix epoch
}

func newDuplicates() *duplicates {
	return &duplicates{clients: map[string]map[wire.Instance]*seen{}}
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
	s.expires = max(s.expires, o.Received/1e6+int64(o.Remember))
	if o.Sequence <= s.last {
		return
	}
	if s.last == s.durable {
		d.touched = append(d.touched, s)
	}
	s.last = o.Sequence
}

func (d *duplicates) instance(client string, instance wire.Instance) *seen {
	instances := d.clients[client]
	if instances == nil {
		instances = map[wire.Instance]*seen{}
		d.clients[client] = instances
	}
	s := instances[instance]
	if s == nil {
		if len(instances) >= maxInstances {
			forgetFirst(instances)
		}
		s = &seen{}
		instances[instance] = s
	}
	return s
}

// forgetFirst forgets the instance that would be forgotten first.
func forgetFirst(instances map[wire.Instance]*seen) {
	var first wire.Instance
	least := int64(1<<63 - 1)
	for instance, s := range instances {
		if s.expires < least {
			first, least = instance, s.expires
		}
	}
	delete(instances, first)
}

// flushed tells that all that was added is durable.
func (d *duplicates) flushed() {
	for _, s := range d.touched {
		s.durable = s.last
	}
	d.touched = d.touched[:0]
}

// forget drops the instances whose time is over.
func (d *duplicates) forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for client, instances := range d.clients {
		for instance, s := range instances {
			if s.expires < now.Unix() && s.durable == s.last {
				delete(instances, instance)
			}
		}
		if len(instances) == 0 {
			delete(d.clients, client)
		}
	}
}
