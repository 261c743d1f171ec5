package door

import (
	"container/list"
	"errors"
	"net"
	"sync"
)

// admission bounds how many connections are open. While it is full, a newcomer
// takes the place of whoever has been longest about proving who it is: an
// honest peer is done in milliseconds, so that connections that say nothing
// keep nobody out.
type admission struct {
	most  int
	first firstDeadline

	mu      sync.Mutex
	open    map[*pendingConn]bool
	pending list.List // of *pendingConn, the oldest first: not yet proved
	closed  bool
}

// pendingConn is a connection. Its Close also makes its place free.
type pendingConn struct {
	timed
	admission *admission
	place     *list.Element // among the pending; nil: proved, or gone
	evicted   bool
	received  int    // bytes before the proof; of whoever reads
	known     bool   // it has proved who it is; likewise
	tooOld    string // what its TLS lacks, and the option that lets it in; set and read by its handshake
}

// pendingBytes is the most that is read of a peer that has not proved who it
// is. TLS would gather 64 KB of a single message of it. Chains of certificates
// are long, and still have a fraction of this.
const pendingBytes = 16 << 10

var errPendingBytes = errors.New("it has not proved who it is with its first 16 KiB")

// Read reads a bounded amount of a peer that has not proved who it is.
func (c *pendingConn) Read(b []byte) (int, error) {
	if c.known {
		return c.Conn.Read(b)
	}
	left := pendingBytes - c.received
	if left == 0 {
		return 0, errPendingBytes
	}
	n, err := c.Conn.Read(b[:min(len(b), left)])
	c.received += n
	return n, err
}

// enter lets a connection in, or tells that there is no place.
func (a *admission) enter(conn net.Conn) (*pendingConn, bool) {
	c, evicted := a.add(conn)
	if evicted != nil {
		evicted.Close()
	}
	return c, c != nil
}

func (a *admission) add(conn net.Conn) (c, evicted *pendingConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, nil
	}
	if len(a.open) >= a.most {
		first := a.pending.Front()
		if first == nil {
			return nil, nil
		}
		evicted = first.Value.(*pendingConn)
		evicted.evicted = true
		a.forget(evicted)
	}
	c = &pendingConn{timed: timed{Conn: conn, first: &a.first}, admission: a}
	if a.open == nil {
		a.open = map[*pendingConn]bool{}
	}
	a.open[c] = true
	c.place = a.pending.PushBack(c)
	return c, evicted
}

// forget takes c's place away; the caller holds the lock.
func (a *admission) forget(c *pendingConn) {
	delete(a.open, c)
	if c.place != nil {
		a.pending.Remove(c.place)
		c.place = nil
	}
}

// close ends all connections that have not proved themselves, now and from
// now on.
func (a *admission) close() {
	a.mu.Lock()
	a.closed = true
	var all []*pendingConn
	for e := a.pending.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pendingConn))
	}
	a.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// proved tells that it is known who c is. The caller is who reads.
func (c *pendingConn) proved() {
	c.known = true
	c.admission.mu.Lock()
	defer c.admission.mu.Unlock()
	if c.place != nil {
		c.admission.pending.Remove(c.place)
		c.place = nil
	}
}

// wasEvicted tells whether c had to make place for another.
func (c *pendingConn) wasEvicted() bool {
	c.admission.mu.Lock()
	defer c.admission.mu.Unlock()
	return c.evicted
}

// Close closes the connection and makes its place free.
func (c *pendingConn) Close() error {
	c.admission.mu.Lock()
	c.admission.forget(c)
	c.admission.mu.Unlock()
	return c.Conn.Close()
}
