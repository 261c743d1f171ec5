package door

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// deadlineTick is how often the deadlines of all connections are looked at, and
// by how much one may be late.
const deadlineTick = time.Second

// timed is a connection whose deadlines somebody looks at once in a while. A
// timer for each would wake the process whenever it was set anew: with thousands
// of idle connections, three times as often as they say something.
type timed struct {
	net.Conn
	first *firstDeadline // of all connections

	mu          sync.Mutex
	read, write deadline
}

// deadline is zero where there is none. One that passed is the connection's own
// until another is set.
type deadline struct {
	at     time.Time
	passed bool
}

func (c *timed) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.set(t, c.first, c.Conn.SetReadDeadline)
}

func (c *timed) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write.set(t, c.first, c.Conn.SetWriteDeadline)
}

func (c *timed) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (d *deadline) set(t time.Time, first *firstDeadline, own func(time.Time) error) error {
	if !t.IsZero() && !t.After(time.Now()) {
		*d = deadline{passed: true}
		return own(t)
	}
	passed := d.passed
	*d = deadline{at: t}
	first.note(t)
	if passed {
		return own(time.Time{})
	}
	return nil
}

func (d *deadline) look(now time.Time, first *firstDeadline, own func(time.Time) error) {
	if d.at.IsZero() || now.Before(d.at) {
		first.note(d.at)
		return
	}
	*d = deadline{passed: true}
	own(now) // a connection that was closed meanwhile needs none
}

func (c *timed) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.look(now, c.first, c.Conn.SetReadDeadline)
	c.write.look(now, c.first, c.Conn.SetWriteDeadline)
}

// firstDeadline is when the next look is due: no deadline is before it. Those
// that were set anew meanwhile need none, so that with idle connections a look
// is a rare thing. In nanoseconds since began, which a clock that is set anew
// does not move; 0: there is no deadline.
type firstDeadline struct{ atomic.Int64 }

var began = time.Now()

func (f *firstDeadline) note(t time.Time) {
	if t.IsZero() {
		return
	}
	at := int64(t.Sub(began))
	for {
		first := f.Load()
		if first != 0 && first <= at || f.CompareAndSwap(first, at) {
			return
		}
	}
}

// due tells whether a look is, and begins anew then.
func (f *firstDeadline) due(now time.Time) bool {
	first := f.Load()
	if first == 0 || first > int64(now.Sub(began)) {
		return false
	}
	f.Store(0)
	return true
}

// keepTime holds all connections to their deadlines until ctx ends.
func (a *admission) keepTime(ctx context.Context) {
	tick := time.NewTicker(deadlineTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if now := time.Now(); a.first.due(now) {
				a.look(now)
			}
		}
	}
}

func (a *admission) look(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.open {
		c.look(now)
	}
}
