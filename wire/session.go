package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"
)

// Session is the client's side of an established connection. One goroutine
// sends (Send, Ping), one receives (Receive).
type Session struct {
	// Welcome is what the server announced.
	Welcome Welcome

	conn    net.Conn
	in      frames
	out     writer
	waiting func(text string)

	mu       sync.Mutex
	room     sync.Cond // fewer bytes are in flight, or the session ends or ended
	sent     []sent    // batches without their ACK, oldest first
	inFlight int       // their bytes
	last     uint64    // the last sequence sent
	acked    uint64
	pinged   bool
	ended    bool
	hurried  bool
	since    time.Time // the server owes something: when it was last heard of, or began to
}

type sent struct {
	last    uint64
	size    int
	entries int
}

// Connect says HELLO on conn, with first behind it in the same flight unless
// it is nil (its body may have FirstFlight bytes), and waits for the WELCOME
// until ctx ends or AnswerTimeout is over. waiting is told why an ACK takes
// long. Where the server refuses, the error is a *ByeError.
func Connect(ctx context.Context, conn net.Conn, hello Hello, first *Batch, waiting func(string)) (*Session, error) {
	s := &Session{conn: conn, in: frames{conn: conn, long: TypeAck, limit: MaxFrame}, out: writer{conn: conn}, waiting: waiting}
	s.room.L = &s.mu
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	s.out.buf = appendFrame(nil, TypeHello, &hello)
	if first != nil {
		before := len(s.out.buf)
		s.out.buf = appendFrame(s.out.buf, TypeBatch, first)
		s.note(first, len(s.out.buf)-before)
	}
	// A server that refuses may have closed already: what it said counts more
	// than the failed write.
	writeErr := s.out.flush()
	s.in.await(time.Now().Add(AnswerTimeout))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fr, err := s.in.next(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the server's WELCOME: %w", err), writeErr)
	}
	switch fr.kind {
	case TypeWelcome:
		if s.Welcome, err = DecodeWelcome(fr.body); err != nil || writeErr != nil {
			return nil, errors.Join(err, writeErr)
		}
		s.Welcome.MaxFrame = min(s.Welcome.MaxFrame, math.MaxInt32) // an int everywhere
		s.Welcome.Window = min(s.Welcome.Window, math.MaxInt32)
		s.noteAlive()
		return s, nil
	case TypeBye:
		return nil, byeError(fr.body)
	}
	return nil, broken("%s in place of a WELCOME", fr.kind)
}

func byeError(body []byte) error {
	bye, err := DecodeBye(body)
	if err != nil {
		return err
	}
	return &ByeError{bye.Reason, bye.Text}
}

// Send sends a batch, whose sequences are beyond all before, and does not wait
// for its ACK; it waits while the server's window is full, until Hurry.
func (s *Session) Send(b Batch) error {
	frame := appendFrame(nil, TypeBatch, &b)
	if len(frame)-HeaderSize > int(s.Welcome.MaxFrame) {
		return fmt.Errorf("a batch of %d bytes is over the server's limit of %d", len(frame)-HeaderSize, s.Welcome.MaxFrame)
	}
	s.mu.Lock()
	full := func() bool { return s.inFlight > 0 && s.inFlight+len(frame) > int(s.Welcome.Window) }
	for full() && !s.ended && !s.hurried {
		s.room.Wait()
	}
	refused := s.ended || full()
	s.mu.Unlock()
	if refused {
		return net.ErrClosed
	}
	s.note(&b, len(frame))
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.buf = frame
	return s.out.flush()
}

// note counts a batch as in flight before it is written: its ACK may be there
// before the write returns.
func (s *Session) note(b *Batch, size int) {
	s.mu.Lock()
	if len(s.sent) == 0 && !s.pinged {
		s.since = time.Now()
	}
	s.last = b.Entries[len(b.Entries)-1].Sequence
	s.sent = append(s.sent, sent{s.last, size, len(b.Entries)})
	s.inFlight += size
	s.mu.Unlock()
	s.arm()
}

// Ping asks for a sign of life, and tells whether it did: while batches are in
// flight, or an earlier PING has no answer, it sends nothing.
func (s *Session) Ping() (sent bool, err error) {
	s.mu.Lock()
	busy := len(s.sent) > 0 || s.pinged
	if !busy {
		s.pinged, s.since = true, time.Now()
	}
	token := s.last
	s.mu.Unlock()
	if busy {
		return false, nil
	}
	s.arm()
	return true, s.out.write(TypePing, &Ping{Token: token})
}

// InFlight returns how many batches wait for their ACK.
func (s *Session) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// unsettled returns how many results wait for their ACK.
func (s *Session) unsettled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, batch := range s.sent {
		n += batch.entries
	}
	return n
}

// noteAlive notes a sign of life. While there are any, a batch may take its time
// to be written: the kernel may take none of it for long where the line is slow.
func (s *Session) noteAlive() {
	s.mu.Lock()
	s.since = time.Now()
	s.mu.Unlock()
	s.out.renew()
	s.arm()
}

// arm sets the deadline for the server's next frame by what it owes.
func (s *Session) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var deadline time.Time
	switch {
	case s.ended:
		return
	case len(s.sent) > 0:
		deadline = s.since.Add(AckTimeout)
	case s.pinged:
		deadline = s.since.Add(AnswerTimeout)
	}
	s.in.await(deadline)
}

// Receive returns the next ACK. An error ends the session; a *ByeError is the
// server's word.
func (s *Session) Receive(ctx context.Context) (Ack, error) {
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	for {
		ack, done, err := s.receive(ctx)
		if err != nil {
			s.end()
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return Ack{}, err
		}
		s.noteAlive()
		if done {
			return ack, nil
		}
	}
}

// end wakes whoever waits for the server.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.conn.SetReadDeadline(time.Unix(1, 0))
	s.room.Broadcast()
}

func (s *Session) receive(ctx context.Context) (ack Ack, done bool, err error) {
	fr, err := s.in.next(ctx)
	if err != nil {
		return Ack{}, false, err
	}
	defer fr.release()
	switch fr.kind {
	case TypeAck:
		ack, err = DecodeAck(fr.body, s.unsettled())
		if err == nil {
			err = s.acknowledged(ack)
		}
		return ack, true, err
	case TypePong:
		_, err = DecodePing(fr.body)
		s.mu.Lock()
		s.pinged = false
		s.mu.Unlock()
	case TypeWait:
		var wait Wait
		if wait, err = DecodeWait(fr.body); err == nil && s.waiting != nil {
			s.waiting(wait.Text)
		}
	case TypeBye:
		err = byeError(fr.body)
	default:
		err = broken("unexpected %s", fr.kind)
	}
	return Ack{}, false, err
}

// acknowledged takes what an ACK covers out of flight.
func (s *Session) acknowledged(ack Ack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ack.Sequence <= s.acked || ack.Sequence > s.last {
		return broken("ACK of %d, with %d sent and %d acknowledged", ack.Sequence, s.last, s.acked)
	}
	for _, r := range ack.Rejections {
		if r.Sequence <= s.acked || r.Sequence > ack.Sequence {
			return broken("ACK of %d rejects %d", ack.Sequence, r.Sequence)
		}
	}
	s.acked = ack.Sequence
	n := 0
	for ; n < len(s.sent) && s.sent[n].last <= ack.Sequence; n++ {
		s.inFlight -= s.sent[n].size
	}
	s.sent = append(s.sent[:0], s.sent[n:]...)
	s.room.Signal()
	return nil
}

// Hurry leaves a moment, DrainTimeout, to what is being written, and none to what
// waits for the window, so that a server that reads or acknowledges no more does
// not hold up an end.
func (s *Session) Hurry() {
	s.mu.Lock()
	s.hurried = true
	s.room.Signal()
	s.mu.Unlock()
	s.out.hurry()
}

// Close says BYE and ends the connection in order.
func (s *Session) Close() error {
	s.Hurry()
	s.out.write(TypeBye, &Bye{Reason: Done})
	return Close(s.conn)
}

// Leave says BYE and closes without waiting for the server's end. It is for who
// has got the last ACK: nothing that could still get lost matters, and BYE says
// all that TLS's own farewell could.
func (s *Session) Leave() error {
	s.out.write(TypeBye, &Bye{Reason: Done})
	if secured, ok := s.conn.(interface{ NetConn() net.Conn }); ok {
		return secured.NetConn().Close()
	}
	return s.conn.Close()
}
