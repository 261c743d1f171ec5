package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/access"
	"massive-passive/server/record"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"

	"github.com/rs/zerolog"
)

// acceptPause is how long a listener rests after an error that passes, such as
// too many open files.
const acceptPause = 100 * time.Millisecond

// accept serves one listener until it is closed, and waits for its sessions.
func (s *Server) accept(ctx context.Context, l net.Listener) {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.throttles.own.Error("", "accept").Err(err).Msg("cannot accept a connection")
			if pause(ctx, acceptPause) != nil {
				return
			}
			continue
		}
		tuneTCP(conn)
		v, ok := s.door.enter(conn)
		if !ok {
			conn.Close()
			if ctx.Err() != nil {
				continue
			}
			s.logRefused(conn, "full", fmt.Sprintf("%d connections are open, as many as --max-connections or the limit of open files allows", s.door.most))
			continue
		}
		open.Go(func() { s.greet(ctx, v, &open) })
	}
}

// greet proves who the peer is. What a handshake needs of the stack is given
// back before the long life of the session, which gets a fresh goroutine. A
// deadline, unlike a context, costs no second one.
func (s *Server) greet(ctx context.Context, conn *pendingConn, open *sync.WaitGroup) {
	secured := tls.Server(conn, s.tls)
	conn.SetDeadline(time.Now().Add(s.options.Limits.Handshake))
	if err := secured.Handshake(); err != nil {
		s.logHandshake(conn, err)
		if refusedCertificate(err) {
			wire.Close(conn.Conn) // in order, or the reason is lost on the way
		}
		conn.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	conn.proved()
	state := secured.ConnectionState()
	cert := state.PeerCertificates[0]
	client, err := s.access.Client(cert)
	if err != nil {
		s.refuse(secured, cert, err, state.NegotiatedProtocol == wire.ALPN)
		return
	}
	s.logOldTLS(conn, client, state.Version)
	if state.NegotiatedProtocol != wire.ALPN {
		s.greetLegacy(ctx, secured, client, open)
		return
	}
	c, ctx, leave := s.open(ctx, secured, client)
	session := wire.Greet(ctx, secured, wire.ServerConfig{Version: s.options.Version, Account: c.account, End: c.end,
		MaxFrame: uint32(s.options.Limits.Frame), IdleTimeout: s.options.Limits.Idle}, c)
	open.Go(func() {
		defer leave()
		c.serve(secured, session)
	})
}

// tuneTCP lets the kernel notice a peer that is gone.
func tuneTCP(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(wire.KeepAlive())
	}
}

// refuse ends a connection before a byte of its payload is read.
func (s *Server) refuse(conn *tls.Conn, cert *x509.Certificate, err error, speaksOurs bool) {
	why := err.Error()
	if errors.Is(err, access.ErrNotListed) {
		why = fmt.Sprintf("the certificate %q (serial %x) is not in %s: put it there as NAME.pem to allow it",
			cert.Subject, cert.SerialNumber, s.options.AllowedClientCertDir)
	}
	s.logRefused(conn, fmt.Sprintf("certificate %x", sha256.Sum256(cert.Raw)), why) // of a CA of ours, so that there are not many
	if speaksOurs {
		bye := refusal(err)
		wire.Refuse(conn, bye.Reason, bye.Text)
		return
	}
	conn.NetConn().Close() // in order, a peer of version 0.3.9 would believe that its message was taken
}

// logHandshake says what was wrong with a peer that did not prove itself.
func (s *Server) logHandshake(conn *pendingConn, err error) {
	if errors.Is(err, net.ErrClosed) && !conn.wasEvicted() { // by our own stop
		return
	}
	fault, why := s.handshakeFault(conn, err)
	s.logRefused(conn, fault, why)
}

// handshakeFault returns the kind of fault, of which there are few, and what to
// say about it. The latter may hold whatever the peer sent.
func (s *Server) handshakeFault(conn *pendingConn, err error) (fault, why string) {
	var noTLS tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	var revoked *certs.RevokedError
	var op *net.OpError
	switch {
	case conn.wasEvicted():
		return "evicted", "it had not yet proved who it is when all of --max-connections were taken"
	case errors.As(err, &noTLS):
		return "no TLS", "it does not speak TLS"
	case conn.tooOld != "":
		return "old TLS", conn.tooOld
	case errors.As(err, &unverified):
		f := s.certs.Pool.ClientFault(unverified.UnverifiedCertificates, unverified.Err)
		return string(f.Kind), f.Error()
	case errors.As(err, &revoked):
		return "revoked", revoked.Error()
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		return "alert", fmt.Sprintf("it did not accept this server or what it offers (%v): its own log or message says why", op.Err)
	case errors.Is(err, errStrangerBytes):
		return "bytes", errStrangerBytes.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "time", fmt.Sprintf("it did not finish the TLS handshake within %v", s.options.Limits.Handshake)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed", "it closed the connection during the TLS handshake"
	}
	return "other", err.Error()
}

// refusedCertificate tells that a handshake ended because of what a peer showed,
// which TLS tells it in an alert. With TLS 1.3 the peer has begun to send by then:
// a connection that is closed with that unread is reset, and the alert with it.
func refusedCertificate(err error) bool {
	var unverified *tls.CertificateVerificationError
	var revoked *certs.RevokedError
	return errors.As(err, &unverified) || errors.As(err, &revoked) || errors.Is(err, certs.ErrCAAsClient)
}

// logOldTLS names a client whose library has nothing newer, for each at most
// once an hour: such a client may connect for every single message.
func (s *Server) logOldTLS(conn net.Conn, client string, version uint16) {
	if !certs.Old(version) {
		return
	}
	s.throttles.oldTLS.Warn(client, "old TLS").Str("client", client).Stringer("peer", conn.RemoteAddr()).Str("version", tls.VersionName(version)).
		Msg("a client speaks a version of TLS that is not safe any more: renew the software there, then take --tls-min-version back")
}

// logRefused logs what is wrong with a peer, for each address and fault at most
// once a minute. Only why may hold what the peer chose: it is shortened.
func (s *Server) logRefused(conn net.Conn, fault, why string) {
	s.throttles.unauthenticated.Warn(network(conn.RemoteAddr()), fault).Stringer("peer", conn.RemoteAddr()).Str("why", logx.Clip(why)).Msg("refused a connection")
}

// network is where a peer comes from: its IPv4 address, or the IPv6 network of
// 64 bits of which a single host can have every address.
func network(peer net.Addr) string {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return peer.String()
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
}

// connection is the connection of one client.
type connection struct {
	server  *Server
	client  string
	cert    *x509.Certificate
	chains  [][]*x509.Certificate // those that the handshake proved
	end     context.CancelCauseFunc
	peer    net.Addr
	account *wire.Account
	origin  record.Origin

	counted bool // among its client's connections; owned by sessions
}

func (c *connection) serve(conn *tls.Conn, session *wire.Serving) {
	err := session.Serve()
	if err == nil { // the client has all it wanted: nothing that is said could still matter
		conn.NetConn().Close()
		c.about(c.server.log.Debug()).Msg("disconnected")
		return
	}
	wire.Close(conn)
	c.logEnd(err, "the connection ended")
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
	c.about(c.server.throttles.clients.Warn(c.client, "ended "+kind)).Str("why", logx.Clip(strings.TrimSpace(err.Error()))).Msg(message)
}

// open makes the session of a client that is listed. Its context is ended by
// sessions, with a reason.
func (s *Server) open(ctx context.Context, conn *tls.Conn, client string) (*connection, context.Context, func()) {
	state := conn.ConnectionState()
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &connection{server: s, client: client, cert: state.PeerCertificates[0], chains: state.VerifiedChains, end: end, account: s.budget.Open(client),
		peer: conn.RemoteAddr()}
	s.connections.add(c, s.options.Limits.ClientConnections)
	if bye := s.refused(c); bye != nil { // since the handshake
		end(bye)
	}
	s.intake.lastSeen.note(client, 0)
	return c, ctx, func() {
		s.intake.lastSeen.note(client, 0)
		s.connections.remove(c)
		c.account.Close()
		end(nil)
	}
}

// about adds to a line of the log whom it is about. A logger that knows would be
// half a kilobyte for each connection.
func (c *connection) about(e *zerolog.Event) *zerolog.Event {
	return e.Str("client", c.client).Stringer("peer", c.peer)
}

// Hello is told who is there.
func (c *connection) Hello(h wire.Hello) (last uint64, err error) {
	c.origin = record.Origin{Client: c.client, Instance: h.Instance, Remember: h.Remember}
	c.server.connections.supersede(c, h.Instance)
	c.about(c.server.log.Debug()).Str("host", h.Host).Str("version", h.Version).Stringer("instance", h.Instance).Msg("connected")
	return c.server.intake.known.highest(c.client, h.Instance), nil
}

// Submit hands a batch to the intake.
func (c *connection) Submit(ctx context.Context, b wire.Batch) ([]wire.Rejection, error) {
	o := c.origin
	o.Instance, o.Received = b.Instance, time.Now().UnixMicro()
	return c.server.intake.Submit(ctx, o, b.Entries)
}

// Waiting says why Submit takes long.
func (c *connection) Waiting() string { return c.server.intake.Waiting(c.client) }
