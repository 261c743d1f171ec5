//go:build bench && e2e

package bench

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"massive-passive/wire"
)

const (
	idleClients = 10_000
	idleLooked  = time.Minute // the longest period of what a server does by itself
)

// benchIdle measures what clients cost that are connected, ping, and say nothing
// else, and meanwhile a client whose checks rest most of the time.
func benchIdle(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, idleClients)
	pid := s.Server.Cmd.Process.Pid
	s.fleet.connect(1)[0].session.Close()
	before := memoryOf(pid, "VmRSS")
	end := keepIdle(t, s.fleet)
	quiet := benchQuietClient(t, b)
	busy := load(pid, func() { time.Sleep(idleLooked) })
	each := (memoryOf(pid, "VmRSS") - before) / idleClients
	if err := end(); err != nil {
		t.Fatalf("a client that only pings lost its connection: %v", err)
	}
	disconnect(s.fleet.clients)
	return append([]row{
		{what: strconv.Itoa(idleClients) + " connected clients that only ping, memory of each", unit: "kB", ours: series{each}, goal: atMost(25)},
		{what: "the same, part of one core", unit: "%", ours: series{100 * busy}, goal: atMost(1)},
	}, quiet...)
}

// idleAtOnce is how many clients connect before the first of them live.
const idleAtOnce = 500

// keepIdle has the clients of f connect and live, and returns what ends that
// and tells what went wrong first.
func keepIdle(t *testing.T, f *fleet) (end func() error) {
	ctx, stop := context.WithCancelCause(t.Context())
	var living sync.WaitGroup
	n := 0
	for clients := range slices.Chunk(f.clients, idleAtOnce) {
		f.connectThese(clients)
		for _, c := range clients {
			first := wire.PingInterval * time.Duration(n) / idleClients
			n++
			living.Go(func() { stop(c.ping(ctx, first)) })
			living.Go(func() { stop(c.receiveAll(ctx)) })
		}
	}
	return func() error {
		stop(nil)
		living.Wait()
		if err := context.Cause(ctx); err != context.Canceled {
			return err
		}
		return nil
	}
}

// receiveAll takes what the server says until the connection or ctx ends.
func (c *simulated) receiveAll(ctx context.Context) error {
	for {
		if _, err := c.session.Receive(ctx); err != nil {
			return err
		}
	}
}

// ping says that the client is there, first after a time, until ctx ends.
func (c *simulated) ping(ctx context.Context, first time.Duration) error {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			if _, err := c.session.Ping(); err != nil {
				return err
			}
			timer.Reset(wire.PingInterval)
		}
	}
}
