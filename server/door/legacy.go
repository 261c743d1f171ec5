package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/intake/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"
)

// What of an old message is submitted together, about.
const (
	submitBytes = 1 << 20
	submitLines = 5000
)

// maxLoggedLines is how many refused lines of a message are logged each.
const maxLoggedLines = 20

// legacyProtocol is the protocol of version 0.3.9.
type legacyProtocol struct{ door *Door }

// refuse says nothing: to close in order would be to say that all is safe.
func (o legacyProtocol) refuse(conn net.Conn, _ *wire.ByeError) { drop(conn) }

// greet lets in a peer without our ALPN, unless told not to.
func (o legacyProtocol) greet(ctx context.Context, conn net.Conn, p Peer) (rest func()) {
	if !o.door.options.Legacy {
		o.door.options.Clients.Warn(p.Client, "legacy").Stringer("peer", p.Address).
			Str("why", fmt.Sprintf("client %q offers no ALPN %s: it is of version 0.3.9, which --legacy=false refuses", p.Client, wire.ALPN)).Msg("refused a connection")
		drop(conn)
		return nil
	}
	return func() {
		c, ctx := o.door.open(ctx, p)
		defer c.close()
		c.serveOld(ctx, conn)
	}
}

// serveOld takes the messages of a peer of version 0.3.9. To close in order is to
// say that all is safe: there is no other answer to most messages.
func (c *connection) serveOld(ctx context.Context, conn net.Conn) {
	o := &c.door.options
	r := legacy.NewReader(conn)
	r.Room, r.Most, r.Idle = c.account.Take, o.LegacyMessage, min(o.Idle, legacy.IdleTimeout)
	err := c.takeMessages(ctx, conn, r)
	r.Close()
	var bad *legacy.FormatError
	if errors.As(err, &bad) {
		c.door.intake.CountMalformed()
	}
	switch {
	case errors.Is(err, io.EOF):
		c.about(o.Log.Debug()).Msg("disconnected")
		wire.Close(conn)
		return
	case bad != nil && bad.Form == legacy.Older:
		c.logEnd(bad, "the connection ended")
		answer(conn, legacy.AppendRefusal(nil, bad.Reason))
		wire.Close(conn)
		return
	case ctx.Err() == nil:
		c.logEnd(err, "the connection ended: what it last sent was not taken")
	}
	drop(conn)
}

// takeMessages returns why there is no further message: io.EOF where the peer
// ended in order.
func (c *connection) takeMessages(ctx context.Context, conn net.Conn, r *legacy.Reader) error {
	for {
		m, err := r.Next(ctx)
		if err != nil {
			return err
		}
		c.about(c.door.options.Log.Debug()).Stringer("form", m.Form).Int("bytes", len(m.Text)).Msg("took an old message")
		refused, err := c.takeText(ctx, m.Text)
		if m.Form == legacy.Older {
			answer(conn, verdict(len(m.Text), refused, err))
		}
		if err != nil {
			return fmt.Errorf("take a message: %w", err)
		}
	}
}

// verdict is the answer to a message of the older form.
func verdict(size int, refused refusals, err error) []byte {
	switch {
	case err != nil:
		return legacy.AppendRefusal(nil, "the server cannot take it now: send it again")
	case refused.lines > 0:
		return legacy.AppendRefusal(nil, fmt.Sprintf("%d lines were refused; the first: %s", refused.lines, refused.first))
	}
	return legacy.AppendAnswer(nil, size)
}

func answer(conn net.Conn, b []byte) {
	conn.SetWriteDeadline(time.Now().Add(wire.WriteTimeout))
	conn.Write(b) // a peer that does not wait for it is gone
}

// refusals are the lines of a message that will never be taken.
type refusals struct {
	lines int
	first string // why
}

// takeText hands the lines of a message to the intake, in order, and returns
// once all that are not refused are safe.
func (c *connection) takeText(ctx context.Context, text []byte) (refusals, error) {
	release, err := c.account.TakeResults(ctx, min(bytes.Count(text, []byte("\n"))+1, submitLines))
	if err != nil {
		return refusals{}, err
	}
	defer release()
	p := chunk{connection: c, origin: record.Origin{Client: c.Client, Received: time.Now().UnixMicro()}}
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		if err := p.add(ctx, line); err != nil {
			return p.refused, err
		}
	}
	err = p.submit(ctx)
	if more := p.refused.lines - maxLoggedLines; more > 0 {
		c.about(c.door.options.Clients.Of(more).Warn(c.Client, "further lines")).Int("lines", more).Msg("refused further lines of an old message")
	}
	return p.refused, err
}

// chunk is the part of a message that is submitted at once.
type chunk struct {
	*connection
	origin  record.Origin
	entries []wire.Entry
	lines   [][]byte // those of the entries
	size    int
	refused refusals // of the whole message
}

func (p *chunk) add(ctx context.Context, line []byte) error {
	r, err := check.ParseLine(line)
	if err != nil {
		p.door.intake.CountMalformed()
		p.refuse(line, err.Error())
		return nil
	}
	if r.Finish == 0 {
		r.Finish = p.origin.Received
	}
	p.lines = append(p.lines, line)
	p.entries = append(p.entries, wire.Entry{Sequence: uint64(len(p.lines)), Result: r.Append(nil)})
	if p.size += len(line); p.size < submitBytes && len(p.entries) < submitLines {
		return nil
	}
	return p.submit(ctx)
}

func (p *chunk) submit(ctx context.Context) error {
	if len(p.entries) == 0 {
		return nil
	}
	rejections, err := p.door.intake.Submit(ctx, p.origin, p.entries)
	if err != nil {
		return err
	}
	for _, r := range rejections {
		p.refuse(p.lines[r.Sequence-1], r.Text)
	}
	p.entries, p.lines, p.size = p.entries[:0], p.lines[:0], 0
	return nil
}

// refuse notes a line that will never be taken. Some of them are logged, what a
// client says again and again once a minute.
func (p *chunk) refuse(line []byte, why string) {
	if p.refused.lines++; p.refused.lines == 1 {
		p.refused.first = why
	}
	if p.refused.lines > maxLoggedLines {
		return
	}
	command := line
	if _, behind, ok := bytes.Cut(line, []byte("] ")); ok { // without the time, which is always another
		command = behind
	}
	if event := p.door.lines.Naming(logx.Clip(command)).Warn(p.Client, "line"); event != nil {
		p.about(event).Str("line", fmt.Sprintf("%q", logx.Clip(line))).Str("why", logx.Clip(why)).Msg("refused a line of an old message")
	}
}
