package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"massive-passive/wire/check"
)

// Handler is what a server does with what a client sends. All but Submit and
// Waiting are called by the goroutine that called Serve.
type Handler interface {
	// Hello is told who is there, and returns the highest sequence that is
	// known of its instance, 0 for none. An error that is a *ByeError ends the
	// connection with its reason.
	Hello(Hello) (last uint64, err error)
	// Submit returns when the entries are safe, with those that never will
	// be. Its entries are valid until it returns. An error ends the
	// connection without an ACK. It is called for one batch after the other.
	Submit(ctx context.Context, b Batch) ([]Rejection, error)
	// Waiting says why Submit takes long, for people.
	Waiting() string
}

// ByeError is the reason for which a connection was ended, by either side.
type ByeError struct {
	Reason ByeReason
	Text   string
}

func (e *ByeError) Error() string {
	if e.Text == "" {
		return e.Reason.String()
	}
	return e.Reason.String() + ": " + e.Text
}

// ServerConfig is what Serve announces and keeps to. Zero values mean the
// defaults of the protocol.
type ServerConfig struct {
	Version     string
	MaxFrame    uint32
	Account     *Account // of the client; nil: memory is not counted
	IdleTimeout time.Duration
	End         context.CancelCauseFunc // of the context given to Greet; nil: there is none yet
}

// Serve speaks the server's side on an established connection: Greet, and what
// is left of it then.
func Serve(ctx context.Context, conn net.Conn, c ServerConfig, h Handler) error {
	return Greet(ctx, conn, c, h).Serve()
}

// Greet speaks the server's side on an established connection as far as the
// WELCOME and the batch that came with the HELLO. It and the handshake before
// need more of a stack than the long life of an idle client: who has many gives
// the two a goroutine each. Serve is to be called on what it returns.
func Greet(ctx context.Context, conn net.Conn, c ServerConfig, h Handler) *Serving {
	if c.MaxFrame == 0 {
		c.MaxFrame = MaxFrame
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = IdleTimeout
	}
	if c.End == nil {
		ctx, c.End = context.WithCancelCause(ctx)
	}
	s := &Serving{ctx: ctx, config: c, handler: h, out: writer{conn: conn}, idle: true}
	s.room.L = &s.mu
	s.in = frames{conn: conn, long: TypeBatch, limit: c.MaxFrame, account: c.Account, waiting: s.wait}
	s.stop = context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0))
		s.out.hurry() // a peer that reads no more does not hold up an end
	})
	s.ended, s.err = s.welcome(ctx)
	return s
}

// Serve takes what comes until the client ends the connection (nil), it breaks,
// or the context ends, as it has when Serve returns; a *ByeError as its cause is
// what the client is told. It does not close the connection.
func (s *Serving) Serve() error {
	defer s.stop()
	for !s.ended && s.err == nil {
		s.ended, s.err = s.step(s.ctx)
	}
	s.config.End(s.err) // a client that left without its ACK sends again
	s.committer.Wait()
	return s.farewell(s.ctx, s.err)
}

// Serving is one connection. The goroutine of Serve reads; a second one
// exists only while batches wait for their ACK, so that an idle client costs
// one goroutine.
type Serving struct {
	ctx     context.Context
	config  ServerConfig
	handler Handler
	stop    func() bool // looking out for the end of ctx
	in      frames
	out     writer
	ended   bool  // by the client
	err     error // why it ended otherwise

	last      uint64 // the last sequence read, which the next must exceed
	committer sync.WaitGroup

	mu       sync.Mutex
	queue    []pending // batches read, not yet submitted
	inFlight int       // bytes of all batches without their ACK
	idle     bool      // no committer runs
	room     sync.Cond // inFlight fell
}

type pending struct {
	batch Batch
	frame frame
	cost  int // paid, beside the frame
}

func (s *Serving) step(ctx context.Context) (done bool, err error) {
	fr, err := s.next(ctx, s.config.IdleTimeout)
	if err != nil {
		return true, err
	}
	return s.handle(ctx, fr)
}

// welcome takes the HELLO, and the batch of its flight.
func (s *Serving) welcome(ctx context.Context) (done bool, err error) {
	first, err := s.next(ctx, HelloTimeout)
	if err != nil {
		return true, err
	}
	defer first.release()
	if first.kind != TypeHello {
		return true, broken("%s before HELLO", first.kind)
	}
	hello, err := DecodeHello(first.body)
	if err != nil {
		return true, err
	}
	last, err := s.handler.Hello(hello)
	if err != nil {
		return true, err
	}
	s.out.hold(TypeWelcome, &Welcome{Version: s.config.Version, MaxFrame: s.config.MaxFrame, Window: Window, Last: last})
	return s.takeFlight(ctx)
}

// takeFlight handles the batch that came in one flight with the HELLO, if one
// did: what is said next, its ACK as a rule, takes the WELCOME along.
func (s *Serving) takeFlight(ctx context.Context) (done bool, err error) {
	s.in.await(time.Unix(1, 0)) // nothing that is yet to come
	fr, err := s.in.next(ctx)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, s.out.release()
	case err != nil:
		return true, err
	}
	return s.handle(ctx, fr)
}

func (s *Serving) handle(ctx context.Context, fr frame) (done bool, err error) {
	if fr.kind == TypeBatch {
		return s.handleBatch(ctx, fr)
	}
	defer fr.release()
	switch fr.kind {
	case TypePing:
		ping, err := DecodePing(fr.body)
		if err != nil {
			return true, err
		}
		return false, s.out.write(TypePong, &ping)
	case TypeBye:
		_, err := DecodeBye(fr.body)
		return true, err
	}
	return true, broken("unexpected %s", fr.kind)
}

func (s *Serving) handleBatch(ctx context.Context, fr frame) (done bool, err error) {
	p, err := s.decode(ctx, fr)
	if err != nil {
		fr.release()
		return true, err
	}
	s.push(ctx, p)
	return false, nil
}

// decode pays for what a batch is going to take before it is made.
func (s *Serving) decode(ctx context.Context, fr frame) (pending, error) {
	n, err := countEntries(fr.body)
	if err != nil {
		return pending{}, err
	}
	p := pending{frame: fr, cost: batchCost + n*entryCost}
	if len(fr.body) <= MaxControl { // not paid for yet
		p.cost += len(fr.body)
	}
	if err := s.config.Account.pay(ctx, decodedPool, p.cost, s.wait); err != nil {
		return pending{}, err
	}
	p.batch, err = decodeBatch(fr.body, n)
	if err == nil && p.batch.Entries[0].Sequence <= s.last {
		err = broken("sequence %d after %d", p.batch.Entries[0].Sequence, s.last)
	}
	if err != nil {
		s.config.Account.repay(decodedPool, p.cost)
		return pending{}, err
	}
	s.last = p.batch.Entries[len(p.batch.Entries)-1].Sequence
	return p, nil
}

// next reads the next frame. A client may be silent for limit, and for as long
// as it waits for an ACK.
func (s *Serving) next(ctx context.Context, limit time.Duration) (frame, error) {
	for {
		s.in.await(time.Now().Add(limit))
		if ctx.Err() != nil {
			return frame{}, context.Cause(ctx)
		}
		fr, err := s.in.next(ctx)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return fr, err
		}
		if ctx.Err() != nil {
			return frame{}, context.Cause(ctx)
		}
		if !s.owesAck() {
			return frame{}, &ByeError{Idle, fmt.Sprintf("nothing heard for %v", limit)}
		}
	}
}

func (s *Serving) owesAck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.idle
}

// farewell says BYE where the client may want to know why.
func (s *Serving) farewell(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	s.out.hurry()
	var bye *ByeError
	var stalled *StalledError
	var violation *ProtocolError
	var format *check.FormatError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &bye):
		s.out.write(TypeBye, &Bye{Reason: bye.Reason, Text: bye.Text})
	case errors.As(err, &stalled):
		s.out.write(TypeBye, &Bye{Reason: Idle, Text: stalled.Error()})
	case errors.As(err, &violation):
		s.out.write(TypeBye, &Bye{Reason: Violation, Text: violation.Reason})
	case errors.As(err, &format):
		s.out.write(TypeBye, &Bye{Reason: Violation, Text: format.Reason})
	}
	return err
}

// Refuse tells a client that just connected why it may not stay.
func Refuse(conn net.Conn, reason ByeReason, text string) {
	w := writer{conn: conn}
	w.hurry()
	w.write(TypeBye, &Bye{Reason: reason, Text: text})
	Close(conn)
}

// Close ends a connection so that the last bytes arrive: it half-closes, reads
// on to the peer's end for at most DrainTimeout, then closes. A socket that
// is closed with unread bytes would reset the connection.
func Close(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && halfClose(conn, half.CloseWrite) == nil {
		conn.SetReadDeadline(time.Now().Add(DrainTimeout))
		io.Copy(io.Discard, conn)
	}
	return conn.Close()
}

// halfClose gives up after DrainTimeout. TLS gives the farewell to a peer that
// reads no more longer, and sets that deadline itself.
func halfClose(conn net.Conn, closeWrite func() error) error {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		defer time.AfterFunc(DrainTimeout, func() { secured.NetConn().Close() }).Stop()
	}
	return closeWrite()
}
