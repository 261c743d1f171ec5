package hostile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/internal/status"
	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// TestOneClientDoesNotTakeTheWholeJournal has one client send twice what the
// journal takes, over many connections, while the core reads nothing. All others
// are still acknowledged, by the old protocol too.
func TestOneClientDoesNotTakeTheWholeJournal(t *testing.T) {
	const journalBytes = 32 << 20 // the least
	s := &siege{T: t, core: rig.NewCore(t), number: new(uint64), instance: wire.Instance{0xaa}}
	s.pair = rig.NewPair(t, s.core.Path, "nagios")
	s.state = filepath.Join(s.pair.Dir, "server")
	s.issue(s.pair.Set.Authority, "other", certstest.Request{Name: "other", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true)
	s.pair.ServerArgs = append(s.pair.ServerArgs, "--journal-max-bytes", fmt.Sprint(journalBytes))
	s.pair.StartServer()
	s.pair.AwaitPort()
	g := s.greed(100, 640<<10)
	page := s.awaitHeld()
	if held := page.Server.Held; held[0].Name != "client-1" || held[0].JournalBytes < journalBytes/4 || len(held) != 1 {
		t.Errorf("held are %+v", held)
	}
	if line := strings.Join(page.Problems(), "\n"); !strings.Contains(line, "client client-1 is held for ") || !strings.Contains(line, "--max-client-share") {
		t.Errorf("the page says %q", line)
	}
	defer time.AfterFunc(time.Minute, s.pair.Server.Kill).Stop() // who is not acknowledged is told so by that
	for n := range uint64(20) {                                  // each would be the last to find room
		ack := s.submit(s.sessionOf(s.file("other")), 1000*n+1, check.Result{Kind: check.Service, Host: "h", Service: "s", Output: make([]byte, 10<<10), Finish: 1e6})
		if len(ack.Rejections) > 0 {
			t.Fatalf("the other client was told %+v", ack)
		}
	}
	message := old("[1] PROCESS_HOST_CHECK_RESULT;h;0;x\n")
	if !s.takesOld(s.file("other"), message) {
		t.Error("an old message of the other client was not taken")
	}
	if s.takesOld(s.pair.Set.ClientCert, message) {
		t.Error("an old message of the client that is held was taken")
	}
	g.await("--max-client-share")
	if page, err := status.Fetch(t.Context(), s.state); err != nil || page.Journal.Refuses != "" || page.Journal.Bytes > journalBytes*9/10 {
		t.Errorf("the journal: %v, %+v", err, page.Journal)
	}
	s.checkLog()
}

// greed is a client that sends and sends.
type greed struct {
	s    *siege
	told chan string // by WAIT
}

// greed has the listed client send so many bytes over each of many connections.
func (s *siege) greed(connections, bytes int) *greed {
	s.Helper()
	g := &greed{s, make(chan string, 1000)}
	ctx, cancel := context.WithCancel(s.Context())
	var sending sync.WaitGroup
	s.Cleanup(sending.Wait)
	s.Cleanup(cancel)
	config := s.config(s.pair.Set.ClientCert)
	for c := range connections {
		conn := tls.Client(s.raw(), config)
		sending.Go(func() { g.send(ctx, conn, wire.Instance{0xbb, byte(c)}, bytes) })
	}
	return g
}

// send ends with the connection.
func (g *greed) send(ctx context.Context, conn *tls.Conn, me wire.Instance, bytes int) {
	defer context.AfterFunc(ctx, func() { conn.NetConn().Close() })()
	session, err := wire.Connect(ctx, conn, wire.Hello{Instance: me, Remember: 60}, nil, func(why string) {
		select {
		case g.told <- why:
		default:
		}
	})
	if err != nil {
		return
	}
	conn.SetDeadline(time.Time{})
	r := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: make([]byte, 50), Finish: 1e6}
	encoded := r.Append(nil)
	b := wire.Batch{Instance: me}
	for n := range bytes / (len(encoded) + 60) { // with what the server puts beside it
		b.Entries = append(b.Entries, wire.Entry{Sequence: uint64(n + 1), Result: encoded})
	}
	if session.Send(b) == nil {
		session.Receive(ctx)
	}
}

// await waits until a connection is told something with text in it.
func (g *greed) await(text string) {
	g.s.Helper()
	last := ""
	for end := time.After(time.Minute); !strings.Contains(last, text); {
		select {
		case last = <-g.told:
		case <-end:
			g.s.Fatalf("the client that is held was told %q", last)
		}
	}
}

// awaitHeld waits until the server holds a client.
func (s *siege) awaitHeld() *status.Page {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		page, err := status.Fetch(s.Context(), s.state)
		if err == nil && len(page.Server.Held) > 0 {
			return page
		}
		if time.Now().After(deadline) {
			s.Fatalf("nobody is held: %v, %+v", err, page.Journal)
		}
	}
}

// takesOld sends an old message and tells whether the server closes in order
// behind it, which says that it is safe.
func (s *siege) takesOld(cert string, message []byte) bool {
	s.Helper()
	config := s.config(cert)
	config.NextProtos = nil
	raw := s.raw()
	conn := tls.Client(raw, config)
	if err := conn.Handshake(); err != nil {
		s.Fatal(err)
	}
	s.write(conn, message)
	conn.CloseWrite()
	conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, err := conn.Read(make([]byte, 100))
	if err == nil || os.IsTimeout(err) {
		return false
	}
	return err.Error() == "EOF"
}
