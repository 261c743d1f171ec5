package door

import (
	"context"
	"net"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
)

// massiveProtocol is the protocol of package wire, version 1.
type massiveProtocol struct{ door *Door }

func (m massiveProtocol) refuse(conn net.Conn, why *wire.ByeError) {
	wire.Refuse(conn, why.Reason, why.Text)
}

func (m massiveProtocol) greet(ctx context.Context, conn net.Conn, p Peer) (rest func()) {
	o := &m.door.options
	c, ctx := m.door.open(ctx, p)
	session := wire.Greet(ctx, conn, wire.ServerConfig{Version: o.Version, Account: c.account, End: c.end, MaxFrame: uint32(o.Frame), IdleTimeout: o.Idle}, c)
	return func() {
		defer c.close()
		c.serve(conn, session)
	}
}

func (c *connection) serve(conn net.Conn, session *wire.Serving) {
	err := session.Serve()
	if err == nil { // the client has all it wanted: nothing that is said could still matter
		drop(conn)
		c.about(c.door.options.Log.Debug()).Msg("disconnected")
		return
	}
	wire.Close(conn)
	c.logEnd(err, "the connection ended")
}

// Hello is told who is there.
func (c *connection) Hello(h wire.Hello) (last uint64, err error) {
	c.remember = h.Remember
	c.door.connections.supersede(c, h.Instance)
	c.about(c.door.options.Log.Debug()).Str("host", h.Host).Str("version", h.Version).Stringer("instance", h.Instance).Msg("connected")
	return c.door.intake.Highest(c.Client, h.Instance), nil
}

// Submit hands a batch to the intake.
func (c *connection) Submit(ctx context.Context, b wire.Batch) ([]wire.Rejection, error) {
	o := record.Origin{Client: c.Client, Instance: b.Instance, Received: time.Now().UnixMicro(), Remember: c.remember}
	return c.door.intake.Submit(ctx, o, b.Entries)
}

// Waiting says why Submit takes long.
func (c *connection) Waiting() string { return c.door.intake.Waiting(c.Client) }
