//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

const (
	// sinkWindow is longer than the server keeps what the core took.
	sinkWindow = 15 * time.Second

	// arrivalLimit is how long after the end of a fault everything must have arrived. A dead connection is
	// noticed within a minute, and the client tries again after at most half of one.
	arrivalLimit = 3 * time.Minute

	// growthLimit is how long the client's journal may get nothing after a fault of the client's own.
	growthLimit = 30 * time.Second
)

// fault is one thing that goes wrong at a site and is put right again.
type fault struct {
	name   string
	exact  bool // neither the core nor the server is killed or restarted
	strike func(*site)
}

// striker is who makes things go wrong, one after the other, and decides by chance when.
type striker struct {
	t     testing.TB
	world *world
	rng   *rand.Rand
}

// pause lets the load go on.
func (s *striker) pause(d time.Duration) { <-time.After(d) }

// moment is a random time up to most.
func (s *striker) moment(most time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(most)))
}

// choose waits for a moment to strike at, under full load three times of four, else perhaps while the client comes up.
func (s *striker) choose() {
	if s.rng.IntN(4) > 0 {
		s.pause(time.Until(s.world.lastBoot().Add(rampUp)))
	}
	s.pause(s.moment(3 * time.Second))
}

// while is how long a fault lasts, from a second on: below its middle as often as above, by ratio, for what happens in
// its first seconds differs from what happens once time-outs are over.
func (s *striker) while() time.Duration {
	return time.Duration(float64(time.Second) * math.Pow(s.world.long.Seconds(), s.rng.Float64()))
}

// site is a server and its core, and the books about them.
type site struct {
	*striker
	name   string
	dir    string // that its server keeps its state in
	rig    func(*testing.T, []rig.Host) door
	faults func(*site) []fault

	listenAt, reachedAt string   // where its server listens, and where the client looks for it
	nameOfServer        string   // by which the client calls it
	wrap                []string // a command that runs the server, as in a network namespace
	relay               *relay   // that its server is reached through, or none

	server     *rig.Daemon
	serverArgs []string

	begun, struck       context.Context // over when it can take results, and when it is struck no more
	setBegun, setStruck func()

	core    monitoringCore
	witness *witness
	servers *copies

	arrived int // entries of the ledger that the core was seen to have
}

// relayed puts a relay between the client and the server.
func (s *site) relayed() {
	s.relay = s.world.newRelay(s.listenAt, s.rng.Uint64())
	s.reachedAt, s.wrap = s.relay.listener.Addr().String(), nil
}

// across puts the server at the far end of a cable.
func (s *site) across(f *farEnd) {
	_, port, err := net.SplitHostPort(s.listenAt)
	if err != nil {
		s.world.T.Fatal(err)
	}
	s.wrap, s.listenAt = runIn(f.server), net.JoinHostPort("0.0.0.0", port)
	s.nameOfServer, s.reachedAt = f.name, net.JoinHostPort(f.name, port)
}

// over tells who waits for this site, however it ended.
func (s *site) over() {
	s.setBegun()
	s.setStruck()
}

// life is all that is done with a site, in step with the client's.
func (s *site) life(t *testing.T, up, stopped context.Context) {
	defer s.over()
	s.t = t
	if err := os.Mkdir(s.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	s.useSink(s.rig(t, faultHosts()))
	faults := s.faults(s)
	s.servers = collect(t, s.dir+"/journal")
	s.core.Start()
	s.bootServer()
	s.setBegun()
	<-up.Done()
	s.strikeAt(faults)
	s.setStruck()
	<-stopped.Done()
	s.close(!slices.ContainsFunc(faults, func(f fault) bool { return !f.exact }))
}

// useSink lets the server hand its results to a core by a door.
func (s *site) useSink(d door) {
	s.core, s.witness = d.core, d.witness
	p := rig.Pair{ServerArgs: slices.Clone(s.world.ServerArgs)}
	p.DeliverTo(d.sink...)
	s.serverArgs = p.ServerArgs
	replace(s.t, s.serverArgs, "--listen", s.listenAt)
	replace(s.t, s.serverArgs, "--state-dir", s.dir)
}

// bootServer starts the server as it is at a boot of its machine.
func (s *site) bootServer() {
	s.server = rig.StartWrapped(s.t, s.wrap, "massive-passive-server", s.serverArgs...)
}

// strikeAt strikes with each of the faults in each round, in random order.
func (s *site) strikeAt(faults []fault) {
	s.t.Helper()
	s.awaitNewer(s.world.lastBoot(), "the start of the client")
	took := map[string][]time.Duration{}
rounds:
	for range s.world.rounds {
		s.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, f := range faults {
			took[f.name] = append(took[f.name], s.round(f))
			if s.world.ending() {
				break rounds
			}
			if s.world.rounds >= manyRounds && s.rng.IntN(4) == 0 {
				s.pause(sinkWindow) // else a core that is restarted ever again gets all of it each time
			}
		}
	}
	for name, took := range took {
		s.t.Log(summary(name, took))
	}
}

// round strikes once, and returns how long after its end all had arrived, some that was measured after it included.
func (s *site) round(f fault) time.Duration {
	s.t.Helper()
	s.choose()
	running(s.server, s.t)
	repeats, before := s.witness.repeats(), s.arrived
	s.strikeCalmly(f)
	healed := time.Now()
	s.awaitNewer(healed, f.name)
	running(s.server, s.t)
	s.awaitArrival(f.name)
	if _, _, err := s.servers.entries(decodeServerEntry); err != nil {
		s.t.Errorf("the server's journal after %s: %v", f.name, err)
	}
	took := time.Since(healed)
	s.t.Logf("%s: all there after %v, %d results since the one before, repeats %d", f.name, took.Round(time.Millisecond), s.arrived-before, s.witness.repeats()-repeats)
	return took
}

// strikeCalmly strikes, and sees to it that the client measures on meanwhile, if it is not harmed itself.
func (s *site) strikeCalmly(f fault) {
	s.t.Helper()
	w := s.world
	harms, entered, start := w.harms.Load(), s.enter(), time.Now()
	f.strike(s)
	calm := harms%2 == 0 && harms == w.harms.Load() && start.After(w.lastBoot().Add(rampUp))
	if lasted := time.Since(start); calm && lasted > rampUp && s.enter() == entered {
		s.t.Errorf("%s: the client measured nothing for %v", f.name, lasted)
	}
}

// awaitNewer returns when the core has something that was measured later than then.
func (s *site) awaitNewer(then time.Time, after string) {
	s.t.Helper()
	rig.Eventually(s.t, arrivalLimit, "something at the core that was measured after: "+after, func() error {
		if s.witness.read(); s.witness.newest < then.UnixNano() {
			return fmt.Errorf("the newest it has is of %v", time.Unix(0, s.witness.newest))
		}
		return nil
	})
}

// awaitArrival returns when the core has everything that is in the client's journal now.
func (s *site) awaitArrival(after string) {
	s.t.Helper()
	awaited := s.entered(s.arrived)
	defer func() {
		if s.t.Failed() && len(awaited) > 0 {
			s.t.Logf("what the core wrote of it:\n%s", s.witness.about(awaited[0].sighting))
		}
	}()
	rig.Eventually(s.t, arrivalLimit, "all results at the core after: "+after, func() error {
		s.witness.read()
		for len(awaited) > 0 {
			e := awaited[0]
			if !s.witness.has(e.sighting) {
				return fmt.Errorf("%v (sequence %d, appended %v) is not there; %d before it are, and %d behind it were looked for no further",
					e.sighting, e.sequence, e.at(), s.arrived, len(awaited)-1)
			}
			awaited = awaited[1:]
			s.arrived++
		}
		return nil
	})
}

// awaitServer returns when the server's journal has everything that is in the client's.
func (s *site) awaitServer(after string) {
	s.t.Helper()
	awaited := s.entered(0)
	rig.Eventually(s.t, arrivalLimit, "all results in the server's journal after "+after, func() error {
		found, _, err := s.servers.entries(decodeServerEntry)
		if err != nil {
			s.t.Fatalf("the server's journal: %v", err)
		}
		have := map[uint64]bool{}
		for _, e := range found {
			have[e.sequence] = true
		}
		for i, e := range awaited {
			if !have[e.sequence] {
				return fmt.Errorf("%v (sequence %d, appended %v), %d before the last, is not there", e.sighting, e.sequence, e.at(), len(awaited)-i)
			}
		}
		return nil
	})
}

// close waits, with the load at its end, until everything has arrived, and compares the books.
func (s *site) close(exactly bool) {
	s.t.Helper()
	s.awaitServer("the client's orderly stop")
	s.awaitArrival("the end")
	s.server.Stop()
	inServer, _, err := s.servers.entries(decodeServerEntry)
	if err != nil {
		s.t.Errorf("the server's journal: %v", err)
	}
	s.witness.read()
	s.world.ledger.onceInServer(s.t, inServer)
	s.witness.compare(s.t, inServer, exactly)
	if s.t.Failed() {
		s.t.Logf("what the core complained of last:\n%s", s.witness.complaints())
	}
	s.t.Logf("%d results, %d repeats at the core, %d results that it did not tell apart", len(inServer), s.witness.repeats(), s.witness.untold)
}

// summary is one line about the rounds of a fault.
func summary(name string, took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("%s: %d rounds, all there after %v, at most %v", name, len(took),
		took[len(took)/2].Round(10*time.Millisecond), took[len(took)-1].Round(10*time.Millisecond))
}

// running fails the test if the daemon has ended by itself.
func running(d *rig.Daemon, t testing.TB) {
	t.Helper()
	select {
	case <-d.Exited:
		t.Fatalf("%s ended by itself: %v\n%s", d.Cmd.Path, d.Cmd.ProcessState, rig.Ends(d.Words()))
	default:
	}
}
