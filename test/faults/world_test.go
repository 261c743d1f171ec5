//go:build e2e

package faults

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire/certs/certstest"
)

// The load: each service is checked once a second, with slow doors every other second in a short run.
const (
	faultServices   = 560
	servicesPerHost = 40
	leastRate       = 500 // results a second that the load must reach to count

	// rampUp is how long after its start the client runs all checks once a second.
	rampUp = 5 * time.Second
)

// A round strikes once with each fault. Both can be set from outside, so that a failure can be repeated.
const (
	roundsVariable = "FAULT_ROUNDS"
	seedVariable   = "FAULT_SEED"
)

// manyRounds are enough to take long pauses, and to ask for the full load.
const manyRounds = 10

// world is a client under load, the sites that it delivers to, and the books about the client.
type world struct {
	*rig.Pair // for its client, and the certificates
	rounds    int
	seed      uint64
	until     time.Time     // that the test may last; zero: no limit
	long      time.Duration // how long a core is away, and the most that anything else goes wrong
	sites     []*site

	network    *network   // that the client lives in, if any
	clientWrap []string   // runs a program where the client is
	atClient   sync.Mutex // held by who strikes at the client
	harms      atomic.Int64

	books   sync.Mutex // of the next three
	clients *copies
	ledger  ledger
	boots   []time.Time // of the client
}

// newWorld lays out the client, at one end of a network if there is one, and starts nothing.
func newWorld(t *testing.T, n *network, slow bool) *world {
	t.Helper()
	w := &world{Pair: rig.NewPair(t, "unused", "nagios"), network: n, rounds: 1, long: 3 * time.Second, seed: uint64(time.Now().UnixNano())}
	if rounds, ok := numberFrom(t, roundsVariable); ok {
		w.rounds = int(rounds)
	}
	if w.rounds >= manyRounds {
		w.long = time.Minute
	}
	if seed, ok := numberFrom(t, seedVariable); ok {
		w.seed = seed
	}
	w.until, _ = t.Deadline()
	names := []string{"127.0.0.1", "localhost"}
	if n != nil {
		w.clientWrap = runIn(n.client)
		for _, f := range n.far {
			names = append(names, f.name)
		}
	}
	server := certstest.Request{Name: "server", Hosts: names, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if err := w.Set.Authority.Write(server, w.Set.ServerCert, w.Set.ServerKey); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s=%d %s=%d repeats the order of this run", roundsVariable, w.rounds, seedVariable, w.seed)
	w.ClientArgs = append(w.ClientArgs, "--initial-random-wait-range", "3", "--loglevel", "warning")
	w.ServerArgs = append(w.ServerArgs, "--loglevel", "warning")
	shareMounts(t, w.Dir)
	if err := os.Mkdir(w.clientDir(), 0o711); err != nil {
		t.Fatal(err)
	}
	realDisk(t, w.clientDir())
	interval := 1
	if slow && w.rounds < manyRounds {
		interval = 2
	}
	plugin := buildPlugin(t, w.Dir)
	for i := range faultServices {
		w.AddCheck(fmt.Sprint("check", i), map[string]any{"check_type": "service_check", "interval": interval,
			"check_hostname": "h" + strconv.Itoa(i/servicesPerHost), "check_description": "s" + strconv.Itoa(i%servicesPerHost),
			"command": []string{plugin}})
	}
	return w
}

// numberFrom reads a variable of the environment that may be unset.
func numberFrom(t testing.TB, variable string) (n uint64, set bool) {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("%s=%q: give a number from 1", variable, text)
	}
	return n, true
}

// critical is the state of all results: one in which Icinga handles each result of a volatile service as an event.
const critical = 2

// numbering is the cheapest plugin there is, with a C library that starts in a quarter of the time of the usual one:
// without both the load would be that of starting programs.
const numbering = `#include <stdio.h>
#include <time.h>
int main(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	printf("%%lld%%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	return %d;
}
`

// buildPlugin returns a program that prints the time in nanoseconds, and so a number higher than each before.
func buildPlugin(t testing.TB, dir string) string {
	t.Helper()
	program := dir + "/number"
	if err := os.WriteFile(program+".c", fmt.Appendf(nil, numbering, critical), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "musl-gcc", "-O2", "-static", "-o", program, program+".c")
	return program
}

func (w *world) clientDir() string { return w.Dir + "/client" }

// add lays out a site whose server is where the client is. Its faults, and what they need, are asked for when it is
// begun.
func (w *world) add(name string, open func(*testing.T, []rig.Host) door, faults func(*site) []fault) *site {
	number := len(w.sites) + 1
	s := &site{striker: &striker{world: w, rng: rand.New(rand.NewPCG(w.seed, uint64(number)))},
		name: name, rig: open, faults: faults, dir: w.Dir + "/server" + strconv.Itoa(number),
		listenAt: net.JoinHostPort("127.0.0.1", strconv.Itoa(rig.UnusedPort(w.T))), wrap: w.clientWrap}
	s.nameOfServer, s.reachedAt = "server"+strconv.Itoa(number), s.listenAt
	s.begun, s.setBegun = context.WithCancel(w.T.Context())
	s.struck, s.setStruck = context.WithCancel(w.T.Context())
	w.sites = append(w.sites, s)
	return s
}

// run begins the sites and then the client, strikes at all of them side by side, and closes the books.
func (w *world) run(t *testing.T) {
	t.Helper()
	up, setUp := context.WithCancel(t.Context())
	stopped, setStopped := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer setStopped()
	defer setUp()
	for _, s := range w.sites {
		all.Go(func() {
			defer s.over()
			t.Run(s.name, func(t *testing.T) { s.life(t, up, stopped) })
		})
	}
	w.begin()
	setUp()
	clientStruck := make(chan struct{})
	all.Go(func() {
		defer close(clientStruck)
		t.Run("client", w.strikeAtClient)
	})
	for _, s := range w.sites {
		<-s.struck.Done()
	}
	<-clientStruck
	w.settle()
	w.Client.Stop()
	setStopped()
	all.Wait()
	rate := w.rate()
	t.Logf("%d results at %d a second", len(w.ledger.entries), rate)
	if rate < leastRate && w.rounds >= manyRounds {
		t.Errorf("the load was %d results a second, less than %d: this machine is too slow or too busy to tell", rate, leastRate)
	}
}

// closingTime is what may go by from the last round to the end of the books.
const closingTime = 10 * time.Minute

// ending tells that no more is to be struck at: what goes on with a site missing proves nothing, and what the limit of
// the whole test (go test -timeout) cuts off has no books.
func (w *world) ending() bool {
	return w.T.Failed() || !w.until.IsZero() && time.Until(w.until) < closingTime
}

// begin starts the client, which delivers to those sites that can take results, and the books.
func (w *world) begin() {
	w.T.Helper()
	w.clients = collect(w.T, w.clientDir()+"/journal")
	var reached []string
	for _, s := range w.sites {
		if <-s.begun.Done(); s.server != nil {
			reached = append(reached, s.nameOfServer+"="+s.reachedAt)
		}
	}
	replace(w.T, w.ClientArgs, "--default-servers", strings.Join(reached, ","))
	w.bootClient()
}

// settle waits until the client that is to be stopped has come to each server that is there.
func (w *world) settle() {
	w.T.Helper()
	for _, s := range w.sites {
		if s.server != nil && !w.T.Failed() {
			s.awaitNewer(w.lastBoot(), "the last start of the client")
		}
	}
}

// bootClient starts the client as it is at a boot of its machine.
func (w *world) bootClient() {
	w.books.Lock()
	w.boots = append(w.boots, time.Now())
	w.books.Unlock()
	w.Client = rig.StartWrapped(w.T, w.clientWrap, "massive-passive-client", w.ClientArgs...)
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

// clientFault is one thing that goes wrong with the client and is put right again. For each of the sites it is as
// if neither server nor core were harmed.
type clientFault struct {
	name   string
	strike func(*striker)
}

// strikeAtClient strikes as often as the sites are struck, in random order.
func (w *world) strikeAtClient(t *testing.T) {
	s := &striker{t: t, world: w, rng: rand.New(rand.NewPCG(w.seed, 0))}
	faults := clientFaults()
	for range w.rounds {
		s.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, f := range faults {
			s.choose()
			s.pause(s.moment(20 * time.Second)) // most of what goes wrong at the sites is to be under full load
			s.harmClient(func() { f.strike(s) })
			s.awaitGrowth(f.name)
			if w.ending() {
				return
			}
		}
	}
}

// harmClient strikes at the client, which nobody else may do meanwhile.
func (s *striker) harmClient(strike func()) {
	s.t.Helper()
	w := s.world
	w.atClient.Lock()
	defer w.atClient.Unlock()
	running(w.Client, s.t)
	w.harms.Add(1)
	strike()
	w.harms.Add(1)
}

// awaitGrowth returns when the client's journal has more than now.
func (s *striker) awaitGrowth(after string) {
	s.t.Helper()
	entered := s.enter()
	rig.Eventually(s.t, growthLimit, "results in the client's journal after "+after, func() error {
		if s.enter() == entered {
			return fmt.Errorf("%d are in the ledger, as before", entered)
		}
		return nil
	})
	s.t.Logf("%s: %d results in the ledger", after, entered)
}

func (w *world) lastBoot() time.Time {
	w.books.Lock()
	defer w.books.Unlock()
	return w.boots[len(w.boots)-1]
}

// loseClient takes the power of the client's machine. All that the ledger has must survive that.
func (s *striker) loseClient() {
	s.t.Helper()
	w := s.world
	w.books.Lock() // nothing else is to be entered until the power is gone
	defer w.books.Unlock()
	s.enterLocked()
	s.pause(promised + s.moment(time.Second))
	losePower(s.t, w.Client, w.clientDir(), w.clients)
}

// enter brings the ledger up to date, and returns how much is in it.
func (s *striker) enter() int {
	s.t.Helper()
	s.world.books.Lock()
	defer s.world.books.Unlock()
	return s.enterLocked()
}

func (s *striker) enterLocked() int {
	s.t.Helper()
	w := s.world
	entries, fresh, err := w.clients.entries(decodeClientEntry)
	if err == nil {
		err = w.ledger.add(entries[fresh:])
	}
	if err != nil {
		s.t.Fatalf("the client's journal: %v", err)
	}
	return len(w.ledger.entries)
}

// entered brings the ledger up to date, and returns what is in it from the nth entry on.
func (s *striker) entered(n int) []entry {
	s.t.Helper()
	s.world.books.Lock()
	defer s.world.books.Unlock()
	s.enterLocked()
	return slices.Clone(s.world.ledger.entries[n:])
}

// rate is the third quartile of the seconds in which anything was appended to the client's journal, without those
// around its starts: many of the others were cut short by a fault.
func (w *world) rate() int {
	seconds := map[int64]int{}
	for _, e := range w.ledger.entries {
		i, _ := slices.BinarySearchFunc(w.boots, e.at(), time.Time.Compare)
		if i > 0 && e.at().Before(w.boots[i-1].Add(rampUp)) || i < len(w.boots) && e.at().After(w.boots[i].Add(-2*time.Second)) {
			continue
		}
		seconds[e.at().Unix()]++
	}
	counts := []int{0}
	for _, n := range seconds {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return counts[len(counts)*3/4]
}

// faultHosts are the services that the load's checks are for.
func faultHosts() (hosts []rig.Host) {
	for h := range faultServices / servicesPerHost {
		host := rig.Host{Name: "h" + strconv.Itoa(h)}
		for s := range servicesPerHost {
			host.Services = append(host.Services, "s"+strconv.Itoa(s))
		}
		hosts = append(hosts, host)
	}
	return hosts
}
