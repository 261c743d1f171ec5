//go:build bench

package bench

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// What the flush of the journal costs: the server as it runs by default beside one with --journal-flush=false,
// in turn, so that a slow minute of the machine meets both.
const (
	flushConnections = 10
	flushBatch       = 1000 // results
	flushBatches     = 40   // of each connection in a turn
	flushTurns       = 7
	// flushMayCost is how much of the throughput the flush may take.
	flushMayCost = 0.20
)

func BenchmarkFlush(b *testing.B) {
	for b.Loop() {
		with, without := flushTurnsOf(b)
		cost := make([]float64, flushTurns)
		for i := range cost {
			cost[i] = 1 - with[i]/without[i]
		}
		b.ReportMetric(median(with), "flushed/s")
		b.ReportMetric(median(without), "unflushed/s")
		b.ReportMetric(100*median(cost), "%cost")
		b.ReportMetric(0, "ns/op")
		if median(cost) > flushMayCost {
			b.Errorf("the flush costs %.0f %% of the throughput, more than %.0f %%: with it %.0f, without %.0f results a second",
				100*median(cost), 100*flushMayCost, with, without)
		}
	}
}

// flushTurnsOf returns the results a second of each turn.
func flushTurnsOf(b testing.TB) (with, without []float64) {
	flushed, unflushed := newFlushServer(b, "true"), newFlushServer(b, "false")
	batch := flushEntries()
	for range flushTurns {
		with, without = append(with, flushed.turn(batch)), append(without, unflushed.turn(batch))
	}
	return with, without
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// flushEntries are results of about 200 bytes, as in a journal.
func flushEntries() []wire.Entry {
	batch := make([]wire.Entry, flushBatch)
	for i := range batch {
		r := check.Result{Kind: check.Service, Host: "web" + strconv.Itoa(i%100), Service: "disk usage", Start: 1e15, Finish: 1e15 + 1e5,
			Output: fmt.Appendf(nil, "DISK OK - free space: / %d MB (%d%% inode=98%%);| /=4512MB;11000;12000;0;13000 /var=812MB", i, i%100)}
		batch[i].Result = r.Append(nil)
	}
	return batch
}

// flushServer is a server in a process of its own, with a reader of its pipe.
type flushServer struct {
	b testing.TB
	*rig.Pair
}

func newFlushServer(b testing.TB, flush string) *flushServer {
	b.Helper()
	pipe := filepath.Join(b.TempDir(), "nagios.cmd")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		b.Fatal(err)
	}
	core, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(io.Discard, core) })
	b.Cleanup(func() { core.Close(); reading.Wait() })
	s := &flushServer{b, rig.NewPair(b, pipe, "nagios")}
	s.ServerArgs = append(s.ServerArgs, "--journal-flush="+flush, "--journal-max-bytes", strconv.Itoa(8<<30), "--loglevel", "warning")
	asUnit(b, s.StartServer)
	s.AwaitPort()
	return s
}

// turn returns how many results a second the server acknowledged.
func (s *flushServer) turn(batch []wire.Entry) float64 {
	s.b.Helper()
	syscall.Sync() // what the other turn left to be written must not hold up this one
	sessions := make([]*flushSession, flushConnections)
	for i := range sessions {
		sessions[i] = s.connect()
	}
	begin := time.Now()
	var running sync.WaitGroup
	for _, c := range sessions {
		running.Go(func() {
			if err := c.send(batch); err != nil {
				s.b.Errorf("send: %v", err)
			}
		})
		running.Go(func() {
			if err := c.receive(s.b); err != nil {
				s.b.Errorf("receive: %v", err)
			}
		})
	}
	running.Wait()
	took := time.Since(begin)
	for _, c := range sessions {
		c.Close()
	}
	return flushConnections * flushBatches * flushBatch / took.Seconds()
}

type flushSession struct {
	*wire.Session
	instance wire.Instance
}

func (s *flushServer) connect() *flushSession {
	s.b.Helper()
	pool, err := certs.LoadPool(s.Set.CA, nil)
	if err != nil {
		s.b.Fatal(err)
	}
	own, err := certs.LoadPair(s.Set.ClientCert, s.Set.ClientKey, nil)
	if err != nil {
		s.b.Fatal(err)
	}
	conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), certs.ClientConfig(certs.End{Pair: own, Pool: pool}, certs.VerifyName, "127.0.0.1"))
	if err != nil {
		s.b.Fatal(err)
	}
	c := &flushSession{}
	rand.Read(c.instance[:])
	if c.Session, err = wire.Connect(s.b.Context(), conn, wire.Hello{Instance: c.instance, Remember: 60}, nil, nil); err != nil {
		s.b.Fatal(err)
	}
	return c
}

// send keeps as many batches in flight as the server allows.
func (c *flushSession) send(batch []wire.Entry) error {
	entries := slices.Clone(batch)
	for n := range flushBatches {
		for i := range entries {
			entries[i].Sequence = uint64(n*flushBatch + i + 1)
		}
		if err := c.Send(wire.Batch{Instance: c.instance, Entries: entries}); err != nil {
			return err
		}
	}
	return nil
}

func (c *flushSession) receive(b testing.TB) error {
	for acked := uint64(0); acked < flushBatches*flushBatch; {
		ack, err := c.Receive(b.Context())
		if err != nil {
			return err
		}
		acked = ack.Sequence
	}
	return nil
}
