package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"
)

// oldServer speaks as version 0.3.9 does: it takes a message a connection and
// closes in order behind it.
type oldServer struct {
	*peer
	mu       sync.Mutex
	messages []string
	breaks   int  // connections to break off behind their message
	modern   bool // it was updated
}

func newOldServer(t *testing.T) *oldServer {
	t.Helper()
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	end, err := certs.Load(certs.Files{Cert: set.ServerCert, Key: set.ServerKey, CA: set.CA, MinVersion: "1.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &oldServer{peer: &peer{t: t, set: set, address: l.Addr().String()}}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			config := certs.ServerConfig(end, tls.RequireAndVerifyClientCert, wire.ALPN)
			if s.mu.Lock(); !s.modern {
				config.GetConfigForClient, config.ClientAuth, config.NextProtos = nil, tls.RequireAnyClientCert, nil
			}
			s.mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				s.serve(ctx, tls.Server(conn, config))
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); serving.Wait() })
	return s
}

func (s *oldServer) serve(ctx context.Context, conn *tls.Conn) {
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == wire.ALPN {
		wire.Serve(ctx, conn, wire.ServerConfig{}, s.peer)
		conn.Close()
		return
	}
	r := legacy.NewReader(conn)
	m, err := r.Next(ctx)
	if err != nil {
		return
	}
	s.mu.Lock()
	broken := s.breaks > 0
	if broken {
		s.breaks--
	} else {
		s.messages = append(s.messages, fmt.Sprint(m.Form, " ", string(m.Text)))
	}
	s.mu.Unlock()
	if _, err := r.Next(ctx); broken || !errors.Is(err, io.EOF) {
		return // without a close_notify
	}
	conn.Close()
}

func (s *oldServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *oldServer) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.messages, "")
}

func oldResult(n int) string {
	r := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(fmt.Sprint("number ", n, "\nmore")), Finish: 1e6}
	return string(r.Append(nil))
}

func oldLine(n int) string {
	return fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number %d\\nmore\n", n)
}

func TestSendToAnOldServer(t *testing.T) {
	s := newOldServer(t)
	s.set(func() { s.breaks = 1 }) // nothing of it may be taken for delivered
	var items []Item
	var want string
	for n := 1; n <= 250; n++ {
		items = append(items, Item{wire.Instance{1}, uint64(n), []byte(oldResult(n))})
		if n%oldItems == 1 {
			want += "newer "
		}
		want += oldLine(n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := Deliver(ctx, s.options(), items); err != nil {
		t.Fatal(err)
	}
	if got := s.all(); got != want {
		t.Errorf("%d messages, %d bytes, want %d", len(s.messages), len(got), len(want))
	}
}

func TestSendToAnOldServerThatTakesNothing(t *testing.T) {
	s := newOldServer(t)
	s.set(func() { s.breaks = 1000 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := Deliver(ctx, s.options(), []Item{{wire.Instance{1}, 1, []byte(oldResult(1))}})
	if err == nil || !strings.Contains(err.Error(), "did not confirm a message") || !strings.Contains(err.Error(), "1 of 1 results sent without an answer") {
		t.Errorf("told %v", err)
	}
}

func TestADeliveryToAnOldServerThatIsUpdated(t *testing.T) {
	s := newOldServer(t)
	s.set(func() { s.breaks = 1 })
	q := newQueue()
	o := s.options()
	spoke := make(chan struct{}, 1)
	o.Spoke = func() { spoke <- struct{}{} }
	d := New(o, q)
	run(t, d)
	q.add(oldResult(1), oldResult(2))
	eventually(t, "2 results confirmed", func() bool { return q.ackedUpTo() == 2 })
	q.add("what no old server can take", oldResult(4))
	eventually(t, "4 results confirmed", func() bool { return q.ackedUpTo() == 4 })
	if _, rejected := d.Counts(); rejected[unspeakable] != 1 {
		t.Errorf("what it cannot take is counted as %v", rejected)
	}
	s.set(func() { s.modern = true })
	q.add(oldResult(5))
	eventually(t, "5 results confirmed", func() bool { return q.ackedUpTo() == 5 })
	if got := s.all(); got != "newer "+oldLine(1)+oldLine(2)+"newer "+oldLine(4) && got != "newer "+oldLine(1)+"newer "+oldLine(2)+"newer "+oldLine(4) {
		t.Errorf("got %q", got)
	}
	if got := s.sequences(); got != "[5]" {
		t.Errorf("sent as version 1: %s", got)
	}
	<-spoke
}

// A server that spoke version 1 gets nothing in the old way again.
func TestNobodyTalksUsBackIntoTheOldProtocol(t *testing.T) {
	s := newOldServer(t)
	s.set(func() { s.modern = true })
	q := newQueue()
	o := s.options()
	d := New(o, q)
	run(t, d)
	q.add(oldResult(1))
	eventually(t, "1 results confirmed", func() bool { return q.ackedUpTo() == 1 })
	s.set(func() { s.modern = false })
	d.session.Load().Close()
	q.add(oldResult(2))
	eventually(t, "the server is found out", func() bool { return strings.Contains(d.State(), "modern_servers") })
	o.Modern = true // known from an earlier run
	err := Deliver(t.Context(), o, []Item{{wire.Instance{1}, 1, []byte(oldResult(1))}})
	if err == nil || !strings.Contains(err.Error(), "modern_servers") {
		t.Errorf("told %v", err)
	}
	if got := s.all(); got != "" {
		t.Errorf("the old server got %q", got)
	}
}
