package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/outbox"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// nowhere is an address that refuses connections.
const nowhere = "127.0.0.1:1"

// asks are checks that name a server main at these addresses.
func asks(addresses ...string) map[string]checkfile.Check {
	checks := map[string]checkfile.Check{}
	for i, address := range addresses {
		checks[fmt.Sprint(i)] = checkfile.Check{Servers: []checkfile.Server{{Name: "main", Address: address}}}
	}
	return checks
}

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
	go func() { over <- agent.outbox.Run(ctx) }()
	defer func() { cancel(); must(t, <-over) }()
	d := agent.routes
	d.Begin(t.Context())
	defer d.End(t.Context())
	must(t, d.Apply(asks(nowhere, address)))
	must(t, d.Apply(asks(nowhere)))
	r := check.Result{Kind: check.Host, Host: "h", Output: []byte("late")}
	agent.outbox.Put(r.Append(nil), []string{"main=" + address})
	for looks := 0; len(agent.outbox.Stats().Readers) > 1; looks++ {
		eventually(t, "the result", func() bool { return s.count() == 1 })
		d.Tidy()
		if looks > 5 {
			t.Fatalf("the server is not forgotten: %+v", agent.outbox.Stats().Readers)
		}
	}
	if open := agent.status().Destinations; len(open) != 1 || open[0].Target != nowhere {
		t.Errorf("the routes are %+v, want that to main", open)
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
	state := fmt.Sprintf(`{"version": 1, "server_addresses": {"main": %q}}`, address)
	must(t, os.WriteFile(filepath.Join(s.options.StateDir, outbox.StateFile), []byte(state), 0o600))
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
		go func() { over <- agent.outbox.Run(ctx) }()
		d := agent.routes
		d.Begin(t.Context())
		must(t, d.Apply(asks(nowhere)))
		r := check.Result{Kind: check.Host, Host: "h"}
		agent.outbox.Put(r.Append(nil), []string{"main"})
		time.Sleep(age)
		must(t, d.Apply(asks()))
		eventually(t, "the server is forgotten", func() bool {
			d.Tidy()
			return len(agent.outbox.Stats().Readers) == 0
		})
		var lost uint64
		for _, n := range agent.outbox.GivenUp("main") {
			lost += n
		}
		if routes := agent.status().Destinations; lost != 1 || len(routes) != 1 || routes[0].Target != "" {
			t.Errorf("given up %v, routes %+v", lost, routes)
		}
		d.End(t.Context())
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
	agent.routes.Begin(t.Context())
	defer agent.routes.End(t.Context())
	agent.check(checkfile.Check{File: "a.cfg", Kind: check.Host, Hostname: "h", Timeout: time.Minute,
		MaxInstances: 1, Servers: []checkfile.Server{{Name: "gone", Address: nowhere}}})
	const forgotten = "its server was forgotten while the check ran, for no check named it any more"
	if n := agent.outbox.GivenUp("gone")[forgotten]; n != 1 || log.times(`"file":"a.cfg","server":"gone","why":"`+forgotten) != 1 {
		t.Errorf("counted %d, said %s", n, &log.text)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	must(t, agent.outbox.Run(stopped)) // takes what was put
	if n := agent.outbox.Stats().Last; n > 0 {
		t.Errorf("%d results are for nobody", n)
	}
}

// waiting is for how many results some server waits, at least.
func waiting(agent *Client) (n uint64) {
	for _, r := range agent.outbox.Stats().Readers {
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
	if at, _ := agent.outbox.State.Address("main"); at != nowhere {
		t.Errorf("main is at %s", at)
	}
}
