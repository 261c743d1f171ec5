//go:build e2e

package faults

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// relay stands between the client and the server and mistreats their connections.
type relay struct {
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
	conns   map[net.Conn]bool // those that are open; true until its end was read
}

// relayPiece is about a TLS record: a batch of the client's has several, so that a cut is inside of a frame.
const relayPiece = 4 << 10

// newRelay listens in the client's namespace, and forwards to target, which is not in it.
func (w *world) newRelay(target string, seed uint64) *relay {
	w.T.Helper()
	l, err := w.network.listen()
	if err != nil {
		w.T.Fatalf("open a relay: %v", err)
	}
	r := &relay{listener: l, target: target, rng: rand.New(rand.NewPCG(seed, 0)), conns: map[net.Conn]bool{}}
	r.changed.L = &r.mu
	r.open.Go(r.accept)
	w.T.Cleanup(func() {
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

// pump forwards one direction to its end, and ends both if it was no orderly one or the second.
func (r *relay) pump(to, from net.Conn, fromClient bool) {
	orderly := r.forward(to, from, fromClient)
	r.set(func() {
		if orderly && r.conns[from] {
			r.conns[from] = false // half of it is over
			to.(*net.TCPConn).CloseWrite()
			if r.conns[to] {
				return
			}
		}
		for _, c := range []net.Conn{to, from} {
			c.Close()
			delete(r.conns, c)
		}
	})
}

func (r *relay) forward(to, from net.Conn, fromClient bool) (orderly bool) {
	buf := make([]byte, relayPiece)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		keep := r.admit(n, fromClient)
		if _, err := to.Write(buf[:keep]); err != nil {
			return false
		}
		if keep < n {
			to.(*net.TCPConn).SetLinger(0) // a reset, not an end
			from.(*net.TCPConn).SetLinger(0)
			return false
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

// relayFaults are for a site that is reached through a relay.
func relayFaults() []fault {
	return []fault{
		{"connection cut inside of a frame", true, func(s *site) {
			s.relay.set(func() { s.relay.cut = true })
			s.pause(s.moment(time.Second))
		}},
		{"connection stalled", true, func(s *site) {
			s.relay.set(func() { s.relay.stalled = true })
			s.pause(s.while())
			s.relay.set(func() { s.relay.stalled = false })
		}},
		{"connection slowed", true, func(s *site) {
			s.relay.set(func() { s.relay.delay = 100 * time.Millisecond })
			s.pause(s.while())
			s.relay.set(func() { s.relay.delay = 0 })
		}},
	}
}
