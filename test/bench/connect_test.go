//go:build bench && e2e

package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"
)

const (
	newConnectionsAtOnce = 32
	newConnectionsTurn   = 2 * time.Second
)

func benchSend(t *testing.T, b *bench) []row {
	ours, theirs := sendTimes(t, b.binary, sendRounds)
	return []row{{what: "`send`, one result, the whole process until the flushed ACK, ms", ours: ours, peer: "NSCA-ng's send_nsca", theirs: theirs, goal: atMost(sendOfTheirs).ofPeer()}}
}

// inTurn runs f from several goroutines until the turn is over, and returns how
// often a second it was done.
func inTurn(t *testing.T, f func(worker int) error) float64 {
	t.Helper()
	var done atomic.Int64
	var working sync.WaitGroup
	begin := time.Now()
	for worker := range newConnectionsAtOnce {
		working.Go(func() {
			for time.Since(begin) < newConnectionsTurn {
				if err := f(worker); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	working.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// briefCurves are the key exchange of a connection for a few results only.
var briefCurves = []tls.CurveID{tls.X25519}

// benchNewConnections opens a connection for each result, as many `send`s at
// once do, beside handshakes with the same certificates and nothing else.
func benchNewConnections(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, newConnectionsAtOnce)
	bare := newBareServer(t, s.Set, s.Set.ServerCert, s.Set.ServerKey, loadPair(t, s.Set.ClientCert, s.Set.ClientKey))
	turn := s.arrivals.begin(1<<20, false) // more than can come
	var numbers atomic.Uint64
	var ours, theirs series
	for range loadTurns {
		ours = append(ours, inTurn(t, func(worker int) error {
			return s.fleet.clients[worker].once(t, s.fleet.address, numbers.Add(1)-1)
		}))
		theirs = append(theirs, inTurn(t, func(int) error { return bare.shake() }))
	}
	s.arrivals.await(s.arrivals.cut(turn, int(numbers.Load())), time.Minute)
	return []row{{what: "new connections/s with P-256, one result each, flushed and acknowledged", ours: ours, peer: "bare Go handshakes", theirs: theirs, goal: atLeast(0.8).ofPeer()}}
}

// once connects, sends one result with the HELLO, and leaves once it is
// acknowledged, as the command send does.
func (c *simulated) once(t *testing.T, address string, number uint64) error {
	config := certs.ClientConfig(c.end, certs.VerifyName, "127.0.0.1")
	config.CurvePreferences = briefCurves
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.renew()
	var batch wire.Batch
	c.batch(&batch, number, 1)
	session, err := wire.Connect(t.Context(), conn, wire.Hello{Instance: c.instance, Host: c.hosts[0], Version: "bench", Remember: 11}, &batch, nil)
	if err != nil {
		return err
	}
	if _, err := session.Receive(t.Context()); err != nil {
		return err
	}
	return session.Leave()
}

func loadPair(t *testing.T, cert, key string) tls.Certificate {
	t.Helper()
	p, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bareServer does handshakes and nothing else, in a process of its own, as the
// server that it is compared with.
type bareServer struct {
	address string
	client  *tls.Config
}

func newBareServer(t *testing.T, set certstest.Set, cert, key string, client tls.Certificate) *bareServer {
	t.Helper()
	server := exec.Command(buildInstalled(t, "bareserver", "test", "./bench/testdata/bareserver"), cert, key, set.CA)
	server.Stderr = os.Stderr
	end, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	says, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	asUnit(t, func() { err = server.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close(); server.Wait() })
	address, err := bufio.NewReader(says).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(set.Authority.Cert)
	return &bareServer{strings.TrimSpace(address), &tls.Config{Certificates: []tls.Certificate{client}, RootCAs: pool, ServerName: "127.0.0.1", CurvePreferences: briefCurves}}
}

// shake does one handshake, and reads to the end, so that the server's part of
// it is done as well.
func (s *bareServer) shake() error {
	conn, err := tls.Dial("tcp", s.address, s.client)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(io.Discard, conn)
	return err
}

// oldMessage is how many results a message of version 0.3.9 has here.
const oldMessage = 100

// benchOldMessages sends messages as clients of version 0.3.9 do, each over a
// connection of its own, with RSA keys.
func benchOldMessages(t *testing.T, b *bench) []row {
	s := newLoadServer(t, b, 0)
	rsa := certstest.Request{Name: "127.0.0.1", Hosts: []string{"127.0.0.1"}, RSA: true, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	key := filepath.Join(t.TempDir(), "old.key")
	cert := filepath.Join(s.Set.AllowedDir, "old.pem")
	if err := s.Set.Authority.Write(rsa, cert, key); err != nil {
		t.Fatal(err)
	}
	own := loadPair(t, cert, key)
	bare := newBareServer(t, s.Set, cert, key, own)
	s.Server.Stop()
	s.ServerArgs = append(s.ServerArgs, "--ssl-cert", cert, "--ssl-key", key)
	startBuilt(s.Pair, b.binary)
	turn := s.arrivals.begin(1<<22, false) // more than can come
	var numbers atomic.Uint64
	config := &tls.Config{Certificates: []tls.Certificate{own}, CurvePreferences: briefCurves,
		InsecureSkipVerify: true} // what the server is costs the client nothing here
	var ours, theirs, alone series
	for range loadTurns {
		busy := load(s.Server.Cmd.Process.Pid, func() {
			ours = append(ours, inTurn(t, func(int) error {
				return sendOld(t.Context(), s.fleet.address, config, numbers.Add(oldMessage)-oldMessage)
			}))
		})
		alone = append(alone, float64(runtime.NumCPU())*ours[len(ours)-1]/busy)
		theirs = append(theirs, inTurn(t, func(int) error { return bare.shake() }))
	}
	s.arrivals.await(s.arrivals.cut(turn, int(numbers.Load())), time.Minute)
	what := "messages of 0.3.9 with 100 results and RSA-2048, connections/s"
	return []row{
		{what: what, ours: ours, peer: "the original, measured once: 300", goal: atLeast(600)},
		{what: "the same", ours: ours, peer: "bare Go handshakes", theirs: theirs},
		{what: "the same, if the clients' half of the work were done elsewhere: by the server's processor time alone", ours: alone},
	}
}

func sendOld(ctx context.Context, address string, config *tls.Config, first uint64) error {
	plain, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	below := &legacy.Below{Conn: plain}
	conn := tls.Client(below, config)
	defer conn.Close()
	var text []byte
	now := time.Now().UnixMicro()
	for i := range uint64(oldMessage) {
		r := check.Result{Kind: check.Service, Host: "host0000", Service: loadServiceNames[i%loadServices], Finish: now,
			Output: fmt.Appendf(nil, "%s%0*d", loadOutput, numberDigits, first+i)}
		text = legacy.AppendLine(text, &r)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	return legacy.Send(ctx, conn, below, text)
}
