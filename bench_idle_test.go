//go:build bench && e2e

package main

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"massive-passive/wire"
)

const (
	idleClients = 10_000
	idleLooked  = 20 * time.Second
	// idleSettled is after how long the memory of the handshakes is back with
	// the system: the runtime collects what is left at the latest after two
	// minutes.
	idleSettled = 150 * time.Second
)

// benchIdle measures what clients cost that are connected, ping, and say nothing
// else, and meanwhile a client whose checks rest most of the time.
func benchIdle(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, idleClients)
	pid := s.server.cmd.Process.Pid
	s.fleet.connect(1)[0].session.Close()
	before := memoryOf(pid, "VmRSS")
	clients := s.fleet.connect(idleClients)
	settled := time.Now().Add(idleSettled)
	rest := keepIdle(t, clients)
	quiet := benchQuietClient(t, b)
	time.Sleep(time.Until(settled) - idleLooked)
	busy := load(pid, func() { time.Sleep(idleLooked) })
	each := (memoryOf(pid, "VmRSS") - before) / idleClients
	if err := rest(); err != nil {
		t.Fatalf("a client that only pings lost its connection: %v", err)
	}
	disconnect(clients)
	return append([]row{
		{what: strconv.Itoa(idleClients) + " connected clients that only ping, memory of each after two and a half minutes", unit: "kB", ours: series{each}, goal: atMost(25)},
		{what: "the same, part of one core", unit: "%", ours: series{100 * busy}, goal: atMost(1)},
	}, quiet...)
}

// keepIdle has clients live, and returns what ends that and tells what went
// wrong first.
func keepIdle(t *testing.T, clients []*simulated) (end func() error) {
	ctx, stop := context.WithCancelCause(t.Context())
	var living sync.WaitGroup
	for i, c := range clients {
		living.Go(func() {
			for {
				if _, err := c.session.Receive(ctx); err != nil {
					stop(err)
					return
				}
			}
		})
		living.Go(func() {
			if err := c.ping(ctx, wire.PingInterval*time.Duration(i)/idleClients); err != nil {
				stop(err)
			}
		})
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
