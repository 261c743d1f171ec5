//go:build bench && e2e

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire"
)

// The simulation: hosts of 20 services, each once a minute, ten hosts behind
// each connection.
const (
	simulatedClients = 2000
	hostsOfClient    = 10
	simulatedEvery   = time.Minute
)

// TestSoakHosts20000 runs for ten minutes what the table has one of.
func TestSoakHosts20000(t *testing.T) {
	for _, r := range benchHosts20000(t, &bench{binary: buildProgram(t)}, 10*time.Minute) {
		t.Log(r)
		if r.short() > 0 {
			t.Errorf("%s: missed", r.what)
		}
	}
}

func benchHosts20000(t *testing.T, b *bench, lasts time.Duration) []row {
	s := newLoadServer(t, b, simulatedClients)
	for i, c := range s.fleet.clients {
		c.hosts = nil
		for h := range hostsOfClient {
			c.hosts = append(c.hosts, fmt.Sprintf("host%05d", i*hostsOfClient+h))
		}
	}
	clients := s.fleet.connect(simulatedClients)
	pid := s.Server.Cmd.Process.Pid
	each := hostsOfClient * loadServices * int(lasts/simulatedEvery)
	turn := s.arrivals.begin(each*len(clients), true)
	busy := load(pid, func() { simulate(t, clients, turn, each) })
	s.arrivals.await(turn, time.Minute)
	most := memoryOf(pid, "VmHWM") / 1024
	disconnect(clients)
	late := slices.Sorted(slices.Values(turn.late))
	at := func(part float64) series { return series{late[int(part*float64(len(late)-1))].Seconds() * 1e3} }
	what := fmt.Sprintf("20,000 hosts of 20 services every 60 s over 2,000 connections for %v", lasts)
	return []row{
		{what: what + ", server's part of one core", unit: "%", ours: series{100 * busy}, goal: atMost(50)},
		{what: what + ", server's memory at its highest", unit: "MB", ours: series{most}, goal: atMost(200)},
		{what: what + ", from result to pipe, 99 of 100 within", unit: "ms", ours: at(0.99), goal: atMost(1000)},
		{what: what + ", the same, half within", unit: "ms", ours: at(0.5)},
	}
}

// simulate has each client send its results one by one, evenly over the time,
// and returns when all are sent and acknowledged.
func simulate(t *testing.T, clients []*simulated, turn *turn, each int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	period := simulatedEvery / (hostsOfClient * loadServices)
	begin := time.Now()
	var living sync.WaitGroup
	for i, c := range clients {
		first := i * each
		start := begin.Add(period * time.Duration(i) / time.Duration(len(clients)))
		living.Go(func() {
			if err := c.receiveUpTo(ctx, uint64(each)); err != nil {
				t.Errorf("%s: %v", c.hosts[0], err)
			}
		})
		living.Go(func() {
			var batch wire.Batch
			for k := range each {
				time.Sleep(time.Until(start.Add(time.Duration(k) * period)))
				c.batch(&batch, turn.first+uint64(first+k), 1)
				turn.sent[first+k].Store(int64(time.Since(turn.begun)))
				if err := c.session.Send(batch); err != nil {
					t.Errorf("%s: %v", c.hosts[0], err)
					return
				}
			}
		})
	}
	living.Wait()
}

// receiveUpTo takes ACKs until one is of the last sequence.
func (c *simulated) receiveUpTo(ctx context.Context, last uint64) error {
	for {
		ack, err := c.session.Receive(ctx)
		if err != nil {
			return err
		}
		if len(ack.Rejections) > 0 {
			return fmt.Errorf("the server rejected %d results: %s", len(ack.Rejections), ack.Rejections[0].Text)
		}
		if ack.Sequence == last {
			return nil
		}
	}
}

const (
	quietChecks = 100
	quietEvery  = 10 // seconds
	quietLooked = 30 * time.Second
)

// benchQuietClient is a client with 100 checks: its memory while each runs
// every 10 s, and the processor time of another while none is due.
func benchQuietClient(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, 0)
	turn := s.arrivals.begin(1, false)
	running := quietClient(t, b, s, "running", quietEvery)
	idle := quietClient(t, b, s, "idle", 3600)
	time.Sleep(quietLooked / 3) // the first runs
	used := load(idle.Cmd.Process.Pid, func() { time.Sleep(quietLooked) })
	most := memoryOf(running.Cmd.Process.Pid, "VmHWM") / 1024
	running.Stop()
	idle.Stop()
	if came, want := s.arrivals.came(turn), quietChecks*int(quietLooked.Seconds())/quietEvery; came < want {
		t.Fatalf("%d results came of the %d and more that were due", came, want)
	}
	return []row{
		{what: "client with 100 checks every 10 s, memory at its highest", unit: "MB", ours: series{most}, peer: "the original, measured once: 21", goal: atMost(20)},
		{what: "the same between checks, part of one core", unit: "%", ours: series{100 * used}, goal: atMost(0.1)},
	}
}

// quietClient starts a client with checks of its own.
func quietClient(t *testing.T, b *bench, s *loadServer, name string, interval int) *rig.Daemon {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range quietChecks {
		text := fmt.Sprintf(`{"check_description": "check %d", "check_hostname": "%s", "check_type": "service_check", "interval": %d, "command": "/bin/echo OK - %0*d"}`, i, name, interval, numberDigits, 0)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("check", i, ".cfg")), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{link(t, b.binary, "massive-passive-client")}, s.ClientArgs...)
	args[slices.Index(args, "--confdir")+1] = dir
	return rig.StartProgram(t, "massive-passive-client", append(args, "--state-dir", filepath.Join(t.TempDir(), "state")))
}
