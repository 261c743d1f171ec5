package legacy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// Times of the protocol, as this implementation sets them.
const (
	// FirstTimeout is how long a peer has for the first byte of its first message.
	FirstTimeout = 10 * time.Second
	// IdleTimeout is how long the next message may take to begin.
	IdleTimeout = time.Minute
	// MessageTimeout is how long a message may take from its first byte to its last.
	MessageTimeout = 2 * time.Minute
	// Silence is how long the sender of a message of the older form says
	// nothing more before it is taken to wait for its answer.
	Silence = 300 * time.Millisecond
)

// Small is how much base64 of a message, in bytes, is made room for at once.
const Small = 64 << 10

// tiny is the longest message, in bytes of base64, that Room is not asked for.
const tiny = 4 << 10

// maxDigits is as long as the length of a message can be.
const maxDigits = 9

// Message is one message as it came.
type Message struct {
	Form Form
	Text []byte // decoded; valid until the next Next
}

// Reader reads the messages of one connection. It belongs to one goroutine.
type Reader struct {
	// Room waits for the memory of a message, more bytes beside the held ones
	// that it asked for already, and returns what gives them back. Nil: there is
	// enough.
	Room func(ctx context.Context, held, more int) (release func(), err error)

	Most int           // bytes of base64 of a message
	Idle time.Duration // how long the next message may take to begin

	conn    net.Conn
	buf     []byte // read, and not yet part of a message that was returned
	started bool
	ended   error // of reading; io.EOF where the peer ended in order

	held    int // bytes of memory that Room gave for the message
	release []func()
}

// NewReader reads from conn, whose read deadlines it sets. It does not close it.
func NewReader(conn net.Conn) *Reader {
	return &Reader{conn: conn, Most: MaxMessage, Idle: IdleTimeout}
}

// Close gives back the memory of the last message.
func (r *Reader) Close() {
	for _, release := range r.release {
		release()
	}
	r.release, r.held = nil, 0
}

// Next returns the next message. io.EOF says that the peer ended the connection
// behind a message; a *FormatError that this is no message of either form; a
// message that does not come to its end is an io.ErrUnexpectedEOF or
// os.ErrDeadlineExceeded. After an error there is no next message. When ctx
// ends, so does Next, with the cause.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	r.Close()
	stop := context.AfterFunc(ctx, func() { r.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := r.begin(ctx); err != nil {
		return Message{}, err
	}
	m, err := r.read(ctx, time.Now().Add(MessageTimeout))
	var bad *FormatError
	if errors.As(err, &bad) {
		bad.Form = m.Form
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// read reads a message whose first byte is there. Its form is right beside an
// error, too.
func (r *Reader) read(ctx context.Context, deadline time.Time) (Message, error) {
	m := Message{Form: Older}
	size, newer, err := r.header(ctx, deadline)
	if newer {
		m.Form = Newer
	}
	switch {
	case err != nil:
	case newer:
		err = r.readNewer(ctx, deadline, size)
	default:
		size, err = r.readOlder(ctx, deadline)
	}
	if err != nil {
		return m, err
	}
	m.Text, err = r.decode(size)
	return m, err
}

// begin waits for the first byte of a message.
func (r *Reader) begin(ctx context.Context) error {
	limit := r.Idle
	if !r.started {
		limit, r.started = FirstTimeout, true
	}
	deadline := time.Now().Add(limit)
	for {
		n := 0
		for n < len(r.buf) && isBlank(r.buf[n]) {
			n++
		}
		if r.buf = r.buf[n:]; len(r.buf) > 0 {
			return nil
		}
		if err := r.fill(ctx, deadline); err != nil {
			return err
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// header tells the forms apart and takes the length of the newer one: base64
// may begin with digits too, but has no space.
func (r *Reader) header(ctx context.Context, deadline time.Time) (size int, newer bool, err error) {
	for n := 0; ; n++ {
		if n == len(r.buf) {
			if err := r.fill(ctx, deadline); errors.Is(err, io.EOF) {
				return 0, false, nil
			} else if err != nil {
				return 0, false, err
			}
		}
		switch c := r.buf[n]; {
		case c == ' ' && n > 0:
			r.buf = r.buf[n+1:]
			if size == 0 || size > r.Most {
				return 0, true, malformed("its length is given as %d bytes, and may be from 1 to %d", size, r.Most)
			}
			return size, true, nil
		case c < '0' || c > '9' || n == maxDigits:
			return 0, false, nil
		default:
			size = 10*size + int(c-'0')
		}
	}
}

func (r *Reader) readNewer(ctx context.Context, deadline time.Time, size int) error {
	if err := r.room(ctx, deadline, size); err != nil {
		return err
	}
	for len(r.buf) < size {
		if err := r.fill(ctx, deadline); err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// readOlder returns where the message ends.
func (r *Reader) readOlder(ctx context.Context, deadline time.Time) (size int, err error) {
	var s scan
	for {
		complete, err := s.advance(r.buf)
		switch {
		case err != nil:
			return 0, err
		case complete:
			return s.at, nil
		case s.at > r.Most:
			return 0, malformed("it is over the limit of %d bytes", r.Most)
		}
		if err := r.growRoom(ctx, deadline, s.at); err != nil {
			return 0, err
		}
		until := deadline
		if s.betweenLines() {
			until = time.Now().Add(Silence)
		}
		err = r.fill(ctx, until)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && s.whole(), errors.Is(err, os.ErrDeadlineExceeded) && s.betweenLines() && time.Now().Before(deadline):
			return s.at, nil
		default:
			return 0, unexpected(err)
		}
	}
}

// growRoom makes room for a message whose length nobody knows, of which size
// bytes are there. It pays for twice as much as came, never for the longest
// message: a peer that stops in the midst of one shall not hold that much. Those
// that grow at the same time may each hold what the others wait for, until the
// first one's deadline.
func (r *Reader) growRoom(ctx context.Context, deadline time.Time, size int) error {
	if 2*size <= r.held {
		return nil
	}
	if size > tiny {
		size = min(max(2*size, Small), r.Most)
	}
	return r.room(ctx, deadline, size)
}

// room makes room for the base64 and the text of a message of size bytes.
func (r *Reader) room(ctx context.Context, deadline time.Time, size int) error {
	if r.Room == nil || size <= tiny {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	release, err := r.Room(ctx, r.held, 2*size-r.held)
	if err != nil {
		return fmt.Errorf("wait for the memory of a message: %w", err)
	}
	r.release, r.held = append(r.release, release), 2*size
	return nil
}

// fill reads more. The buffer grows with what came, never with what was
// announced.
func (r *Reader) fill(ctx context.Context, deadline time.Time) error {
	if r.ended != nil {
		return r.ended
	}
	r.conn.SetReadDeadline(deadline)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.buf = slices.Grow(r.buf, 1024)
	n, err := r.conn.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	case err != nil:
		r.ended = err
	}
	if n > 0 {
		return nil
	}
	return err
}

// decode takes size bytes of base64 off the buffer.
func (r *Reader) decode(size int) ([]byte, error) {
	text, err := base64.StdEncoding.AppendDecode(nil, r.buf[:size])
	if r.buf = r.buf[size:]; len(r.buf) == 0 {
		r.buf = nil
	}
	if err != nil {
		return nil, malformed("%v", err)
	}
	if len(text) == 0 {
		return nil, malformed("it is empty")
	}
	return text, nil
}

// unexpected makes an end of the stream inside a message what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read a message: %w", err)
}
