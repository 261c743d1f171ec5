// Package sender gets results to servers: a Delivery keeps one connection and
// drains a source, Run sends what is on standard input and ends. It knows
// nothing of checks or of journals; what it sends is encoded already.
package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Item is one result with what tells it apart.
type Item struct {
	Instance wire.Instance
	Sequence uint64
	Result   []byte // a result's encoding
}

// Source is where a Delivery's results come from.
type Source interface {
	// Next waits for at least one result and returns at most maxItems of about
	// maxBytes together; they are valid until the next Next.
	Next(ctx context.Context, dst []Item, maxItems, maxBytes int) ([]Item, error)
	// Ack tells that everything up to sequence is safe on the server, or
	// rejected for good. Another goroutine than that of Next calls it.
	Ack(sequence uint64)
	// Rewind goes back to the first result that is not acknowledged.
	Rewind()
}

// Options say where a Delivery delivers and how.
type Options struct {
	Name    string // what the server's certificate may be for, beside the address
	Address string // host:port
	Pair    *certs.Pair
	Pool    *certs.Pool
	Verify  certs.Verify
	Hello   wire.Hello

	BatchWait  time.Duration // 0: what is there is sent at once; else gather for so long,
	BatchItems int           // or up to so many; 0: no limit

	Log      zerolog.Logger
	Rejected func(wire.Rejection) // may be nil
}

const (
	dialTimeout      = 10 * time.Second
	userTimeout      = time.Minute // unacknowledged by the peer's kernel
	retryFirst       = 500 * time.Millisecond
	retryMost        = 30 * time.Second
	sayInterval      = time.Minute
	mostItems        = 10000
	mostBytes        = 1 << 20 // of a batch, but for a single result that is larger
	drainTick        = 20 * time.Millisecond
	steadyConnection = 30 * time.Second // resets the back-off
)

// Delivery gets the results of a source to one server, in order.
type Delivery struct {
	options Options
	source  Source
	state   atomic.Pointer[string]
	pending atomic.Int64 // 1 while the source holds something known to be undelivered

	told   string // the last trouble in the log
	toldAt time.Time
}

// New makes a Delivery; it does nothing before Run.
func New(o Options, s Source) *Delivery { return &Delivery{options: o, source: s} }

// State says why nothing is delivered; "" while connected.
func (d *Delivery) State() string {
	if s := d.state.Load(); s != nil {
		return *s
	}
	return ""
}

// Drain waits until nothing is in flight and the source gave nothing for a
// moment, or until the server is out of reach, or ctx ends.
func (d *Delivery) Drain(ctx context.Context) {
	for quiet := 0; quiet < 5 && d.State() == "" && ctx.Err() == nil; quiet++ {
		if d.pending.Load() > 0 {
			quiet = 0
		}
		pause(ctx, drainTick)
	}
}

// Run delivers until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	wait := retryFirst
	d.trouble("not yet connected", false)
	for ctx.Err() == nil {
		begin := time.Now()
		err := d.connectAndDeliver(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(begin) > steadyConnection {
			wait = retryFirst
		}
		d.trouble(Explain(err, d.options.Address), true)
		pause(ctx, wait/2+rand.N(wait/2+1))
		wait = min(2*wait, retryMost)
	}
	return nil
}

// trouble notes why nothing is delivered, and says so when it is new and once
// a minute.
func (d *Delivery) trouble(why string, say bool) {
	d.state.Store(&why)
	if say && (why != d.told || time.Since(d.toldAt) > sayInterval) {
		d.told, d.toldAt = why, time.Now()
		d.options.Log.Warn().Str("why", why).Msg("cannot deliver: results wait in the journal")
	}
}

func (d *Delivery) connectAndDeliver(ctx context.Context) error {
	conn, err := Dial(ctx, d.options)
	if err != nil {
		return err
	}
	defer conn.Close()
	d.source.Rewind()
	d.pending.Store(0)
	session, err := wire.Connect(ctx, conn, d.options.Hello, nil, d.waiting)
	if err != nil {
		return err
	}
	d.state.Store(nil)
	d.told = ""
	d.options.Log.Info().Str("server_version", session.Welcome.Version).Msg("connected")
	return d.deliver(ctx, session)
}

func (d *Delivery) waiting(text string) {
	d.options.Log.Warn().Str("why", text).Msg("the server takes its time")
}

// Dial connects, and proves to each other who both ends are.
func Dial(ctx context.Context, o Options) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	plain, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	setUserTimeout(plain)
	host, _, _ := net.SplitHostPort(o.Address)
	names := []string{host}
	if o.Name != "" && o.Name != host {
		names = []string{o.Name, host}
	}
	conn := tls.Client(plain, certs.ClientConfig(o.Pair, o.Pool, o.Verify, names...))
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != wire.ALPN {
		conn.Close()
		return nil, errOtherProtocol
	}
	return conn, nil
}

// errOtherProtocol is a server that speaks TLS but not our protocol.
var errOtherProtocol = errors.New("the server does not speak " + wire.ALPN + ": is this the port of a massive-passive server?")

// setUserTimeout has the kernel give a connection up on which nothing was
// acknowledged for long, so that a dead peer is noticed while data waits.
func setUserTimeout(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout/time.Millisecond))
		})
	}
}

// deliver sends in this goroutine and receives in a second one, until the
// session breaks or ctx ends.
func (d *Delivery) deliver(ctx context.Context, s *wire.Session) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	var receiving sync.WaitGroup
	received := context.WithoutCancel(ctx) // at a stop the last ACKs are waited for
	receiveCtx, stopReceiving := context.WithCancel(received)
	receiving.Go(func() { end(d.receive(receiveCtx, s)) })
	err := d.send(life, s)
	if ctx.Err() != nil {
		for deadline := time.Now().Add(time.Second); s.InFlight() > 0 && time.Now().Before(deadline); {
			pause(received, drainTick)
		}
	}
	stopReceiving()
	receiving.Wait()
	if cause := context.Cause(life); cause != nil && ctx.Err() == nil {
		err = cause
	}
	if ctx.Err() != nil || err == nil {
		return s.Close()
	}
	return err
}

func (d *Delivery) send(ctx context.Context, s *wire.Session) error {
	var items []Item
	for {
		var err error
		if items, err = d.next(ctx, s, items); err != nil {
			return err
		}
		for rest := items; len(rest) > 0; {
			var batch wire.Batch
			batch, rest = cut(rest, int(s.Welcome.MaxFrame))
			if err := s.Send(batch); err != nil {
				return fmt.Errorf("send a batch: %w", err)
			}
		}
	}
}

// next waits for results, pings meanwhile, and gathers in batch mode.
func (d *Delivery) next(ctx context.Context, s *wire.Session, items []Item) ([]Item, error) {
	limit := mostItems
	for {
		short, cancel := context.WithTimeout(ctx, wire.PingInterval)
		found, err := d.source.Next(short, items[:0], d.limit(limit), mostBytes)
		cancel()
		if err == nil {
			d.pending.Store(1)
			return d.gather(ctx, found)
		}
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return nil, err
		}
		if err := s.Ping(); err != nil {
			return nil, fmt.Errorf("send a ping: %w", err)
		}
	}
}

func (d *Delivery) limit(most int) int {
	if d.options.BatchWait > 0 && d.options.BatchItems > 0 {
		return min(most, d.options.BatchItems)
	}
	return most
}

// gather waits in batch mode for more to go along. Results are copied, as the
// source's are valid only until its next Next.
func (d *Delivery) gather(ctx context.Context, items []Item) ([]Item, error) {
	limit := d.limit(mostItems)
	if d.options.BatchWait == 0 || len(items) >= limit {
		return items, nil
	}
	size := 0
	keep := func(all []Item, more []Item) []Item {
		for _, it := range more {
			it.Result = append([]byte(nil), it.Result...)
			size += len(it.Result)
			all = append(all, it)
		}
		return all
	}
	all := keep(make([]Item, 0, len(items)), items)
	wait, cancel := context.WithTimeout(ctx, d.options.BatchWait)
	defer cancel()
	var more []Item
	for len(all) < limit && size < mostBytes {
		var err error
		if more, err = d.source.Next(wait, more[:0], limit-len(all), mostBytes-size); err != nil {
			if wait.Err() != nil && ctx.Err() == nil {
				return all, nil
			}
			return nil, err
		}
		all = keep(all, more)
	}
	return all, nil
}

// cut takes the first items that make one batch: of one instance, and not
// longer than the server takes.
func cut(items []Item, maxFrame int) (wire.Batch, []Item) {
	batch := wire.Batch{Instance: items[0].Instance}
	size := wire.BatchOverhead
	n := 0
	for ; n < len(items) && items[n].Instance == batch.Instance; n++ {
		e := wire.Entry{Sequence: items[n].Sequence, Result: items[n].Result}
		if size += e.Size(); size > maxFrame && n > 0 {
			break
		}
		batch.Entries = append(batch.Entries, e)
	}
	return batch, items[n:]
}

func (d *Delivery) receive(ctx context.Context, s *wire.Session) error {
	for {
		ack, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		for _, r := range ack.Rejections {
			d.options.Log.Warn().Uint64("sequence", r.Sequence).Stringer("reason", r.Reason).Str("why", r.Text).Msg("the server rejected a result for good")
			if d.options.Rejected != nil {
				d.options.Rejected(r)
			}
		}
		d.source.Ack(ack.Sequence)
		if s.InFlight() == 0 {
			d.pending.Store(0)
		}
		d.options.Log.Debug().Uint64("sequence", ack.Sequence).Msg("acknowledged")
	}
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
