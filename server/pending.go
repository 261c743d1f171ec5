package server

import (
	"container/list"
	"errors"
	"net"
	"sync"
)

// door bounds how many connections are open. While it is full, a newcomer
// takes the place of whoever has been longest about proving who it is: an
// honest peer is done in milliseconds, so that connections that say nothing
// keep nobody out.
type door struct {
	most  int
	first firstDeadline

	mu      sync.Mutex
	open    map[*pendingConn]bool
	pending list.List // of *visitor, the oldest first: not yet proved
	closed  bool
}

// pendingConn is a connection. Its Close also makes its place free.
type pendingConn struct {
	timed
	door     *door
	place    *list.Element // among the strangers; nil: proved, or gone
	evicted  bool
	received int    // bytes from a stranger; of whoever reads
	known    bool   // it has proved who it is; likewise
	tooOld   string // what its TLS lacks, and the option that lets it in; set and read by its handshake
}

// strangerBytes is the most that is read of a peer that has not proved who it
// is. TLS would gather 64 KB of a single message of it. Chains of certificates
// are long, and still have a fraction of this.
const strangerBytes = 16 << 10

var errStrangerBytes = errors.New("it has not proved who it is with its first 16 KiB")

// Read reads a bounded amount from a stranger.
func (v *pendingConn) Read(b []byte) (int, error) {
	if v.known {
		return v.Conn.Read(b)
	}
	left := strangerBytes - v.received
	if left == 0 {
		return 0, errStrangerBytes
	}
	n, err := v.Conn.Read(b[:min(len(b), left)])
	v.received += n
	return n, err
}

// enter lets a connection in, or tells that there is no place.
func (d *door) enter(conn net.Conn) (*pendingConn, bool) {
	v, evicted := d.add(conn)
	if evicted != nil {
		evicted.Close()
	}
	return v, v != nil
}

func (d *door) add(conn net.Conn) (v, evicted *pendingConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil
	}
	if len(d.open) >= d.most {
		first := d.pending.Front()
		if first == nil {
			return nil, nil
		}
		evicted = first.Value.(*pendingConn)
		evicted.evicted = true
		d.forget(evicted)
	}
	v = &pendingConn{timed: timed{Conn: conn, first: &d.first}, door: d}
	if d.open == nil {
		d.open = map[*pendingConn]bool{}
	}
	d.open[v] = true
	v.place = d.pending.PushBack(v)
	return v, evicted
}

// forget takes v's place away; the caller holds the lock.
func (d *door) forget(v *pendingConn) {
	delete(d.open, v)
	if v.place != nil {
		d.pending.Remove(v.place)
		v.place = nil
	}
}

// close ends all connections that have not proved themselves, now and from
// now on.
func (d *door) close() {
	d.mu.Lock()
	d.closed = true
	var all []*pendingConn
	for e := d.pending.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pendingConn))
	}
	d.mu.Unlock()
	for _, v := range all {
		v.Close()
	}
}

// proved tells that it is known who v is. The caller is who reads.
func (v *pendingConn) proved() {
	v.known = true
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.place != nil {
		v.door.pending.Remove(v.place)
		v.place = nil
	}
}

// wasEvicted tells whether v had to make place for another.
func (v *pendingConn) wasEvicted() bool {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	return v.evicted
}

// Close closes the connection and makes its place free.
func (v *pendingConn) Close() error {
	v.door.mu.Lock()
	v.door.forget(v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}
