package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/option"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// silent opens connections that say nothing.
func (r *rig) silent(n int) []net.Conn {
	r.t.Helper()
	var all []net.Conn
	for range n {
		conn, err := net.Dial("tcp", r.server.Addrs()[0].String())
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { conn.Close() })
		all = append(all, conn)
	}
	return all
}

// awaitEnd waits until the server has ended a connection.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server does not end the connection")
	}
}

// Whoever only takes a place up has to leave it to the next.
func TestSilentPeersKeepNobodyOut(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Connections, o.Limits.Handshake = 20, time.Hour })
	silent := r.silent(20)
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
	awaitEnd(t, silent[0])
	r.log.await(t, "--max-connections")
	r.deliver(wire.Instance{1}, 2)
	r.expect(2)
	r.stop()
	for _, conn := range silent {
		awaitEnd(t, conn)
	}
}

// The server keeps files for itself where the system gives it few.
func TestConnectionsLeaveFilesForTheServer(t *testing.T) {
	o := DefaultOptions()
	own := o.ownFiles()
	for _, c := range []struct {
		files uint64
		want  int
	}{
		{1 << 63, 20000}, {uint64(20000 + own), 20000}, {uint64(19999 + own), 19999}, {1024, 1024 - own}, {100, 50}, {2, 1}, {0, 1},
	} {
		if got := o.mostConnections(c.files); got != c.want {
			t.Errorf("of %d files %d may be connections, want %d", c.files, got, c.want)
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Limits.Connections = int(min(limit.Cur, 1<<30)) })
	if most := r.server.options.Limits.Connections; most > int(limit.Cur)-own {
		t.Errorf("of %d files %d may be connections", limit.Cur, most)
	}
	r.log.await(t, "LimitNOFILE=", "fewer connections are taken")
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
}

// Who has proved itself is never sent away for a newcomer.
func TestConnectionsInAll(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Connections = 2 })
	first, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.connect(wire.Instance{2})
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, r.silent(1)[0])
	second.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := r.dial(r.set.ClientCert, r.set.ClientKey, wire.ALPN)
		if err == nil {
			_, err = wire.Connect(t.Context(), conn, wire.Hello{Instance: wire.Instance{3}}, nil, nil)
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no place became free: %v", err)
		}
	}
	if _, err := first.Ping(); err != nil {
		t.Error(err)
	}
}

func TestConnectionsOfOneClient(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.ClientConnections = 2 })
	var open []*wire.Session
	for n := range 2 {
		s, err := r.connect(wire.Instance{byte(n + 1)})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	_, err := r.connect(wire.Instance{9})
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.Overloaded || !strings.Contains(bye.Text, "2 connections") {
		t.Fatalf("the third connection was told %v", err)
	}
	open[0].Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err = r.connect(wire.Instance{9}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestHandshakeTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Limits.Handshake = 50 * time.Millisecond })
	conn := r.silent(1)[0]
	begin := time.Now()
	awaitEnd(t, conn)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	r.log.await(t, "handshake within 50ms")
}

func TestOutputIsCut(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Output = 300 })
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	res := check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 2, Output: bytes.Repeat([]byte("x"), 301), Finish: 1e6}
	ack := r.exchange(s, wire.Batch{Instance: wire.Instance{1}, Entries: []wire.Entry{{Sequence: 1, Result: res.Append(nil)}}})
	if len(ack.Rejections) != 0 {
		t.Fatalf("rejected: %v", ack.Rejections)
	}
	if line := r.line(); !strings.HasPrefix(line, "[1] PROCESS_SERVICE_CHECK_RESULT;h;s;2;xxx") || !strings.HasSuffix(line, `\n[output cut at 300 bytes]`+"\n") {
		t.Errorf("the core got %q", line)
	}
}

func TestRateOverTheWire(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Rate = 0.1 })
	r.deliver(wire.Instance{1}, 1, 2) // one is saved up
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	res := check.Result{Kind: check.Host, Host: "h", Finish: 1e6}
	if err := s.Send(wire.Batch{Instance: wire.Instance{1}, Entries: []wire.Entry{{Sequence: 3, Result: res.Append(nil)}}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.Overloaded || !strings.Contains(bye.Text, "0.1 results a second") {
		t.Errorf("told %v", err)
	}
	r.expect(1, 2)
}

func TestLimitsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"--max-connections":        func(l *Limits) { l.Connections = 0 },
		"--max-client-connections": func(l *Limits) { l.ClientConnections = 0 },
		"--max-client-share":       func(l *Limits) { l.ClientShare = 1.5 },
		"--max-rate":               func(l *Limits) { l.Rate = -1 },
		"--max-frame":              func(l *Limits) { l.Frame = wire.MaxFrame + 1 },
		"--max-legacy-message":     func(l *Limits) { l.LegacyMessage = 0 },
		"--max-output":             func(l *Limits) { l.Output = 1 },
		"--handshake-timeout":      func(l *Limits) { l.Handshake = 0 },
		"--idle-timeout":           func(l *Limits) { l.Idle = wire.PingInterval },
		"--frame-memory":           func(l *Limits) { l.FrameMemory = 1 },
	} {
		l := DefaultLimits()
		if err := l.validate(); err != nil {
			t.Fatal(err)
		}
		change(&l)
		var bad *option.Error
		if err := l.validate(); !errors.As(err, &bad) || bad.Option != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Old peers get in only where that was asked for, and are named once, however
// often they connect.
func TestOldPeersAreNamed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.TLSMinVersion = "1.0" })
	end, err := certs.Load(certs.Files{Cert: r.set.ClientCert, Key: r.set.ClientKey, CA: r.set.CA, MinVersion: "1.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := certs.ClientConfig(end, certs.VerifyName, "127.0.0.1")
	config.MaxVersion = tls.VersionTLS11
	for i := range 3 {
		conn, err := tls.Dial("tcp", r.server.Addrs()[0].String(), config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.Connect(t.Context(), conn, wire.Hello{Instance: wire.Instance{byte(i + 1)}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	r.log.await(t, `"client":"web1"`, "TLS 1.1", "--tls-min-version")
	r.deliver(wire.Instance{9}, 1) // TLS 1.3
	if said := r.log.lines("--tls-min-version"); len(said) != 1 {
		t.Errorf("said %d times: %q", len(said), said)
	}
}

// Peers that begin an old message and stop have what they sent in memory, and
// stand in nobody's way.
func TestOldPeersThatStopHoldNobodyUp(t *testing.T) {
	r := newRig(t)
	for range 8 {
		conn, err := r.dial(r.set.ClientCert, r.set.ClientKey)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(bytes.Repeat([]byte("A"), 70000))
	}
	r.deliverLong(300 << 10)
	if said := r.log.lines("wait for memory"); len(said) != 0 {
		t.Error(said)
	}
}

func TestTheLogSaysWhoWaitsForMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Limits.FrameMemory = minFrameMemory })
	conn, err := r.dial(r.set.ClientCert, r.set.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, 16<<20, " AAAA") // all that one client may have
	said, delivered := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(delivered)
		for { // until the server has read what the old peer announces
			r.deliverLong(300 << 10)
			select {
			case <-said:
				return
			default:
			}
		}
	}()
	r.log.await(t, "wait for memory", `"client":"web1"`, "quarter of --frame-memory")
	close(said)
	conn.Close()
	<-delivered
}

// deliverLong sends a result with an output of so many bytes, within 10 s.
func (r *rig) deliverLong(size int) {
	s, err := r.connect(wire.Instance{7})
	if err != nil {
		r.t.Error(err)
		return
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	res := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: bytes.Repeat([]byte("x"), size), Finish: 1e6}
	if err := s.Send(wire.Batch{Instance: wire.Instance{7}, Entries: []wire.Entry{{Sequence: 1, Result: res.Append(nil)}}}); err != nil {
		r.t.Error(err)
		return
	}
	if ack, err := s.Receive(ctx); err != nil || ack.Sequence != 1 {
		r.t.Errorf("acknowledged %d, %v", ack.Sequence, err)
	}
}
