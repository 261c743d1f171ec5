package server

import (
	"context"
	"net"
	"sync"
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
	return c.read.set(t, c.Conn.SetReadDeadline)
}

func (c *timed) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write.set(t, c.Conn.SetWriteDeadline)
}

func (c *timed) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (d *deadline) set(t time.Time, own func(time.Time) error) error {
	if !t.IsZero() && !t.After(time.Now()) {
		*d = deadline{passed: true}
		return own(t)
	}
	passed := d.passed
	*d = deadline{at: t}
	if passed {
		return own(time.Time{})
	}
	return nil
}

func (d *deadline) look(now time.Time, own func(time.Time) error) {
	if !d.at.IsZero() && now.After(d.at) {
		*d = deadline{passed: true}
		own(now) // a connection that was closed meanwhile needs none
	}
}

func (c *timed) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.look(now, c.Conn.SetReadDeadline)
	c.write.look(now, c.Conn.SetWriteDeadline)
}

// keepTime holds all connections to their deadlines until ctx ends.
func (d *door) keepTime(ctx context.Context) {
	tick := time.NewTicker(deadlineTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.look(time.Now())
		}
	}
}

func (d *door) look(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for v := range d.open {
		v.look(now)
	}
}
