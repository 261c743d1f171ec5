package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
)

// peer is a real server that keeps what it takes. It can break a connection
// in place of an ACK, and refuse.
type peer struct {
	t       *testing.T
	set     certstest.Set
	address string

	mu      sync.Mutex
	taken   []uint64
	batches []int // sizes
	breaks  int   // connections to break before an ACK
	hello   error
	handler wire.Handler // in its place
}

func (p *peer) Hello(wire.Hello) (uint64, error) { return 0, p.hello }

func (p *peer) Waiting() string { return "busy" }

func (p *peer) Submit(_ context.Context, b wire.Batch) (rejections []wire.Rejection, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, len(b.Entries))
	if p.breaks > 0 {
		p.breaks--
		return nil, errors.New("broken by the test")
	}
	for _, e := range b.Entries {
		if string(e.Result) == "bad" {
			rejections = append(rejections, wire.Rejection{Sequence: e.Sequence, Reason: wire.Denied, Text: "bad"})
			continue
		}
		p.taken = append(p.taken, e.Sequence)
	}
	return rejections, nil
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := certs.LoadPair(set.ServerCert, set.ServerKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.LoadPool(set.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", certs.ServerConfig(certs.End{Pair: pair, Pool: pool}, tls.RequireAndVerifyClientCert, wire.ALPN))
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, set: set, address: l.Addr().String()}
	p.handler = p
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
					wire.Serve(ctx, conn, wire.ServerConfig{}, p.handler)
				}
				conn.Close()
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); serving.Wait() })
	return p
}

func (p *peer) options() Options {
	p.t.Helper()
	pair, err := certs.LoadPair(p.set.ClientCert, p.set.ClientKey, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	pool, err := certs.LoadPool(p.set.CA, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return Options{Address: p.address, End: certs.End{Pair: pair, Pool: pool}, Verify: certs.VerifyName, Log: zerolog.Nop(),
		Hello: wire.Hello{Instance: wire.Instance{1}}}
}

func (p *peer) sequences() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.taken)
}

// queue is a Source in memory.
type queue struct {
	mu    sync.Mutex
	items []Item
	next  int // the first that Next did not return
	acked int
	more  chan struct{}
}

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

func (q *queue) add(results ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range results {
		q.items = append(q.items, Item{wire.Instance{1}, uint64(len(q.items) + 1), []byte(r)})
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *queue) Next(ctx context.Context, dst []Item, maxItems, _ int) ([]Item, error) {
	for {
		q.mu.Lock()
		n := min(maxItems, len(q.items)-q.next)
		dst = append(dst[:0], q.items[q.next:q.next+n]...)
		q.next += n
		q.mu.Unlock()
		if n > 0 {
			return dst, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.more:
		}
	}
}

func (q *queue) Ack(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.acked = int(sequence)
}

func (q *queue) Rewind() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = q.acked
}

func (q *queue) ackedUpTo() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.acked
}

// run delivers until the test ends.
func run(t *testing.T, d *Delivery) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestDeliveryGoesOnAfterABrokenConnection(t *testing.T) {
	t.Parallel()
	p, q := newPeer(t), newQueue()
	p.breaks = 2
	q.add("a", "b", "c")
	d := New(p.options(), q)
	run(t, d)
	eventually(t, "all acknowledged", func() bool { return q.ackedUpTo() == 3 })
	q.add("d", "e")
	eventually(t, "all acknowledged", func() bool { return q.ackedUpTo() == 5 })
	if got := p.sequences(); got != "[1 2 3 4 5]" {
		t.Errorf("arrived: %s", got)
	}
	eventually(t, "all counted once", func() bool { n, rejected := d.Counts(); return n == 5 && len(rejected) == 0 })
}

func TestRejectedResultsDoNotStall(t *testing.T) {
	p, q := newPeer(t), newQueue()
	o := p.options()
	rejected := make(chan wire.Rejection, 10)
	o.Rejected = func(r wire.Rejection) { rejected <- r }
	q.add("a", "bad", "c")
	d := New(o, q)
	run(t, d)
	eventually(t, "all acknowledged", func() bool { return q.ackedUpTo() == 3 })
	eventually(t, "all counted", func() bool { n, rejected := d.Counts(); return n == 2 && rejected[wire.Denied.String()] == 1 })
	if r := <-rejected; r.Sequence != 2 || p.sequences() != "[1 3]" {
		t.Errorf("rejected %+v, arrived %s", r, p.sequences())
	}
}

func TestBatchModeGathers(t *testing.T) {
	p, q := newPeer(t), newQueue()
	o := p.options()
	o.BatchWait, o.BatchItems = time.Hour, 4
	run(t, New(o, q))
	for range 8 {
		q.add("x")
	}
	eventually(t, "all acknowledged", func() bool { return q.ackedUpTo() == 8 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := fmt.Sprint(p.batches); got != "[4 4]" && got != "[8]" {
		t.Errorf("batches of %s", got)
	}
}

func TestBatchModeWaitsNoLongerThanItMay(t *testing.T) {
	p, q := newPeer(t), newQueue()
	o := p.options()
	o.BatchWait, o.BatchItems = 50*time.Millisecond, 1000
	q.add("x")
	run(t, New(o, q))
	eventually(t, "acknowledged", func() bool { return q.ackedUpTo() == 1 })
}

func TestStateSaysWhatIsWrong(t *testing.T) {
	p := newPeer(t)
	refused := p.options()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Address = l.Addr().String()
	l.Close()
	other := newPeer(t)
	wrongCA := other.options()
	wrongCA.Address = p.address
	unlisted := newPeer(t)
	unlisted.hello = &wire.ByeError{Reason: wire.NotListed}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"refused":  {refused, "refused the connection"},
		"wrong CA": {wrongCA, "--ssl-ca-cert"},
		"unlisted": {unlisted.options(), "allowed-client-cert.d"},
	} {
		d := New(c.o, newQueue())
		run(t, d)
		eventually(t, name, func() bool { return strings.Contains(d.State(), c.want) })
	}
}

func TestDeliverTriesAgainAndTellsWhatFailed(t *testing.T) {
	p := newPeer(t)
	p.breaks = 1
	items := []Item{{wire.Instance{1}, 1, []byte("a")}, {wire.Instance{1}, 2, make([]byte, 1<<20)}, {wire.Instance{1}, 3, []byte("c")}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Deliver(ctx, p.options(), items); err != nil || p.sequences() != "[1 2 3]" {
		t.Errorf("%v, arrived %s", err, p.sequences())
	}
	bad := []Item{{wire.Instance{2}, 1, []byte("bad")}}
	if err := Deliver(ctx, p.options(), bad); err == nil || !strings.Contains(err.Error(), "1 of 1 results refused") {
		t.Errorf("a rejected result: %v", err)
	}
	p.hello = &wire.ByeError{Reason: wire.NotListed}
	if err := Deliver(ctx, p.options(), items); err == nil || !strings.Contains(err.Error(), "does not list your certificate") {
		t.Errorf("an unlisted client: %v", err)
	}
}
