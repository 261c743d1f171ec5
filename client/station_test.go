package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// station is a real server's end of the wire that keeps what it takes, beside
// an agent that sends to it.
type station struct {
	t       testing.TB
	dir     string
	options Options

	mu    sync.Mutex
	taken []check.Result
	held  bool                     // takes nothing
	known map[wire.Instance]uint64 // up to which sequence it has results of others
	left  []uint64                 // sequences that were taken for these
	hello []wire.Instance
}

func (s *station) Hello(h wire.Hello) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hello = append(s.hello, h.Instance)
	return s.known[h.Instance], nil
}

func (s *station) Waiting() string { return "busy" }

func (s *station) Submit(_ context.Context, b wire.Batch) ([]wire.Rejection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return nil, errors.New("held")
	}
	for _, e := range b.Entries {
		if e.Sequence <= s.known[b.Instance] {
			s.left = append(s.left, e.Sequence)
			continue
		}
		r, err := check.Decode(e.Result)
		if err != nil {
			return nil, err
		}
		r.Output = append([]byte(nil), r.Output...) // the entry's bytes are only lent
		s.taken = append(s.taken, r)
	}
	return nil, nil
}

// results are those that were taken so far, of one service or, where it is
// empty, of all.
func (s *station) results(service string) []check.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []check.Result
	for _, r := range s.taken {
		if service == "" || r.Service == service {
			all = append(all, r)
		}
	}
	return all
}

func (s *station) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

func (s *station) setHeld(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
}

func newStation(t testing.TB) *station {
	t.Helper()
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "client-1")
	must(t, err)
	pair, err := certs.LoadPair(set.ServerCert, set.ServerKey, nil)
	must(t, err)
	pool, err := certs.LoadPool(set.CA, nil)
	must(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", certs.ServerConfig(certs.End{Pair: pair, Pool: pool}, tls.RequireAndVerifyClientCert, wire.ALPN))
	must(t, err)
	s := &station{t: t, dir: filepath.Join(dir, "checks")}
	must(t, os.Mkdir(s.dir, 0o700))
	s.options = DefaultOptions()
	s.options.ConfDirs, s.options.StateDir = []string{s.dir}, filepath.Join(dir, "state")
	s.options.SSLCACert, s.options.SSLCert, s.options.SSLKey = set.CA, set.ClientCert, set.ClientKey
	s.options.DefaultServers = []string{"station=" + l.Addr().String()}
	s.options.Hostname, s.options.InitialRandomWaitRange = "host", 0
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if conn.(*tls.Conn).HandshakeContext(ctx) == nil {
					wire.Serve(ctx, conn, wire.ServerConfig{}, s)
				}
				conn.Close()
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); serving.Wait() })
	return s
}

// start runs an agent until the returned function is called.
func (s *station) start(log zerolog.Logger) (agent *Client, stop func()) {
	s.t.Helper()
	agent, err := New(s.options, log)
	must(s.t, err)
	return agent, s.run(agent)
}

func (s *station) run(agent *Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- agent.Run(ctx, nil, nil) }()
	return func() {
		s.t.Helper()
		cancel()
		must(s.t, <-over)
	}
}

// write puts a check file into the directory, whole at once.
func (s *station) write(name string, keys map[string]any) {
	s.t.Helper()
	data, err := json.Marshal(keys)
	must(s.t, err)
	must(s.t, os.WriteFile(filepath.Join(s.dir, ".new"), data, 0o600))
	must(s.t, os.Rename(filepath.Join(s.dir, ".new"), filepath.Join(s.dir, name+".cfg")))
}

// service is a check file's content.
func service(name string, every float64, command ...string) map[string]any {
	return map[string]any{"check_description": name, "check_type": "service_check", "interval": every, "command": command}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("this did not come: %s", what)
		}
	}
}
