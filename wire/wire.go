package wire

import (
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"massive-passive/wire/check"
)

// ALPN names version 1 of the protocol in the TLS handshake.
const ALPN = "massive-passive/1"

// DefaultPort is where a server listens unless told otherwise.
const DefaultPort = 5678

// Type is the second field of a frame and says what its body is.
type Type byte

// The types of frames. One with its high bit set may be skipped by who does
// not know it; any other unknown type ends the connection.
const (
	TypeHello   Type = 0x01 // client
	TypeBatch   Type = 0x02 // client
	TypePing    Type = 0x03 // client
	TypeBye     Type = 0x04 // both
	TypeWelcome Type = 0x05 // server
	TypeAck     Type = 0x06 // server
	TypeWait    Type = 0x07 // server
	TypePong    Type = 0x08 // server

	skippable Type = 0x80
)

func (t Type) String() string {
	names := [...]string{"", "HELLO", "BATCH", "PING", "BYE", "WELCOME", "ACK", "WAIT", "PONG"}
	if t > 0 && int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

// Limits in bytes and numbers.
const (
	// HeaderSize is the length of a frame before its body.
	HeaderSize = 5
	// MaxFrame is the longest body that this implementation sends or takes.
	MaxFrame = 4 << 20
	// MinFrame is the least MaxFrame that a WELCOME may announce: a Result of
	// the largest size fits.
	MinFrame = check.MaxOutput + check.MaxCommand
	// MaxEntries is how many results a BATCH may hold.
	MaxEntries = 10000
	// MaxControl is the longest body of a frame that is no BATCH and no ACK.
	MaxControl = 4 << 10
	// FirstFlight is the most that may travel behind a HELLO before WELCOME.
	FirstFlight = 64 << 10
	// MaxText bounds the text of a rejection, a WAIT or a BYE.
	MaxText = 512
	// Part is what of a frame, or all that is left of it, must get through in
	// each BodyTimeout. TLS hands on no less at a time.
	Part = 16 << 10
	// Window is how many bytes of batches a client may have in flight.
	Window = 4 << 20
)

// Times of the protocol.
const (
	// HelloTimeout is how long a server waits for a HELLO after the handshake.
	HelloTimeout = 10 * time.Second
	// BodyTimeout is how long each Part of a body may take to arrive.
	BodyTimeout = 30 * time.Second
	// WriteTimeout is how long each Part of a frame may take to be written.
	WriteTimeout = 30 * time.Second
	// FirstWait is when a server first says that an ACK takes long: before a
	// one-shot send has given up.
	FirstWait = 5 * time.Second
	// WaitInterval is how often a server says that an ACK takes long.
	WaitInterval = 15 * time.Second
	// PingInterval is how long a client lets an idle connection be silent. The
	// kernel's keep-alive finds a dead machine or line in a minute and wakes
	// nobody: what is left for a PING is a process that hangs, whom nothing is
	// sent to that would need an ACK.
	PingInterval = 8 * time.Minute
	// AnswerTimeout is how long a client waits for a PONG or a WELCOME.
	AnswerTimeout = 15 * time.Second
	// AckTimeout is how long a client waits for an ACK or a WAIT.
	AckTimeout = 45 * time.Second
	// IdleTimeout is how long a server waits for the next frame.
	IdleTimeout = 10 * time.Minute
	// DrainTimeout is how long who closes reads on for the peer's last bytes.
	DrainTimeout = 2 * time.Second
)

// KeepAlive are the kernel's looks at an idle connection, from both ends: a peer
// that answers none for 55 s is dead.
func KeepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 25 * time.Second, Interval: 10 * time.Second, Count: 3}
}

// Instance identifies one run of a client: 16 random bytes.
type Instance [16]byte

func (i Instance) String() string { return hex.EncodeToString(i[:]) }

// ProtocolError says how a peer broke the protocol.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "protocol error: " + e.Reason }

func broken(format string, args ...any) error {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}
