package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// firstPart is how much of a body is read before the rest is paid for.
const firstPart = 64 << 10

// frame is one frame in hand. Its body is valid until release.
type frame struct {
	kind    Type
	body    []byte
	release func()
}

// frames reads the frames of one connection. It keeps no buffer of its own
// between them: an idle connection costs what its TLS state costs.
type frames struct {
	conn    net.Conn
	long    Type // the one whose body may have limit bytes; others have MaxControl
	limit   uint32
	account *Account // pays for long ones; nil: only limit counts
	// waiting is told every WaitInterval why it takes long: memory is short, or
	// the peer slow; nil: not.
	waiting func(why string)

	head [HeaderSize]byte
	got  int // bytes of the frame that is being read

	mu       sync.Mutex
	deadline time.Time // for the first byte of the next frame
}

// await sets the read deadline for the first byte of the next frame. Any
// goroutine may call it.
func (f *frames) await(deadline time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = deadline
	f.conn.SetReadDeadline(deadline)
}

// awaitNext puts the deadline that await set in the place of that of a body.
func (f *frames) awaitNext() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn.SetReadDeadline(f.deadline)
}

// StalledError is a frame that began and whose rest did not come in time. The
// stream cannot be read on behind it.
type StalledError struct {
	Kind      Type // 0: its header did not come whole
	Have, All int  // bytes of the header or the body
}

func (e *StalledError) Error() string {
	what := e.Kind.String()
	if e.Kind == 0 {
		what = "header"
	}
	return fmt.Sprintf("%s of %d bytes stopped after %d of them", what, e.All, e.Have)
}

var pool = sync.Pool{New: func() any { b := make([]byte, 0, firstPart); return &b }}

// next reads one frame, and skips those before it that may be. The caller has set
// the read deadline for its first byte by await; an os.ErrDeadlineExceeded says
// that this did not come, and next may be called again. Who ends ctx sets a read
// deadline in the past.
func (f *frames) next(ctx context.Context) (frame, error) {
	for {
		if err := f.header(ctx); err != nil {
			return frame{}, err
		}
		size, kind := binary.BigEndian.Uint32(f.head[:]), Type(f.head[4])
		limit := f.limit
		if kind != f.long {
			limit = MaxControl
		}
		if size > limit {
			return frame{}, broken("%s of %d bytes is over the limit of %d", kind, size, limit)
		}
		f.got = 0
		fr, err := f.read(ctx, kind, int(size))
		if err != nil {
			return frame{}, f.broke(ctx, kind, int(size), err)
		}
		if kind&skippable == 0 {
			return fr, nil
		}
		fr.release()
		f.awaitNext()
		if ctx.Err() != nil { // and with it all reading
			return frame{}, context.Cause(ctx)
		}
	}
}

func (f *frames) header(ctx context.Context) (err error) {
	f.got, err = io.ReadAtLeast(f.conn, f.head[:], 1)
	if err != nil || f.got == HeaderSize {
		return err
	}
	return f.broke(ctx, 0, HeaderSize, f.fill(ctx, f.head[f.got:]))
}

// fill reads all of b, a part of the frame. The peer has BodyTimeout for each
// Part from now on, and not from the header: it may have waited for memory
// since.
func (f *frames) fill(ctx context.Context, b []byte) error {
	if f.waiting != nil && len(b) > MaxControl {
		defer repeat(WaitInterval, WaitInterval, func() { f.waiting("your batch comes slowly") })()
	}
	for len(b) > 0 {
		f.conn.SetReadDeadline(time.Now().Add(BodyTimeout))
		if ctx.Err() != nil { // and with it all reading
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(f.conn, b[:min(len(b), Part)])
		f.got += n
		if err != nil {
			return unexpected(err)
		}
		b = b[n:]
	}
	return nil
}

// broke says what an error is that kept a frame from coming whole.
func (f *frames) broke(ctx context.Context, kind Type, all int, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &StalledError{kind, f.got, all}
	case kind == 0:
		return fmt.Errorf("read a header: %w", err)
	}
	return fmt.Errorf("read the body of a %s: %w", kind, err)
}

func (f *frames) read(ctx context.Context, kind Type, size int) (frame, error) {
	if size <= MaxControl {
		body := make([]byte, size)
		return frame{kind, body, func() {}}, f.fill(ctx, body)
	}
	first := min(size, firstPart)
	if err := f.account.pay(ctx, firstPool, first, f.waiting); err != nil {
		return frame{}, err
	}
	loan := pool.Get().(*[]byte)
	release := func() {
		pool.Put(loan)
		f.account.repay(firstPool, first)
	}
	body := (*loan)[:first]
	if err := f.fill(ctx, body); err != nil {
		release()
		return frame{}, err
	}
	if size == first {
		return frame{kind, body, release}, nil
	}
	defer release()
	return f.readRest(ctx, kind, body, size)
}

// readRest reads on after the first part of a long body.
func (f *frames) readRest(ctx context.Context, kind Type, part []byte, size int) (frame, error) {
	if err := f.account.pay(ctx, restPool, size, f.waiting); err != nil {
		return frame{}, err
	}
	body := make([]byte, size)
	n := copy(body, part)
	if err := f.fill(ctx, body[n:]); err != nil {
		f.account.repay(restPool, size)
		return frame{}, err
	}
	return frame{kind, body, func() { f.account.repay(restPool, size) }}, nil
}

// unexpected makes an end of the stream inside a frame what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message is what a frame's body is made from.
type message interface{ Append(b []byte) []byte }

// appendFrame appends the whole frame of m.
func appendFrame(b []byte, kind Type, m message) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, byte(kind))
	b = m.Append(b)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-HeaderSize))
	return b
}

// writer writes whole frames; several goroutines may use it.
type writer struct {
	mu   sync.Mutex
	conn net.Conn
	buf  []byte
	held *time.Timer // writes buf; nil: nothing is held

	deadline sync.Mutex
	hurried  bool
	end      time.Time // of the frame that is being written, once hurried
}

const (
	// keepBuffer is the most that a connection keeps for its next write.
	keepBuffer = 4 << 10
	// holdTime is how long a frame waits for another that takes it along.
	holdTime = time.Second
)

func (w *writer) write(kind Type, m message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = appendFrame(w.buf, kind, m)
	return w.flush()
}

// hold leaves a frame to the next write, to release, or to the end of holdTime.
func (w *writer) hold(kind Type, m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = appendFrame(w.buf, kind, m)
	w.held = time.AfterFunc(holdTime, func() { w.release() }) // a failure is the next write's, too
}

// release writes what is held.
func (w *writer) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

// flush writes what is in buf and empties it; the caller holds the lock. The
// peer has WriteTimeout for each Part.
func (w *writer) flush() error {
	if w.held != nil {
		w.held.Stop()
		w.held = nil
	}
	w.begin()
	var err error
	for rest := w.buf; len(rest) > 0 && err == nil; {
		w.renew()
		part := rest[:min(len(rest), Part)]
		_, err = w.conn.Write(part)
		rest = rest[len(part):]
	}
	w.conn.SetWriteDeadline(time.Time{}) // or who looks after deadlines would look at this one
	w.buf = w.buf[:0]
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	return err
}

// begin is before each frame: of those after hurry each has its own time.
func (w *writer) begin() {
	w.deadline.Lock()
	defer w.deadline.Unlock()
	w.end = time.Now().Add(DrainTimeout)
}

// renew gives what is being written WriteTimeout from now on.
func (w *writer) renew() {
	w.deadline.Lock()
	defer w.deadline.Unlock()
	limit := time.Now().Add(WriteTimeout)
	if w.hurried {
		limit = w.end
	}
	w.conn.SetWriteDeadline(limit)
}

// hurry gives the frame that is being written, and each later one, no more than
// DrainTimeout.
func (w *writer) hurry() {
	w.deadline.Lock()
	defer w.deadline.Unlock()
	w.hurried, w.end = true, time.Now().Add(DrainTimeout)
	w.conn.SetWriteDeadline(w.end)
}
