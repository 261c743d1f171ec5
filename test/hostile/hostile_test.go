package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"massive-passive/internal/status"
	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// siege is a real server that is attacked, and what it was like before.
type siege struct {
	*testing.T
	pair   *rig.Pair
	core   *rig.Core
	state  string // the server's state directory
	before vitals

	number   *uint64       // of the last good result
	instance wire.Instance // of what the attack sends
}

// attack is one thing that somebody tries.
type attack struct {
	name string
	do   func(*siege)
}

// vitals are what a server holds while nobody is connected.
type vitals struct {
	goroutines, threads, files int
	memory                     int64 // resident, bytes
}

// moreThreads is what vitals may grow by: Go never gives a thread back.
const moreThreads = 20

// warmUp has the server take what a crowd needs, and keep it as Go does. What
// it takes beyond that is more than it should.
func (s *siege) warmUp() {
	s.Helper()
	s.before = s.vitals()
	for _, crowd := range []func(){func() { s.crowd(5000, nil) }, func() { s.crowd(2000, halfHello) }} {
		crowd()
		for deadline := time.Now().Add(30 * time.Second); s.vitals().goroutines > s.before.goroutines && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	goroutines, files := s.before.goroutines, s.before.files
	s.before = s.vitals()
	s.before.goroutines, s.before.files = goroutines, files
}

// connectionsOfOne is --max-client-connections of the server.
const connectionsOfOne = 30

// besiege starts a server with these options more; arrange puts in place what it reads.
func besiege(t *testing.T, arrange func(*siege), options ...string) *siege {
	t.Helper()
	s := &siege{T: t, core: rig.NewCore(t), number: new(uint64)}
	s.pair = rig.NewPair(t, s.core.Path, "nagios")
	s.state = filepath.Join(s.pair.Dir, "server")
	s.issueBad()
	crl := filepath.Join(s.pair.Dir, "crl")
	if err := s.pair.Set.Authority.WriteCRL(crl, s.leafOf("revoked")); err != nil {
		t.Fatal(err)
	}
	s.pair.ServerArgs = append(s.pair.ServerArgs, "--ssl-crl", crl, "--loglevel", "debug", "--handshake-timeout", "5",
		"--max-client-connections", strconv.Itoa(connectionsOfOne))
	s.pair.ServerArgs = append(s.pair.ServerArgs, options...)
	arrange(s)
	s.pair.StartServer()
	s.pair.AwaitPort()
	for range 3 { // the first connections bring what stays
		s.serveTheNext()
	}
	return s
}

// attacks runs each attack, and after it, with all its connections closed,
// holds the server to what it was.
func (s *siege) attacks(list []attack) {
	for n, a := range list {
		s.Run(a.name, func(t *testing.T) {
			after := *s
			after.T = t
			t.Run("attack", func(t *testing.T) {
				during := after
				during.T, during.instance = t, wire.Instance{0xaa, byte(n)}
				a.do(&during)
			})
			after.serveTheNext()
			after.recover()
		})
	}
}

// serveTheNext has a good client send one result, which must be the next thing
// that the core gets: whatever came before brought it nothing.
func (s *siege) serveTheNext() {
	s.Helper()
	*s.number++
	good := *s // its instance is not the attack's
	good.instance = wire.Instance{0xff}
	text := fmt.Sprintf("good %d", *s.number)
	conn := s.listed()
	defer conn.Close()
	session, err := wire.Connect(s.Context(), conn, wire.Hello{Instance: good.instance, Remember: 60}, nil, nil)
	if err != nil {
		s.Fatalf("the next good client: %v", err)
	}
	ack := good.submit(session, *s.number, check.Result{Kind: check.Service, Host: "good", Service: "s", Output: []byte(text), Finish: 1e6})
	if ack.Sequence != *s.number || len(ack.Rejections) > 0 {
		s.Errorf("the next good client was told %+v", ack)
	}
	session.Close()
	s.expectLine("[1] PROCESS_SERVICE_CHECK_RESULT;good;s;0;" + text + "\n")
}

// expectLine takes the next line that the core gets.
func (s *siege) expectLine(want string) {
	s.Helper()
	s.core.Pipe.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := s.core.Next()
	if err != nil || line != want {
		s.Fatalf("the core got %q, %v, want %q", line, err, want)
	}
}

// recover waits until the server holds no more than before.
func (s *siege) recover() {
	s.Helper()
	var now vitals
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		now = s.vitals()
		if now.goroutines <= s.before.goroutines && now.files <= s.before.files {
			break
		}
	}
	if now.goroutines > s.before.goroutines || now.files > s.before.files ||
		now.threads > s.before.threads+moreThreads || now.memory > s.before.memory+moreMemory {
		s.Errorf("the server does not recover: before %+v, now %+v", s.before, now)
	}
}

func (s *siege) vitals() vitals {
	s.Helper()
	page, err := status.Fetch(s.Context(), s.state)
	if err != nil {
		s.Fatalf("ask the server how it is: %v", err)
	}
	proc := fmt.Sprintf("/proc/%d/", s.pair.Server.Cmd.Process.Pid)
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		s.Fatal(err)
	}
	text, err := os.ReadFile(proc + "status")
	if err != nil {
		s.Fatal(err)
	}
	v := vitals{goroutines: page.Goroutines, files: len(files)}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "Threads:":
			v.threads, _ = strconv.Atoi(fields[1])
		case fields[0] == "VmRSS:":
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			v.memory = kilobytes << 10
		}
	}
	if v.threads == 0 || v.memory == 0 {
		s.Fatalf("cannot read %sstatus", proc)
	}
	return v
}

// raw opens a TCP connection.
func (s *siege) raw() net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.pair.Port))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// config is that of a client with this certificate and the key beside it.
func (s *siege) config(cert string) *tls.Config {
	s.Helper()
	end, err := certs.Load(certs.Files{Cert: cert, Key: strings.TrimSuffix(cert, ".cert") + ".key", CA: s.pair.Set.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		s.Fatal(err)
	}
	return certs.ClientConfig(end, certs.VerifyName, "127.0.0.1")
}

// listed shakes hands as the client whose results are taken.
func (s *siege) listed() *tls.Conn {
	s.Helper()
	conn := tls.Client(s.raw(), s.config(s.pair.Set.ClientCert))
	if err := conn.Handshake(); err != nil {
		s.Fatalf("a listed client: %v", err)
	}
	return conn
}

// greeted says HELLO, too, and reads the WELCOME.
func (s *siege) greeted() *tls.Conn {
	s.Helper()
	conn := s.listed()
	hello := wire.Hello{Instance: wire.Instance{1}, Remember: 60}
	s.write(conn, frame(wire.TypeHello, hello.Append(nil)))
	if kind, body := s.read(conn); kind != wire.TypeWelcome {
		s.Fatalf("HELLO was answered by %v %q", kind, body)
	}
	return conn
}

// frame makes a frame as it travels.
func frame(kind wire.Type, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return append(append(b, byte(kind)), body...)
}

// write ignores that the server may have left already: what it said counts.
func (s *siege) write(conn net.Conn, b []byte) { conn.Write(b) }

// read reads one frame.
func (s *siege) read(conn net.Conn) (wire.Type, []byte) {
	s.Helper()
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(conn, head); err != nil {
		s.Fatalf("read what the server says: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(conn, body); err != nil {
		s.Fatalf("read what the server says: %v", err)
	}
	return wire.Type(head[4]), body
}

// expectBye reads up to the server's BYE and the end of the connection.
func (s *siege) expectBye(conn net.Conn, reason wire.ByeReason) {
	s.Helper()
	for {
		kind, body := s.read(conn)
		if kind != wire.TypeBye {
			continue
		}
		bye, err := wire.DecodeBye(body)
		if err != nil || bye.Reason != reason {
			s.Errorf("the server's BYE says %v %q, %v, want %v", bye.Reason, bye.Text, err, reason)
		}
		break
	}
	s.expectEnd(conn)
}

// expectEnd waits for the server to end the connection without another word.
func (s *siege) expectEnd(conn net.Conn) {
	s.Helper()
	n, err := io.Copy(io.Discard, conn)
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		s.Errorf("the server said %d bytes more and left with %v", n, err)
	}
}

// submit sends results, numbered from first, and returns what the server says.
func (s *siege) submit(session *wire.Session, first uint64, results ...check.Result) wire.Ack {
	s.Helper()
	encoded := make([][]byte, len(results))
	for n := range results {
		encoded[n] = results[n].Append(nil)
	}
	return s.submitEncoded(session, first, encoded...)
}

func (s *siege) submitEncoded(session *wire.Session, first uint64, results ...[]byte) wire.Ack {
	s.Helper()
	b := wire.Batch{Instance: s.instance}
	for n, r := range results {
		b.Entries = append(b.Entries, wire.Entry{Sequence: first + uint64(n), Result: r})
	}
	if err := session.Send(b); err != nil {
		s.Fatal(err)
	}
	ack, err := session.Receive(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return ack
}

// TestHostileClients is what strangers and listed clients may try. After each
// attack the next good client is served, the core got nothing else, and the
// server holds what it held before.
func TestHostileClients(t *testing.T) {
	s := besiege(t, func(*siege) {})
	s.warmUp()
	list := append(append(append(s.tlsAttacks(), frameAttacks()...), resultAttacks()...), oldAttacks()...)
	list = append(list, crowdAttacks()...)
	if len(list) < 60 {
		t.Errorf("only %d attacks", len(list))
	}
	s.attacks(list)
	s.checkLog()
}

// checkLog holds the log to its form: what attackers put into names and texts
// made no line of its own and no terminal do anything.
func (s *siege) checkLog() {
	s.Helper()
	log := s.pair.Server.Words()
	for line := range strings.Lines(log) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil || event["level"] == nil {
			s.Errorf("%q is no line of the log: %v", line, err)
		}
	}
	if at := bytes.IndexFunc([]byte(log), func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }); at >= 0 {
		s.Errorf("the log has a control character at %d: %q", at, log[max(0, at-100):at+1])
	}
}

// file is where a bad client's certificate lies; its key lies beside it.
func (s *siege) file(name string) string { return filepath.Join(s.pair.Dir, name+".cert") }

// issue makes a client's certificate, and lists it if told to.
func (s *siege) issue(by *certstest.Authority, name string, r certstest.Request, list bool) {
	s.Helper()
	file := s.file(name)
	if err := by.Write(r, file, strings.TrimSuffix(file, ".cert")+".key"); err != nil {
		s.Fatal(err)
	}
	if list {
		s.list(name, rig.ReadFile(s.T, file))
	}
}

func (s *siege) list(name string, pem []byte) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.pair.Set.AllowedDir, name+".pem"), pem, 0o644); err != nil {
		s.Fatal(err)
	}
}
