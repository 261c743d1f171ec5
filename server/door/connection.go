package door

import (
	"context"
	"errors"
	"net"
	"strings"

	"massive-passive/internal/logx"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"

	"github.com/rs/zerolog"
)

// connection is the connection of one client, whatever it speaks.
type connection struct {
	Peer
	door    *Door
	end     context.CancelCauseFunc
	account *wire.Account

	instance wire.Instance // of the client, once it said; owned by openConnections
	remember uint32        // seconds to remember the instance
	counted  bool          // among its client's connections; owned by openConnections
}

// open makes the connection of a client that is listed. Its context is ended by
// openConnections, with a reason. The caller of open calls close at the end.
func (d *Door) open(ctx context.Context, p Peer) (*connection, context.Context) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &connection{Peer: p, door: d, end: end, account: d.budget.Open(p.Client)}
	d.connections.add(c, d.options.ClientConnections)
	if bye := p.Proof.Refused(p.Client); bye != nil { // since the handshake
		end(bye)
	}
	d.intake.NoteSeen(p.Client)
	return c, ctx
}

func (c *connection) close() {
	c.door.intake.NoteSeen(c.Client)
	c.door.connections.remove(c)
	c.account.Close()
	c.end(nil)
}

// drop closes a connection without the farewell of TLS. A peer of version 0.3.9 takes
// that farewell as the confirmation that all it sent is safe.
func drop(conn net.Conn) {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	conn.Close()
}

// logEnd logs why a connection ended, for each client and kind of end at most
// once a minute: a client that breaks the protocol comes back at once.
func (c *connection) logEnd(err error, message string) {
	var bye *wire.ByeError
	var broken *wire.ProtocolError
	var stalled *wire.StalledError
	var malformed *check.FormatError
	var old *legacy.FormatError
	kind := "connection"
	switch {
	case errors.As(err, &bye):
		kind = bye.Reason.String()
	case errors.As(err, &broken), errors.As(err, &malformed), errors.As(err, &old):
		kind = wire.Violation.String()
	case errors.As(err, &stalled):
		kind = "stalled"
	}
	c.about(c.door.options.Clients.Warn(c.Client, "ended "+kind)).Str("why", logx.Clip(strings.TrimSpace(err.Error()))).Msg(message)
}

// about adds to a line of the log whom it is about. A logger that knows would be
// half a kilobyte for each connection.
func (c *connection) about(e *zerolog.Event) *zerolog.Event {
	return e.Str("client", c.Client).Stringer("peer", c.Address)
}
