//go:build e2e

package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// relay stands between the client and the server and mistreats their connections.
type relay struct {
	t        testing.TB
	listener net.Listener
	target   string
	open     sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond
	rng     *rand.Rand
	stalled bool
	delay   time.Duration // of each piece
	cut     bool          // the next piece of the client's is forwarded in part, then the connection is reset
	ended   bool
	conns   map[net.Conn]bool
}

// relayPiece is about a TLS record: a batch of the client's has several, so that a cut is inside of a frame.
const relayPiece = 4 << 10

func newRelay(t *testing.T, w *world) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, listener: l, target: w.address(), rng: rand.New(rand.NewPCG(w.rng.Uint64(), 1)), conns: map[net.Conn]bool{}}
	r.changed.L = &r.mu
	r.open.Go(r.accept)
	t.Cleanup(func() {
		l.Close()
		r.set(func() {
			r.ended = true
			for c := range r.conns {
				c.Close()
			}
		})
		r.open.Wait()
	})
	return r
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

func (r *relay) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.changed.Broadcast()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil { // it is down, and its client is to see that
			client.Close()
			continue
		}
		r.set(func() { r.conns[client], r.conns[server] = true, true })
		r.open.Go(func() { r.pump(server, client, true) })
		r.open.Go(func() { r.pump(client, server, false) })
	}
}

// pump forwards one direction to its end, and then ends both.
func (r *relay) pump(to, from net.Conn, fromClient bool) {
	defer r.set(func() {
		for _, c := range []net.Conn{to, from} {
			c.Close()
			delete(r.conns, c)
		}
	})
	buf := make([]byte, relayPiece)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		keep := r.admit(n, fromClient)
		if _, err := to.Write(buf[:keep]); err != nil {
			return
		}
		if keep < n {
			to.(*net.TCPConn).SetLinger(0) // a reset, not an end
			from.(*net.TCPConn).SetLinger(0)
			return
		}
	}
}

// admit waits as the relay is told, and returns how many bytes of n go on.
func (r *relay) admit(n int, fromClient bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.stalled && !r.ended {
		r.changed.Wait()
	}
	if d := r.delay; d > 0 {
		r.mu.Unlock()
		time.Sleep(d) // the fault itself
		r.mu.Lock()
	}
	if r.cut && fromClient && n > 1 {
		r.cut = false
		return 1 + r.rng.IntN(n-1)
	}
	return n
}

func (r *relay) faults() []fault {
	return []fault{
		{"connection cut inside of a frame", true, func(w *world) {
			r.set(func() { r.cut = true })
			w.pause(w.moment(time.Second))
		}},
		{"connection stalled", true, func(w *world) {
			r.set(func() { r.stalled = true })
			w.pause(w.while())
			r.set(func() { r.stalled = false })
		}},
		{"connection slowed", true, func(w *world) {
			r.set(func() { r.delay = 100 * time.Millisecond })
			w.pause(w.while())
			r.set(func() { r.delay = 0 })
		}},
	}
}
