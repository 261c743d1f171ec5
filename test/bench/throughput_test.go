//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	loadTurns   = 5
	loadResults = 600_000 // of a turn
)

// benchOneConnection is what one connection carries, from its first byte to the
// last line in the pipe, beside what the clients of NSCA-ng and NSCA carry over
// theirs.
func benchOneConnection(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, 1)
	client := s.fleet.connect(1)
	defer disconnect(client)
	peers := []*peerSender{newPeerNSCANG(t, 5000), newPeerNSCA(t, 20_000)}
	flood(t, s.arrivals, client, loadResults/10) // so that no turn is the first
	var ours series
	theirs := make([]series, len(peers))
	for range loadTurns {
		ours = append(ours, flood(t, s.arrivals, client, loadResults))
		for i, p := range peers {
			theirs[i] = append(theirs[i], p.send(t))
		}
	}
	return []row{
		{what: "one connection, results/s into a drained pipe, flushed and acknowledged", ours: ours, peer: "NSCA-ng, one connection", theirs: theirs[0], goal: atLeast(300_000)},
		{what: "the same", ours: ours, peer: fmt.Sprintf("NSCA, one connection, nothing acknowledged or flushed, %d of %d lost", peers[1].lost, loadTurns*peers[1].results), theirs: theirs[1]},
	}
}

// peerSender sends results by another project's programs.
type peerSender struct {
	arrivals *arrivals
	args     []string
	results  int // of a turn
	lost     int // in all turns, without a word from it
}

// peerQuiet is how long nothing must arrive for the rest to be lost.
const peerQuiet = 2 * time.Second

func newPeerNSCANG(t *testing.T, results int) *peerSender {
	a := newArrivals(t, filepath.Join(t.TempDir(), "nagios.cmd"))
	port := rig.StartNSCANG(t, &rig.Core{T: t, Path: a.path})
	return &peerSender{a, []string{filepath.Join(rig.PeersDir(), "nsca-ng-client/usr/sbin/send_nsca"), "-H", "127.0.0.1", "-p", fmt.Sprint(port),
		"-c", rig.WriteFile(t, "send.cfg", rig.ConfigNSCANG)}, results, 0}
}

func newPeerNSCA(t *testing.T, results int) *peerSender {
	a := newArrivals(t, filepath.Join(t.TempDir(), "nagios.cmd"))
	port := rig.StartNSCA(t, &rig.Core{T: t, Path: a.path})
	return &peerSender{a, []string{filepath.Join(rig.PeersDir(), "nsca-client/usr/sbin/send_nsca"), "-H", "127.0.0.1", "-p", fmt.Sprint(port), "-to", "60",
		"-c", rig.WriteFile(t, "send.cfg", rig.ConfigNSCA)}, results, 0}
}

// send returns how many results a second came to the pipe.
func (p *peerSender) send(t *testing.T) float64 {
	t.Helper()
	sets := loadSets(p.arrivals.next, p.results, "\x17")
	turn := p.arrivals.begin(p.results, false)
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(sets), os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", p.args[0], err)
	}
	p.lost += p.arrivals.settle(turn, peerQuiet)
	return turn.rate()
}

// benchManyConnections has 1,000 connections carry together what one does.
func benchManyConnections(t *testing.T, b *bench) []row {
	const many = 1000
	s := newLoadServer(t, b, many+1)
	clients := s.fleet.connect(many + 1)
	defer disconnect(clients)
	var thousand, one series
	flood(t, s.arrivals, clients, loadResults/10)
	for range loadTurns {
		thousand = append(thousand, flood(t, s.arrivals, clients[1:], loadResults))
		one = append(one, flood(t, s.arrivals, clients[:1], loadResults))
	}
	return []row{{what: "1,000 connections, results/s, the same work in all", ours: thousand, peer: "one of them", theirs: one, goal: atLeast(0.8).ofPeer()}}
}

// benchRealNagios empties a journal into Nagios's pipe.
func benchRealNagios(t *testing.T, _ *bench) []row {
	r := rig.NewNagiosRig(t, benchHosts())
	r.Start()
	plain, ours := newNagiosPipeBench(t, r).turns(noSuchService)
	return []row{{what: "into Nagios 4 by its pipe, results/s (200 bytes)", ours: ours, peer: "a bare local writer", theirs: plain, goal: atLeast(0.9).ofPeer()}}
}

// benchFlush is what the durable ACK costs.
func benchFlush(t *testing.T, _ *bench) []row {
	with, without := flushTurnsOf(t)
	return []row{{what: "10 connections, results/s (200 bytes), journal flushed", ours: with, peer: "--journal-flush=false", theirs: without, goal: atLeast(1 - flushMayCost).ofPeer()}}
}
