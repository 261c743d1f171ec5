package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// rig is a running server with a pipe that the test reads.
type rig struct {
	t       *testing.T
	set     certstest.Set
	options Options
	server  *Server
	pipe    *os.File
	lines   *bufio.Reader
	log     logBuffer
	stop    func()
}

// newRig starts a server with the default options but for what change does.
func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.Listen = []string{"127.0.0.1:0"}
	o.SSLCACert, o.SSLCert, o.SSLKey, o.AllowedClientCertDir = set.CA, set.ServerCert, set.ServerKey, set.AllowedDir
	o.CommandFile, o.StateDir = filepath.Join(dir, "nagios.cmd"), filepath.Join(dir, "state")
	for _, f := range change {
		f(&o)
	}
	if err := syscall.Mkfifo(o.CommandFile, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(o.CommandFile, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	r := &rig{t: t, set: set, options: o, pipe: pipe, lines: bufio.NewReader(pipe)}
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	s, err := New(r.options, zerolog.New(&r.log))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, nil, nil) }()
	stopped := false
	r.server, r.stop = s, func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
	r.t.Cleanup(r.stop)
}

// dial connects with a client's files and without saying anything.
func (r *rig) dial(cert, key string, protocols ...string) (*tls.Conn, error) {
	r.t.Helper()
	pair, err := certs.LoadPair(cert, key, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	pool, err := certs.LoadPool(r.set.CA, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	config := certs.ClientConfig(certs.End{Pair: pair, Pool: pool}, certs.VerifyName, "127.0.0.1")
	config.NextProtos = protocols
	conn, err := tls.Dial("tcp", r.server.Addrs()[0].String(), config)
	if err == nil {
		r.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func (r *rig) connect(instance wire.Instance) (*wire.Session, error) {
	r.t.Helper()
	conn, err := r.dial(r.set.ClientCert, r.set.ClientKey, wire.ALPN)
	if err != nil {
		r.t.Fatal(err)
	}
	return wire.Connect(r.t.Context(), conn, wire.Hello{Instance: instance, Remember: 3600}, nil, nil)
}

// deliver sends results with these sequences over a connection of its own.
func (r *rig) deliver(instance wire.Instance, sequences ...uint64) wire.Ack {
	r.t.Helper()
	s, err := r.connect(instance)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	b := wire.Batch{Instance: instance}
	for _, n := range sequences {
		res := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(fmt.Sprint("number ", n)), Finish: 1e6}
		b.Entries = append(b.Entries, wire.Entry{Sequence: n, Result: res.Append(nil)})
	}
	return r.exchange(s, b)
}

func (r *rig) exchange(s *wire.Session, b wire.Batch) wire.Ack {
	r.t.Helper()
	if err := s.Send(b); err != nil {
		r.t.Fatal(err)
	}
	ack, err := s.Receive(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return ack
}

func (r *rig) expect(numbers ...int) {
	r.t.Helper()
	for _, n := range numbers {
		want := fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number %d\n", n)
		if line := r.line(); line != want {
			r.t.Fatalf("got %q, want %q", line, want)
		}
	}
}

func (r *rig) line() string {
	r.t.Helper()
	r.pipe.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			r.t.Fatalf("read the pipe: %v", err)
		}
		_, marker, passed := strings.Cut(line, "] PROCESS_FILE;")
		if !passed || !strings.Contains(marker, "-marker-") {
			return line
		}
		// As a core does. A server that starts removes what the last one left.
		if err := os.Remove(strings.TrimSuffix(marker, ";1\n")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.t.Fatal(err)
		}
	}
}

func TestResultsReachThePipeOnce(t *testing.T) {
	r := newRig(t)
	one, two := wire.Instance{1}, wire.Instance{2}
	r.deliver(one, 1, 2, 5)
	r.deliver(one, 1, 2, 5) // its ACK was lost: the client sends again
	r.deliver(one, 5, 6)
	r.deliver(two, 1) // another process start counts for itself
	r.expect(1, 2, 5, 6, 1)
	if n := r.server.intake.Status().Duplicates; n != 4 {
		t.Errorf("%d duplicates, want 4", n)
	}
}

// What was acknowledged before a restart is known after it, from the journal
// and, where the journal let go of it, from the checkpoint.
func TestDuplicatesAreKnownAfterARestart(t *testing.T) {
	r := newRig(t)
	r.deliver(wire.Instance{1}, 1, 2)
	r.expect(1, 2)
	r.stop()
	r.start()
	r.expect(1, 2) // inside their window: written again
	r.deliver(wire.Instance{1}, 2, 3)
	r.expect(3)
	r.stop()
	if err := os.Remove(filepath.Join(r.options.StateDir, "instances")); err != nil {
		t.Fatal(err)
	}
	s, err := New(r.options, zerolog.Nop()) // makes the checkpoint anew, from the journal
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.RemoveAll(filepath.Join(r.options.StateDir, "journal")); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.deliver(wire.Instance{1}, 3, 4)
	r.expect(4)
}

func TestRejectionsAreSingle(t *testing.T) {
	r := newRig(t)
	s, err := r.connect(wire.Instance{9})
	if err != nil {
		t.Fatal(err)
	}
	encode := func(res check.Result) []byte { return res.Append(nil) }
	ack := r.exchange(s, wire.Batch{Instance: wire.Instance{9}, Entries: []wire.Entry{
		{Sequence: 1, Result: encode(check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte("number 1"), Finish: 1e6})},
		{Sequence: 2, Result: []byte("garbage")},
		{Sequence: 3, Result: encode(check.Result{Kind: check.Command, Command: "DISABLE_NOTIFICATIONS"})},
		{Sequence: 4, Result: encode(check.Result{Kind: check.Service, Host: "h\n[1] X", Service: "s"})},
		{Sequence: 5, Result: encode(check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte("number 5"), Finish: 1e6})},
	}})
	var got []string
	for _, rejection := range ack.Rejections {
		got = append(got, fmt.Sprint(rejection.Sequence, " ", rejection.Reason))
	}
	if want := "2 malformed, 3 denied, 4 malformed"; ack.Sequence != 5 || strings.Join(got, ", ") != want {
		t.Errorf("acknowledged %d, rejected %v, want %s", ack.Sequence, got, want)
	}
	r.expect(1, 5)
}

func TestUnlistedClientsAreTold(t *testing.T) {
	r := newRig(t)
	if err := os.Remove(filepath.Join(r.set.AllowedDir, "web1.pem")); err != nil {
		t.Fatal(err)
	}
	var bye *wire.ByeError
	for deadline := time.Now().Add(30 * time.Second); ; {
		s, err := r.connect(wire.Instance{1})
		if errors.As(err, &bye) {
			break
		}
		if err == nil {
			s.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("a removed client still gets in: %v", err)
		}
	}
	if bye.Reason != wire.NotListed {
		t.Errorf("told %v", bye)
	}
}

func TestARemovedClientIsCutOff(t *testing.T) {
	r := newRig(t)
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.set.AllowedDir, "web1.pem")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.NotListed {
		t.Errorf("told %v", err)
	}
}

func TestANewerConnectionOfAnInstanceEndsTheOlder(t *testing.T) {
	r := newRig(t)
	older, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.connect(wire.Instance{1}); err != nil {
		t.Fatal(err)
	}
	_, err = older.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.Superseded {
		t.Errorf("told %v", err)
	}
}

func TestStopTellsTheClients(t *testing.T) {
	r := newRig(t)
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	_, err = s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.Stopping {
		t.Errorf("told %v", err)
	}
	s.Close()
	<-stopped
}

// Whatever comes to the port costs a bounded time, and the next good client is
// served.
func TestStrangersAreTurnedAway(t *testing.T) {
	r := newRig(t)
	stranger, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	for name, knock := range map[string]func(net.Conn){
		"garbage":          func(c net.Conn) { c.Write([]byte("\x00\xff\x16 garbage\r\n\r\n")) },
		"plain HTTP":       func(c net.Conn) { c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"half a handshake": func(c net.Conn) { c.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01}); c.(*net.TCPConn).CloseWrite() },
	} {
		conn, err := net.Dial("tcp", r.server.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		knock(conn)
		conn.SetReadDeadline(time.Now().Add(2 * r.options.Limits.Handshake))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the server did not end it", name)
		}
		conn.Close()
	}
	if conn, err := r.dial(stranger.ClientCert, stranger.ClientKey, wire.ALPN); err == nil {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("another CA's client was answered")
		}
	}
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
}
