package legacy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Below is the connection below TLS. Its end there, without a close_notify, may
// be an attacker's doing or a crash, and crypto/tls does not tell the two apart.
type Below struct {
	net.Conn
	ended atomic.Bool
}

// Read notes the end of the connection.
func (b *Below) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

const (
	// ConfirmTimeout is how long a server may take to close behind a message.
	ConfirmTimeout = time.Minute
	writeTimeout   = 30 * time.Second // for each part of a message
	writePart      = 64 << 10
)

// ErrNotConfirmed says that the server ended the connection without a
// close_notify, so that nobody knows what became of the message.
var ErrNotConfirmed = errors.New("the server broke the connection off and did not confirm the message")

// Send sends text as the one message of a connection, in the newer form,
// half-closes, and returns nil when the server has closed in order: it does so
// behind what it took. When ctx ends, so does Send. conn is not closed; below
// lies under it.
func Send(ctx context.Context, conn *tls.Conn, below *Below, text []byte) error {
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	err := confirm(ctx, conn, below, Append(nil, Newer, text))
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return err
}

func confirm(ctx context.Context, conn *tls.Conn, below *Below, message []byte) error {
	for len(message) > 0 {
		part := message[:min(writePart, len(message))]
		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := conn.Write(part); err != nil {
			return fmt.Errorf("send a message: %w", err)
		}
		message = message[len(part):]
	}
	if err := conn.CloseWrite(); err != nil {
		return fmt.Errorf("end a message: %w", err)
	}
	conn.SetReadDeadline(time.Now().Add(ConfirmTimeout))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return fmt.Errorf("wait for the server to close: %w", err)
	}
	return Confirmed(below)
}

// Confirmed tells, once TLS came to its end, whether that was by a
// close_notify; otherwise the error is ErrNotConfirmed.
func Confirmed(below *Below) error {
	if below.ended.Load() {
		return ErrNotConfirmed
	}
	return nil
}
