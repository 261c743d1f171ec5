//go:build e2e

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The load: each service is checked once a second, of a slow door every other second in a short run.
const (
	faultServices   = 640
	servicesPerHost = 40
	leastRate       = 500 // results a second that the load must reach to count

	// sinkWindow is longer than the server keeps what the core took.
	sinkWindow = 12 * time.Second

	// rampUp is how long after its start the client runs all checks once a second.
	rampUp = 5 * time.Second

	// arrivalLimit is how long after the end of a fault everything must have arrived. A dead connection is
	// noticed within a minute, and the client tries again after at most half of one.
	arrivalLimit = 3 * time.Minute
)

// A round strikes once. Both can be set from outside, so that a failure can be repeated.
const (
	roundsVariable = "FAULT_ROUNDS"
	seedVariable   = "FAULT_SEED"
)

// manyRounds are enough to take long pauses, and to ask for the full load.
const manyRounds = 10

// fault is one thing that goes wrong and is put right again.
type fault struct {
	name   string
	exact  bool // neither the core nor the server is killed or restarted
	strike func(*world)
}

// world is a core, a server and a client under load, and the books about them.
type world struct {
	*pair
	core    monitoringCore
	witness *witness
	clients *copies
	servers *copies
	ledger  ledger
	rng     *rand.Rand
	rounds  int
	long    time.Duration // how long a core is away, and the most that anything else goes wrong

	clientWrap, serverWrap []string // commands that run the daemons, as in a network namespace

	arrived int // entries of the ledger that the core was seen to have
	took    map[string][]time.Duration
	boots   []time.Time // of the client
}

// newWorld lays everything out and starts nothing.
func newWorld(t *testing.T, rig func(*testing.T, []rigHost) door) *world {
	t.Helper()
	w := &world{rounds: 1, long: 3 * time.Second, took: map[string][]time.Duration{}}
	if text := os.Getenv(roundsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q: give a number from 1", roundsVariable, text)
		}
		w.rounds = n
	}
	if w.rounds >= manyRounds {
		w.long = time.Minute
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: give a number", seedVariable, text)
		}
		seed = n
	}
	t.Logf("%s=%d %s=%d repeats the order of this run", roundsVariable, w.rounds, seedVariable, seed)
	w.rng = rand.New(rand.NewPCG(seed, 0))
	d := rig(t, faultHosts())
	w.core, w.witness = d.core, d.witness
	w.pair = newPair(t, "unused", "nagios")
	w.deliverTo(d.sink...)
	w.clientArgs = append(w.clientArgs, "--initial-random-wait-range", "3", "--loglevel", "warning")
	w.serverArgs = append(w.serverArgs, "--loglevel", "warning")
	for _, dir := range []string{w.serverDir(), w.clientDir()} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	interval := 1
	if d.slow && w.rounds < manyRounds {
		interval = 2
	}
	for i := range faultServices {
		w.addCheck(fmt.Sprint("check", i), map[string]any{"check_type": "service_check", "interval": interval,
			"check_hostname": "h" + strconv.Itoa(i/servicesPerHost), "check_description": "s" + strconv.Itoa(i%servicesPerHost),
			"command": []string{w.plugin(), strconv.Itoa(d.state)}})
	}
	return w
}

// numbering is the cheapest plugin there is, with a C library that starts in a quarter of the time of the usual one:
// without both the load would be that of starting programs.
const numbering = `#include <stdio.h>
#include <time.h>
#include <stdlib.h>
int main(int argc, char **argv) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	return argc > 1 ? atoi(argv[1]) : 0;
}
`

// plugin returns a program that prints a number higher than each before, and ends with the code that it is given.
func (w *world) plugin() string {
	w.t.Helper()
	program := w.dir + "/number"
	if !exists(w.t, program) {
		if err := os.WriteFile(program+".c", []byte(numbering), 0o644); err != nil {
			w.t.Fatal(err)
		}
		w.command("musl-gcc", "-O2", "-static", "-o", program, program+".c")
	}
	return program
}

func (w *world) serverDir() string { return w.dir + "/server" }
func (w *world) clientDir() string { return w.dir + "/client" }

// begin starts everything and the books.
func (w *world) begin() {
	w.t.Helper()
	w.clients, w.servers = collect(w.t, w.clientDir()+"/journal"), collect(w.t, w.serverDir()+"/journal")
	w.core.start()
	w.bootServer()
	w.bootClient()
	eventually(w.t, coreStartLimit, "the first results", func() error {
		if w.witness.read(); len(w.witness.seen) < faultServices {
			return fmt.Errorf("the core has %d", len(w.witness.seen))
		}
		return nil
	})
}

// bootServer and bootClient start a daemon as it is at a boot of its machine.
func (w *world) bootServer() {
	w.server = startWrapped(w.t, w.serverWrap, "massive-passive-server", w.serverArgs...)
}

func (w *world) bootClient() {
	w.boots = append(w.boots, time.Now())
	w.client = startWrapped(w.t, w.clientWrap, "massive-passive-client", w.clientArgs...)
}

// replace gives an option of a daemon another value.
func replace(t testing.TB, args []string, option, value string) {
	t.Helper()
	i := slices.Index(args, option)
	if i < 0 {
		t.Fatalf("%s is not among %q", option, args)
	}
	args[i+1] = value
}

// pause lets the load go on.
func (w *world) pause(d time.Duration) { <-time.After(d) }

// moment is a random time up to most.
func (w *world) moment(most time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(most)))
}

// while is how long a fault lasts: a random time, for what happens in its first seconds differs from what happens once
// time-outs are over.
func (w *world) while() time.Duration { return time.Second + w.moment(w.long) }

// run strikes with each of the faults in each round, in random order, and closes the books.
func (w *world) run(faults []fault) {
	w.t.Helper()
	w.begin()
	exactly := !slices.ContainsFunc(faults, func(f fault) bool { return !f.exact })
	for range w.rounds {
		w.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, f := range faults {
			w.round(f)
			if w.rounds >= manyRounds && w.rng.IntN(4) == 0 {
				w.pause(sinkWindow) // else a core that is restarted ever again gets all of it each time
			}
		}
	}
	w.close(exactly)
	for name, took := range w.took {
		w.t.Log(summary(name, took))
	}
}

func (w *world) round(f fault) {
	w.t.Helper()
	if w.rng.IntN(4) > 0 { // else it strikes while the client comes up again
		w.pause(time.Until(w.boots[len(w.boots)-1].Add(rampUp)))
	}
	w.pause(w.moment(3 * time.Second))
	before, entered := w.witness.repeats(), len(w.ledger.entries)
	f.strike(w)
	healed := time.Now()
	w.pause(time.Second) // so that some of what came after it is among what must arrive
	w.server.running()
	w.client.running()
	w.awaitArrival(f.name)
	took := time.Since(healed)
	if len(w.ledger.entries) == entered && time.Since(w.boots[len(w.boots)-1]) > rampUp {
		w.t.Errorf("%s: the client measures nothing any more", f.name)
	}
	w.took[f.name] = append(w.took[f.name], took)
	w.t.Logf("%s: %d results in the ledger, all there after %v, repeats %d", f.name, len(w.ledger.entries), took.Round(time.Millisecond), w.witness.repeats()-before)
}

// enter brings the ledger up to date.
func (w *world) enter() {
	w.t.Helper()
	entries, fresh, err := w.clients.entries(decodeClientEntry)
	if err == nil {
		err = w.ledger.add(entries[fresh:])
	}
	if err != nil {
		w.t.Fatalf("the client's journal: %v", err)
	}
}

// awaitArrival returns when the core has everything that is in the client's journal now.
func (w *world) awaitArrival(after string) {
	w.t.Helper()
	w.enter()
	eventually(w.t, arrivalLimit, "all results at the core after: "+after, func() error {
		w.witness.read()
		for _, e := range w.ledger.entries[w.arrived:] {
			if w.witness.times[e.sighting] == 0 {
				return fmt.Errorf("%v (sequence %d, appended %v) is not there; before it were %d of %d, behind it are %d more missing",
					e.sighting, e.sequence, e.at(), w.arrived, len(w.ledger.entries), w.missing()-1)
			}
			w.arrived++
		}
		return nil
	})
}

// missing is how many of the ledger's results the core does not have yet.
func (w *world) missing() (n int) {
	for _, e := range w.ledger.entries[w.arrived:] {
		if w.witness.times[e.sighting] == 0 {
			n++
		}
	}
	return n
}

// awaitServer returns when the server's journal has everything that is in the client's.
func (w *world) awaitServer(after string) {
	w.t.Helper()
	w.enter()
	eventually(w.t, coreStopLimit, "all results in the server's journal after "+after, func() error {
		found, _, err := w.servers.entries(decodeServerEntry)
		if err != nil {
			w.t.Fatalf("the server's journal: %v", err)
		}
		have := map[uint64]bool{}
		for _, e := range found {
			have[e.sequence] = true
		}
		for i, e := range w.ledger.entries {
			if !have[e.sequence] {
				return fmt.Errorf("%v (sequence %d, appended %v), %d before the last, is not there", e.sighting, e.sequence, e.at(), len(w.ledger.entries)-i)
			}
		}
		return nil
	})
}

// close stops the load, waits until everything has arrived, and compares the books.
func (w *world) close(exactly bool) {
	w.t.Helper()
	w.client.stop()
	w.awaitServer("the client's orderly stop")
	w.awaitArrival("the end")
	w.server.stop()
	inServer, _, err := w.servers.entries(decodeServerEntry)
	if err != nil {
		w.t.Errorf("the server's journal: %v", err)
	}
	w.witness.read()
	w.ledger.onceInServer(w.t, inServer)
	w.witness.compare(w.t, &w.ledger, inServer, exactly)
	rate := w.rate()
	w.t.Logf("%d results at %d a second, %d repeats at the core", len(w.ledger.entries), rate, w.witness.repeats())
	if rate < leastRate && w.rounds >= manyRounds {
		w.t.Errorf("the load was %d results a second, less than %d: this machine is too slow or too busy to tell", rate, leastRate)
	}
}

// rate is the third quartile of the seconds in which anything was appended to the client's journal, without those
// around its starts: many of the others were cut short by a fault.
func (w *world) rate() int {
	seconds := map[int64]int{}
	for _, e := range w.ledger.entries {
		if !slices.ContainsFunc(w.boots, func(b time.Time) bool {
			return e.at().After(b.Add(-2*time.Second)) && e.at().Before(b.Add(rampUp))
		}) {
			seconds[e.at().Unix()]++
		}
	}
	counts := []int{0}
	for _, n := range seconds {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return counts[len(counts)*3/4]
}

// running fails the test if the daemon has ended.
func (d *daemon) running() {
	d.t.Helper()
	select {
	case <-d.exited:
		d.t.Fatalf("%s ended by itself: %v", d.cmd.Path, d.cmd.ProcessState)
	default:
	}
}
