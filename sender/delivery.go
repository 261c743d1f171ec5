// Package sender gets results to servers: a Delivery keeps one connection and
// drains a source, Run sends what is on standard input and ends. It knows
// nothing of checks or of journals; what it sends is encoded already.
package sender

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire"
	"massive-passive/wire/certs"

	"github.com/rs/zerolog"
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
	End     certs.End
	Verify  certs.Verify
	Hello   wire.Hello

	// Brief says that a connection is for a few results only: the key exchange
	// that withstands quantum computers costs more than all of these. P-256 costs
	// the least, for the certificates need its tables anyhow.
	Brief bool

	// Modern says that the server is known to speak version 1, so that nobody
	// can talk us back into the protocol of 0.3.9; Spoke is told when it does
	// for the first time, and may be nil.
	Modern bool
	Spoke  func()

	BatchWait  time.Duration // 0: what is there is sent at once; else gather for so long,
	BatchItems int           // or up to so many; 0: no limit

	Log      zerolog.Logger
	Rejected func(wire.Rejection) // may be nil

	// Identity outlives a Delivery that another to the same server follows;
	// nil: one for Hello.Instance.
	Identity *Identity
}

const (
	dialTimeout      = 10 * time.Second
	userTimeout      = 55 * time.Second // unacknowledged by the peer's kernel
	retryFirst       = 500 * time.Millisecond
	retryMost        = 30 * time.Second
	mostItems        = wire.MaxEntries
	mostBytes        = 1 << 20 // of a batch, but for a single result that is larger
	fewestBytes      = wire.Part
	drainTick        = 20 * time.Millisecond
	steadyConnection = 30 * time.Second // resets the back-off, as an ACK does
	pingRecheck      = 5 * time.Second  // while an ACK keeps a PING from going
	confirmTime      = time.Second      // for the last ACKs at a stop, and the last word of a server
)

// Delivery gets the results of a source to one server, in order.
type Delivery struct {
	options  Options
	source   Source
	state    atomic.Pointer[string]       // why it is not connected; nil while it is
	held     atomic.Pointer[string]       // what the server said instead of an ACK; nil once one came
	session  atomic.Pointer[wire.Session] // nil while not connected
	inHand   atomic.Bool                  // the source gave something that is not all sent
	counters counters
	// bytes of a batch: fewer after each connection that brought nothing through,
	// more after each ACK. A connection's goroutine that receives writes it.
	bytes atomic.Int64

	drain    chan struct{} // closed by Drain: gather no more
	draining sync.Once

	throttle *logx.Throttle // of all that a server can cause
	gaveUp   uint64         // the last sequence that could not be put into the words of 0.3.9
}

// What a server can have a Delivery log a minute: a bad one chooses its words, and
// breaks off as often as it likes.
const (
	mostLines = 30
	mostTexts = 5 // different ones about the same
)

// New makes a Delivery; it does nothing before Run.
func New(o Options, s Source) *Delivery {
	if o.Identity == nil {
		o.Identity = NewIdentity(&alone{[]wire.Instance{o.Hello.Instance}})
	}
	d := &Delivery{options: o, source: s, drain: make(chan struct{}), throttle: logx.NewThrottle(o.Log, logx.Limits{Lines: mostLines, Names: mostTexts})}
	d.bytes.Store(mostBytes)
	return d
}

// State says why nothing is delivered; "" while the server acknowledges.
func (d *Delivery) State() string {
	if s := d.state.Load(); s != nil {
		return *s
	}
	if s := d.held.Load(); s != nil {
		return fmt.Sprintf("the server answers, and acknowledges nothing: %q", *s)
	}
	return ""
}

// Drain waits until nothing is in flight and the source gave nothing for a
// moment, or until the server is out of reach, or ctx ends. From then on
// batches are sent without gathering.
func (d *Delivery) Drain(ctx context.Context) {
	d.draining.Do(func() { close(d.drain) })
	for quiet := 0; quiet < 5 && d.state.Load() == nil && ctx.Err() == nil; quiet++ {
		if s := d.session.Load(); d.inHand.Load() || s != nil && s.InFlight() > 0 {
			quiet = 0
		}
		pause(ctx, drainTick)
	}
}

// Run delivers until ctx ends.
func (d *Delivery) Run(ctx context.Context) error {
	defer d.throttle.Close()
	wait := retryFirst
	d.trouble("not yet connected", false)
	for ctx.Err() == nil {
		steady, err := d.connectAndDeliver(ctx)
		if ctx.Err() != nil {
			break
		}
		if steady {
			wait = retryFirst
		}
		d.trouble(Explain(err, &d.options), true)
		pause(ctx, wait/2+rand.N(wait/2+1))
		wait = min(2*wait, retryMost)
	}
	return nil
}

// trouble notes why nothing is delivered, and says so when it is new and once
// a minute.
func (d *Delivery) trouble(why string, say bool) {
	d.state.Store(&why)
	if say {
		d.throttle.Still(why).Warn(d.options.Address, "trouble").Str("why", logx.ClipText(why)).Msg("cannot deliver: results wait in the journal")
	}
}

// connectAndDeliver lives for one connection. It was steady if it lasted, or
// if the server took something.
func (d *Delivery) connectAndDeliver(ctx context.Context) (steady bool, err error) {
	link, err := dial(ctx, d.options)
	if err == nil && link.old {
		link, steady, err = d.deliverOld(ctx, link)
	}
	if err != nil {
		return steady, err
	}
	defer link.Close()
	d.options.modern()
	me := d.options.Identity
	me.follow()
	d.held.Store(nil)
	d.options.Hello.Instance = me.current
	session, err := wire.Connect(ctx, link, d.options.Hello, nil, d.waiting)
	if err == nil && me.isTaken(session.Welcome.Last) {
		session.Close()
		err = errTaken
	}
	if err == nil {
		d.throttle.Info(d.options.Address, "connected").Str("server_version", logx.Clip(session.Welcome.Version)).Msg("connected")
		steady, err = d.deliver(ctx, link, session)
	}
	if isTaken(err) && ctx.Err() == nil {
		me.instances.Renew(me.current)
		d.throttle.Warn(d.options.Address, "taken").Msg("another process sends as this very run of the client, as after a machine was cloned or restored while it ran: " +
			"what is not acknowledged is sent under a new instance")
	}
	return steady, err
}

// waiting is told by the server why an ACK takes long.
func (d *Delivery) waiting(text string) {
	d.held.Store(&text)
	event := d.throttle.Still("").Warn(d.options.Address, "waits")
	if event == nil {
		event = d.options.Log.Debug()
	}
	event.Str("why", logx.ClipText(text)).Msg("the server takes its time")
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
