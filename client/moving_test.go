package client

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// nowhere is an address that refuses connections.
const nowhere = "127.0.0.1:1"

// serverFor has a check file say where its results go.
func (s *station) serverFor(file, address string) {
	k := service(file, 1, "/bin/echo", file)
	k["servers"] = map[string]any{"main": address}
	s.write(file, k)
}

// more waits for results of a service that are not there yet.
func (s *station) more(service string) {
	s.t.Helper()
	before := len(s.results(service))
	eventually(s.t, "another result of "+service, func() bool { return len(s.results(service)) > before+1 })
}

// A server moves: its name gets another address in one check file after the
// other. In between the name has two.
func TestAServerThatMovesFileByFile(t *testing.T) {
	t.Parallel()
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		s := newStation(t)
		address := s.options.DefaultServers[0][len("station="):]
		s.options.DefaultServers = nil
		s.serverFor("a", nowhere)
		s.serverFor("b", nowhere)
		agent, stop := s.start(zerolog.Nop())
		eventually(t, "two results that wait", func() bool { return waiting(agent) > 1 })
		s.serverFor(order[0], address)
		s.more(order[0])
		s.serverFor(order[1], address)
		s.more("a")
		s.more("b")
		stop()
	}
}

// What waits for a server under its address arrives although no check names it
// any more, and then the server is forgotten.
func TestAServerThatNoCheckNamesGetsWhatWaitsForIt(t *testing.T) {
	s := newStation(t)
	address := s.options.DefaultServers[0][len("station="):]
	agent, err := New(s.options, zerolog.Nop())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- agent.outbox.run(ctx) }()
	defer func() { cancel(); must(t, <-over) }()
	d := &agent.deliveries
	d.begin(t.Context())
	defer d.end(t.Context())
	must(t, d.follow(map[string]string{"main": nowhere, "main=" + address: address}))
	must(t, d.follow(map[string]string{"main": nowhere}))
	r := check.Result{Kind: check.Host, Host: "h", Output: []byte("late")}
	agent.outbox.put(entry{instance: *agent.process.instance.Load(), result: r.Append(nil), servers: []string{"main=" + address}})
	for looks := 0; len(agent.outbox.journal.Load().Stats().Readers) > 1; looks++ {
		eventually(t, "the result", func() bool { return s.count() == 1 })
		d.tidy()
		if looks > 5 {
			t.Fatalf("the server is not forgotten: %+v", agent.outbox.journal.Load().Stats().Readers)
		}
	}
	if len(d.running) != 1 {
		t.Errorf("%d ways are open, want that to main", len(d.running))
	}
}

// The same under a name without an address: it is known where the server was.
func TestAServerThatIsRenamedGetsWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	address := s.options.DefaultServers[0][len("station="):]
	s.options.DefaultServers = nil
	s.serverFor("a", nowhere)
	agent, stop := s.start(zerolog.Nop())
	eventually(t, "results that wait", func() bool { return waiting(agent) > 1 })
	stop()
	// It is back, while the files name another one.
	must(t, os.WriteFile(filepath.Join(s.options.StateDir, "server-addresses"), []byte("main="+address+"\n"), 0o600))
	k := service("a", 1, "/bin/echo", "a")
	k["servers"] = map[string]any{"renamed": nowhere}
	s.write("a", k)
	_, stop = s.start(zerolog.Nop())
	defer stop()
	eventually(t, "what waited", func() bool { return len(s.results("a")) > 1 })
}

// What waits for a server that no check names is given up when it is too old, and
// the server is forgotten then.
func TestWhatIsTooOldForAServerThatNoCheckNames(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{0, 1100 * time.Millisecond} { // before no check names it
		s := newStation(t)
		s.options.JournalMaxAge = time.Second
		agent, err := New(s.options, zerolog.Nop())
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- agent.outbox.run(ctx) }()
		d := &agent.deliveries
		d.begin(t.Context())
		must(t, d.follow(map[string]string{"main": nowhere}))
		r := check.Result{Kind: check.Host, Host: "h"}
		agent.outbox.put(entry{instance: *agent.process.instance.Load(), result: r.Append(nil), servers: []string{"main"}})
		time.Sleep(age)
		must(t, d.follow(map[string]string{}))
		eventually(t, "the server is forgotten", func() bool {
			d.tidy()
			return len(agent.outbox.journal.Load().Stats().Readers) == 0
		})
		lost := agent.outbox.dropped.of("main")
		if lost[tooOld]+lost[nameless] != 1 || len(d.running)+len(d.spare) != 0 {
			t.Errorf("given up %v, ways %v, spare %v", lost, d.running, d.spare)
		}
		d.end(t.Context())
		cancel()
		must(t, <-over)
	}
}

// The result of a plugin that ran until its server was forgotten goes nowhere, and
// is counted.
func TestAResultForAServerThatWasForgottenIsCounted(t *testing.T) {
	s := newStation(t)
	log := &words{}
	agent, err := New(s.options, zerolog.New(log))
	must(t, err)
	agent.plugins = t.Context()
	agent.deliveries.begin(t.Context())
	defer agent.deliveries.end(t.Context())
	agent.check(checkfile.Check{File: "a.cfg", Kind: check.Host, Hostname: "h", Timeout: time.Minute,
		MaxInstances: 1, Servers: []checkfile.Server{{Name: "gone", Address: nowhere}}})
	if n := agent.outbox.dropped.of("gone")[forgotten]; n != 1 || log.times(`"file":"a.cfg","server":"gone","why":"`+forgotten) != 1 {
		t.Errorf("counted %d, said %s", n, &log.text)
	}
	if n := len(agent.outbox.puts); n > 0 {
		t.Errorf("%d results are for nobody", n)
	}
}

// waiting is for how many results some server waits, at least.
func waiting(agent *Client) (n uint64) {
	for _, r := range agent.outbox.journal.Load().Stats().Readers {
		n = max(n, r.Pending)
	}
	return n
}

// A file that gives the name of a server another address, and stands before the
// one that named it first, takes nothing away from it.
func TestAnotherFileDoesNotTakeANameAway(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.serverFor("b", s.options.DefaultServers[0][len("station="):])
	s.options.DefaultServers = nil
	agent, stop := s.start(zerolog.Nop())
	defer stop()
	s.more("b")
	s.serverFor("a", nowhere)
	eventually(t, "a result of the new file that waits", func() bool { return waiting(agent) > 0 })
	s.more("b")
}

// Another file gives a server's name another address and stands before the one
// that named it first. What waits for the server is not for who is there, also
// not after a restart.
func TestWhatWaitsUnderANameStaysWithItsAddressAfterARestart(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	address := s.options.DefaultServers[0][len("station="):]
	s.options.DefaultServers = nil
	s.serverFor("b", nowhere)
	agent, stop := s.start(zerolog.Nop())
	eventually(t, "results of b that wait", func() bool { return waiting(agent) > 0 })
	s.serverFor("a", address)
	s.more("a")
	stop()
	agent, stop = s.start(zerolog.Nop())
	s.more("a")
	stop()
	if n := len(s.results("b")); n > 0 {
		t.Errorf("%d results of b came to another server", n)
	}
	if at := agent.deliveries.kept.known["main"]; at != nowhere {
		t.Errorf("main is at %s", at)
	}
}

func TestServerAddressesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	named := map[string]string{"a": "[::1]:1", "second with a blank": "h:2", "a=h:3": "h:3"}
	a, err := loadServerAddresses(dir)
	must(t, err)
	must(t, a.keep(named, nil))
	must(t, a.keep(map[string]string{"b": "h:4"}, []journal.ReaderStats{{Name: "a"}, {Name: "unknown"}}))
	a, err = loadServerAddresses(dir)
	must(t, err)
	if want := map[string]string{"a": "[::1]:1", "b": "h:4"}; !maps.Equal(a.known, want) {
		t.Errorf("known are %v, want %v", a.known, want)
	}
}

func TestServerAddressesThatTheDiskRefusesAreKeptLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a, err := loadServerAddresses(dir)
	must(t, err)
	named := map[string]string{"a": "h:1"}
	if err := a.keep(named, nil); err == nil || a.known["a"] != "h:1" {
		t.Errorf("not kept: %v, known for this run: %v", err, a.known)
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, a.keep(named, nil))
	if a, err = loadServerAddresses(dir); err != nil || a.known["a"] != "h:1" {
		t.Errorf("%v, %v", a.known, err)
	}
}
