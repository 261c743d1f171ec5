package sender

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire"

	"github.com/rs/zerolog"
)

// slow is a server's side that takes its time for each batch.
type slow struct {
	*peer
	takes time.Duration
}

func (s *slow) Submit(ctx context.Context, b wire.Batch) ([]wire.Rejection, error) {
	time.Sleep(s.takes)
	return s.peer.Submit(ctx, b)
}

// session joins d to h by a pipe, for tests in the time of a bubble. hangUp
// ends the connection and returns what deliver did.
func session(t *testing.T, d *Delivery, h wire.Handler, c wire.ServerConfig) (hangUp func() (bool, error)) {
	t.Helper()
	return sessionUntil(t.Context(), t, d, h, c)
}

// sessionUntil is a session that deliver is told to end when ctx ends.
func sessionUntil(ctx context.Context, t *testing.T, d *Delivery, h wire.Handler, c wire.ServerConfig) (hangUp func() (bool, error)) {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		wire.Serve(t.Context(), far, c, h)
		far.Close()
	}()
	s, err := wire.Connect(t.Context(), near, wire.Hello{Instance: wire.Instance{1}}, nil, d.waiting)
	if err != nil {
		t.Fatal(err)
	}
	var steady bool
	over := make(chan error, 1)
	go func() {
		var err error
		steady, err = d.deliver(ctx, near, s)
		over <- err
	}()
	return func() (bool, error) {
		far.Close()
		err := <-over
		return steady, err
	}
}

func quiet(wait time.Duration) Options {
	return Options{Address: "test", Log: zerolog.Nop(), BatchWait: wait}
}

func TestAnAckThatTakesLongDoesNotEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		d := New(quiet(0), q)
		h := &slow{&peer{t: t}, 50 * time.Second}
		hangUp := session(t, d, h, wire.ServerConfig{})
		q.add("a")
		time.Sleep(10 * time.Minute)
		if d.State() != "" || q.ackedUpTo() != 1 {
			t.Errorf("after a slow ACK and a long silence: %q, acknowledged up to %d", d.State(), q.ackedUpTo())
		}
		q.add("b")
		time.Sleep(time.Minute)
		if q.ackedUpTo() != 2 {
			t.Error("the connection takes nothing any more")
		}
		if steady, err := hangUp(); !steady || err == nil {
			t.Errorf("a connection with ACKs that broke: steady %v, %v", steady, err)
		}
	})
}

func TestGatheringKeepsTheConnectionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		d := New(quiet(5*time.Minute), q)
		hangUp := session(t, d, &peer{t: t}, wire.ServerConfig{})
		q.add("a")
		time.Sleep(5*time.Minute - time.Second)
		if q.ackedUpTo() != 0 {
			t.Error("sent before its time")
		}
		time.Sleep(2 * time.Second)
		if q.ackedUpTo() != 1 {
			t.Error("not sent when the wait was over: the server had hung up")
		}
		hangUp()
	})
}

func TestDrainEndsTheGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		d := New(quiet(time.Hour), q)
		hangUp := session(t, d, &slow{&peer{t: t}, time.Second}, wire.ServerConfig{})
		q.add("a")
		synctest.Wait()
		begin := time.Now()
		d.Drain(t.Context())
		if took := time.Since(begin); q.ackedUpTo() != 1 || took > 2*time.Second {
			t.Errorf("acknowledged up to %d after %v", q.ackedUpTo(), took)
		}
		hangUp()
	})
}

// A server without room says so every few seconds, for hours. A stop does not wait for that, and neither does the way
// to the address that the server moves to.
func TestAStopDoesNotWaitForTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		d := New(quiet(0), bySize{q})
		for range 2 * wire.Window / (100 << 10) {
			q.add(strings.Repeat("x", 100<<10))
		}
		ctx, stop := context.WithCancel(t.Context())
		hangUp := sessionUntil(ctx, t, d, stuck{&peer{t: t}}, wire.ServerConfig{})
		time.Sleep(time.Minute)
		if s := d.session.Load(); s == nil || s.InFlight() == 0 {
			t.Fatal("nothing is in flight")
		}
		stop()
		time.Sleep(confirmTime + wire.DrainTimeout)
		synctest.Wait()
		if d.session.Load() != nil {
			t.Error("the session goes on")
		}
		hangUp()
	})
}

func TestAResultThatCannotTravelHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, p := newQueue(), &peer{t: t}
		o := quiet(0)
		var given []uint64
		o.Rejected = func(r wire.Rejection) { given = append(given, r.Sequence) }
		hangUp := session(t, New(o, q), &slow{p, time.Second}, wire.ServerConfig{MaxFrame: wire.MinFrame})
		big := strings.Repeat("x", wire.MinFrame)
		for i, results := range [][]string{{big}, {"b"}, {big, "d", big}} {
			q.add(results...)
			time.Sleep(10 * time.Second)
			if want := []int{1, 2, 5}[i]; q.ackedUpTo() != want {
				t.Fatalf("acknowledged up to %d, want %d", q.ackedUpTo(), want)
			}
		}
		hangUp()
		if p.sequences() != "[2 4]" || len(given) != 3 {
			t.Errorf("arrived %s, given up %v", p.sequences(), given)
		}
	})
}

// oneWay is a connection that broke in one direction: the peer reads no more,
// but what it said is still under way.
type oneWay struct {
	net.Conn
	broken atomic.Bool
}

func (c *oneWay) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

func TestTheServersLastWordCountsMoreThanAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		ctx, refuse := context.WithCancelCause(t.Context())
		go wire.Serve(ctx, far, wire.ServerConfig{}, &peer{t: t})
		conn := &oneWay{Conn: near}
		q := newQueue()
		d := New(quiet(0), q)
		s, err := wire.Connect(t.Context(), conn, wire.Hello{Instance: wire.Instance{1}}, nil, d.waiting)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() {
			_, err := d.deliver(t.Context(), conn, s)
			over <- err
		}()
		conn.broken.Store(true)
		q.add("a")
		synctest.Wait() // the write has failed
		refuse(&wire.ByeError{Reason: wire.NotListed})
		var bye *wire.ByeError
		if err := <-over; !errors.As(err, &bye) || bye.Reason != wire.NotListed {
			t.Errorf("the reason given: %v", err)
		}
	})
}

func TestOneServerThatIsAwayIsToldAndDelaysNone(t *testing.T) {
	p := newPeer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := l.Addr().String()
	l.Close()
	o := DefaultSendOptions()
	o.Servers, o.Timeout = []string{away, p.address}, 700*time.Millisecond
	o.SSLKey, o.SSLCert, o.SSLCACert = p.set.ClientKey, p.set.ClientCert, p.set.CA
	var out, complaints bytes.Buffer
	err = Run(t.Context(), Env{Stdin: strings.NewReader("h\ts\t0\tok\n"), Stdout: &out, Stderr: &complaints}, o)
	var notSent *NotSentError
	if !errors.As(err, &notSent) || !strings.Contains(err.Error(), "to "+away+": 1 of 1 results not sent: ") ||
		!strings.HasSuffix(err.Error(), "; "+p.address+" has all of them") || notSent.Code != ExitNotSent || out.Len() > 0 {
		t.Errorf("%v, on standard output %q", err, out.String())
	}
	if p.sequences() != "[1]" {
		t.Errorf("the server that is there got %s", p.sequences())
	}
}

func TestAStrangersCertificateIsRefusedAtOnce(t *testing.T) {
	p, other := newPeer(t), newPeer(t)
	o := p.options()
	o.End.Pair = other.options().End.Pair
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Deliver(ctx, o, []Item{{wire.Instance{1}, 1, []byte("a")}})
	if err == nil || !strings.Contains(err.Error(), "does not know the CA") || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
}
