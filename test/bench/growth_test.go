//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"path/filepath"
	"testing"
	"time"
)

// How cost grows: with what is connected, and with what waits.

func growingConnections() (counts []int, labels []string) {
	return []int{1, 10, 100, 1000, 5000}, []string{"1", "10", "100", "1,000", "5,000"}
}

// Growth may take half of the rate, and add half to a memory that should not
// grow at all.
const (
	mostSlower = 0.5
	mostLarger = 1.5
	tenfold    = 12 // what grows in proportion, and the machine's noise
)

func benchMoreConnections(t *testing.T, b *bench) []row {
	counts, labels := growingConnections()
	s := newLoadServer(t, b, counts[len(counts)-1])
	pid := s.Server.Cmd.Process.Pid
	var rates, memories []float64
	for _, n := range counts {
		clients := s.fleet.connect(n)
		flood(t, s.arrivals, clients, loadResults/10)
		var rate series
		for range 3 {
			rate = append(rate, flood(t, s.arrivals, clients, loadResults/2))
		}
		rates, memories = append(rates, rate.median()), append(memories, memoryOf(pid, "VmRSS")/1024)
		disconnect(clients)
	}
	b.charts = append(b.charts, chart("Results a second, by connections", "/s", labels, rates), chart("Memory of the server meanwhile, by connections", "MB", labels, memories))
	last := len(counts) - 1
	return []row{{what: "5,000 connections, results/s", ours: series{rates[last]}, peer: "one", theirs: series{rates[0]}, goal: atLeast(mostSlower).ofPeer()}}
}

func growingJournal() (counts []int, labels []string) {
	return []int{10_000, 1_000_000, 10_000_000}, []string{"10,000", "1,000,000", "10,000,000"}
}

// benchMoreJournal fills the journal while no core is there, starts the server
// again, and has a core appear.
func benchMoreJournal(t *testing.T, b *bench) []row {
	counts, labels := growingJournal()
	var taken, starts, opened, drained, delivered []float64
	for _, n := range counts {
		path := filepath.Join(t.TempDir(), "nagios.cmd")
		p := rig.NewPair(t, path, "nagios")
		p.ServerArgs = append(p.ServerArgs, "--loglevel", "warning", "--journal-max-bytes", "8589934592")
		f := newFleet(t, p, 1)
		startBuilt(p, b.binary)
		client := f.connect(1)
		begin := time.Now()
		if err := client[0].flood(t, 0, n); err != nil {
			t.Fatal(err)
		}
		taken = append(taken, float64(n)/time.Since(begin).Seconds())
		disconnect(client)
		p.Server.Stop()
		begin = time.Now()
		startBuilt(p, b.binary)
		disconnect(f.connect(1))
		starts = append(starts, time.Since(begin).Seconds()*1e3)
		pid := p.Server.Cmd.Process.Pid
		opened = append(opened, memoryOf(pid, "VmHWM")/1024)
		a := newArrivals(t, path)
		turn := a.begin(n, false)
		a.await(turn, 5*time.Minute)
		drained = append(drained, turn.rate())
		delivered = append(delivered, memoryOf(pid, "VmHWM")/1024)
		p.Server.Stop()
	}
	b.charts = append(b.charts,
		chart("Results a second into the journal while no core is there, by how many", "/s", labels, taken),
		chart("Start of a server, by results in its journal", "ms", labels, starts),
		chart("Results a second out of the journal when the core is there again", "/s", labels, drained),
		chart("Memory of a server at its highest when it has started, by results in its journal", "MB", labels, opened),
		chart("The same when it has delivered them", "MB", labels, delivered))
	last := len(counts) - 1
	return []row{
		{what: "10,000,000 results from the journal into a drained pipe, results/s", ours: series{drained[last]}, peer: "1,000,000", theirs: series{drained[1]}, goal: atLeast(mostSlower).ofPeer()},
		{what: "start of a server with 10,000,000 results in its journal, until a client is welcome", unit: "ms", ours: series{starts[last]}, peer: "1,000,000", theirs: series{starts[1]}, goal: atMost(tenfold).ofPeer()},
		{what: "memory of a server that started with 10,000,000 results in its journal", unit: "MB", ours: series{opened[last]}, peer: "1,000,000", theirs: series{opened[1]}, goal: atMost(mostLarger).ofPeer()},
		{what: "the same when it has delivered them", unit: "MB", ours: series{delivered[last]}, peer: "1,000,000", theirs: series{delivered[1]}, goal: atMost(tenfold).ofPeer()},
	}
}
