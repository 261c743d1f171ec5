//go:build bench && e2e

package bench

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// fleet is many clients in this process, each with a certificate and a
// connection of its own, speaking as a real one does.
type fleet struct {
	b       testing.TB
	address string
	pool    *certs.Pool
	clients []*simulated
}

// simulated is one client.
type simulated struct {
	hosts    []string // of its results
	end      certs.End
	instance wire.Instance
	sequence uint64 // the last one sent
	session  *wire.Session
}

// newFleet makes clients that a server with p's files allows.
func newFleet(b testing.TB, p *rig.Pair, n int) *fleet {
	b.Helper()
	f := &fleet{b: b, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port))}
	var err error
	if f.pool, err = certs.LoadPool(p.Set.CA, nil); err != nil {
		b.Fatal(err)
	}
	key := filepath.Join(b.TempDir(), "key")
	for i := range n {
		name := fmt.Sprintf("bench%05d", i)
		cert := filepath.Join(p.Set.AllowedDir, name+".pem")
		if err := p.Set.Authority.Write(certstest.Request{Name: name, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, cert, key); err != nil {
			b.Fatal(err)
		}
		own, err := certs.LoadPair(cert, key, nil)
		if err != nil {
			b.Fatal(err)
		}
		f.clients = append(f.clients, &simulated{hosts: []string{fmt.Sprintf("host%04d", i%10000)}, end: certs.End{Pair: own, Pool: f.pool}})
	}
	return f
}

// connectAtOnce is how many handshakes go on together.
const connectAtOnce = 64

// connect connects the first n clients.
func (f *fleet) connect(n int) []*simulated {
	f.b.Helper()
	f.connectThese(f.clients[:n])
	return f.clients[:n]
}

func (f *fleet) connectThese(clients []*simulated) {
	f.b.Helper()
	waiting := make(chan *simulated)
	var connecting sync.WaitGroup
	for range min(len(clients), connectAtOnce) {
		connecting.Go(func() {
			for c := range waiting {
				if err := c.connect(f.b, f.address); err != nil {
					f.b.Errorf("connect: %v", err)
				}
			}
		})
	}
	for _, c := range clients {
		waiting <- c
	}
	close(waiting)
	connecting.Wait()
	if f.b.Failed() {
		f.b.FailNow()
	}
}

func (c *simulated) connect(b testing.TB, address string) error {
	conn, err := tls.Dial("tcp", address, certs.ClientConfig(c.end, certs.VerifyName, "127.0.0.1"))
	if err != nil {
		return err
	}
	c.renew()
	c.session, err = wire.Connect(b.Context(), conn, wire.Hello{Instance: c.instance, Host: c.hosts[0], Version: "bench", Remember: 60}, nil, nil)
	return err
}

// renew begins another run of the client.
func (c *simulated) renew() {
	rand.Read(c.instance[:]) // never fails
	c.sequence = 0
}

// disconnect ends connections in order.
func disconnect(clients []*simulated) {
	var closing sync.WaitGroup
	for _, c := range clients {
		closing.Go(func() { c.session.Close() })
	}
	closing.Wait()
}

// Results have 60 bytes as send_nsca reads them, with a byte between host,
// service, code and output, and their number at the end.
const (
	loadServices = 20
	loadOutput   = "OK - all is well here, for "
)

// loadSets are n such results from first on, each ended by divider.
func loadSets(first uint64, n int, divider string) string {
	var sets strings.Builder
	for i := first; i < first+uint64(n); i++ {
		fmt.Fprintf(&sets, "host0000\t%s\t0\t%s%0*d%s", loadServiceNames[i%loadServices], loadOutput, numberDigits, i, divider)
	}
	return sets.String()
}

// batch makes n results with the numbers from first on.
func (c *simulated) batch(dst *wire.Batch, first uint64, n int) {
	dst.Instance, dst.Entries = c.instance, dst.Entries[:0]
	now := time.Now().UnixMicro()
	buffer := make([]byte, 0, n*100)
	output := make([]byte, 0, 64)
	for i := range uint64(n) {
		output = fmt.Appendf(output[:0], "%s%0*d", loadOutput, numberDigits, first+i)
		r := check.Result{Kind: check.Service, Host: c.hosts[(first+i)/loadServices%uint64(len(c.hosts))], Service: loadServiceNames[(first+i)%loadServices], Start: now - 1000, Finish: now, Output: output}
		at := len(buffer)
		buffer = r.Append(buffer)
		c.sequence++
		dst.Entries = append(dst.Entries, wire.Entry{Sequence: c.sequence, Result: buffer[at:len(buffer):len(buffer)]})
	}
}

var loadServiceNames = func() (names [loadServices]string) {
	for i := range names {
		names[i] = fmt.Sprintf("service%02d", i)
	}
	return names
}()

// loadBatch is how many results a client with many to send puts into a batch.
const loadBatch = 1000

// flood sends n results with the numbers from first on, as fast as they are
// taken, and returns when all are acknowledged.
func (c *simulated) flood(b testing.TB, first uint64, n int) error {
	sending := make(chan error, 1)
	last := c.sequence + uint64(n)
	go func() { sending <- c.sendAll(first, n) }()
	for {
		ack, err := c.session.Receive(b.Context())
		if err != nil {
			return err
		}
		if len(ack.Rejections) > 0 {
			return fmt.Errorf("the server rejected %d results: %s", len(ack.Rejections), ack.Rejections[0].Text)
		}
		if ack.Sequence == last {
			return <-sending
		}
	}
}

func (c *simulated) sendAll(first uint64, n int) error {
	var batch wire.Batch
	for n > 0 {
		size := min(n, loadBatch)
		c.batch(&batch, first, size)
		if err := c.session.Send(batch); err != nil {
			return err
		}
		first, n = first+uint64(size), n-size
	}
	return nil
}

// flood has clients send n results in all, each the same share, and returns
// how many a second arrived. All are acknowledged then.
func flood(b testing.TB, a *arrivals, clients []*simulated, n int) float64 {
	b.Helper()
	share := n / len(clients)
	t := a.begin(share*len(clients), false)
	var sending sync.WaitGroup
	for i, c := range clients {
		sending.Go(func() {
			if err := c.flood(b, t.first+uint64(i*share), share); err != nil {
				b.Errorf("%s: %v", c.hosts[0], err)
			}
		})
	}
	sending.Wait()
	a.await(t, time.Minute)
	return t.rate()
}

// loadServer is a server, the pipe that it writes to, and clients for it.
type loadServer struct {
	*rig.Pair
	arrivals *arrivals
	fleet    *fleet
}

func newLoadServer(t testing.TB, b *bench, clients int, args ...string) *loadServer {
	t.Helper()
	s := &loadServer{arrivals: newArrivals(t, filepath.Join(t.TempDir(), "nagios.cmd"))}
	s.Pair = rig.NewPair(t, s.arrivals.path, "nagios")
	s.ServerArgs = append(append(s.ServerArgs, "--loglevel", "warning"), args...)
	s.fleet = newFleet(t, s.Pair, clients)
	startBuilt(s.Pair, b.binary)
	return s
}
