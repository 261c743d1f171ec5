// Package door lets clients in. It bounds how many connections are open, has each
// prove which client it is, and hands it to the protocol that it speaks. What comes
// by any protocol goes to the intake's Submit; no door has another way.
package door

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/access"
	"massive-passive/server/intake"
	"massive-passive/wire"
	"massive-passive/wire/certs"

	"github.com/rs/zerolog"
)

// Options say how peers prove themselves, and bound what they take.
type Options struct {
	End        certs.End
	AllowedDir string // that the access was read from
	Version    string // of the program, told to clients
	Legacy     bool   // speak version 0.3.9 too
	Limits

	Log     zerolog.Logger
	Clients *logx.Throttle // what clients do, by name
	Own     *logx.Throttle // what is wrong with this server's listeners
}

// Limits bound what peers may take of the server.
type Limits struct {
	Connections       int           // in all, those that have not proved themselves included
	ClientConnections int           // of one client
	Frame             int           // bytes of a batch
	LegacyMessage     int           // bytes of a message of version 0.3.9, as it travels
	Handshake         time.Duration // from the connection to the proof of who it is
	Idle              time.Duration // without a word from a client that waits for nothing
	FrameMemory       int64         // bytes of all batches and messages in hand, about
}

// Door serves listeners.
type Door struct {
	options     Options
	access      *access.Directory
	intake      *intake.Intake
	tls         *tls.Config
	protocols   map[string]protocol // by ALPN
	budget      *wire.Budget
	admission   admission
	connections openConnections

	unauthenticated *logx.Throttle // who did not prove to be a client; by network
	lines           *logx.Throttle // refused lines of clients that get no other answer; by client
	oldTLS          *logx.Throttle // clients whose TLS is old: an hour is often enough
}

// protocol is what a peer speaks once it is known.
type protocol interface {
	// refuse ends the connection of a peer that proved who it is and is not let in.
	refuse(conn net.Conn, why *wire.ByeError)
	// greet does what needs much of the stack, and returns what is left to do, which
	// gets a fresh goroutine; nil: nothing, and conn is closed.
	greet(ctx context.Context, conn net.Conn, p Peer) (rest func())
}

// New makes a door whose connections end up at the intake. It starts nothing.
func New(o Options, who *access.Directory, in *intake.Intake) *Door {
	d := &Door{options: o, access: who, intake: in, admission: admission{most: o.Connections},
		unauthenticated: logx.NewThrottle(o.Log, logx.Limits{Lines: 60}),
		lines:           logx.NewThrottle(o.Log, logx.Limits{Names: maxLoggedLines}),
		oldTLS:          logx.NewThrottle(o.Log, logx.Limits{Every: time.Hour, Keys: 10_000}),
	}
	d.protocols = map[string]protocol{wire.ALPN: massiveProtocol{d}, "": legacyProtocol{d}}
	d.budget = wire.NewBudget(o.FrameMemory, d.logShort)
	d.tls = certs.ServerConfig(o.End, tls.RequireAndVerifyClientCert, wire.ALPN)
	configure := d.tls.GetConfigForClient
	d.tls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c, ok := hello.Conn.(*pendingConn); ok {
			c.tooOld = certs.TooOld(d.tls, hello)
		}
		return configure(hello)
	}
	return d
}

// Run serves the listeners until ctx ends, closes them then, tells all clients that
// it stops, and returns when all connections have ended.
func (d *Door) Run(ctx context.Context, listeners []net.Listener) {
	var serving, timing sync.WaitGroup
	timeCtx, stopTime := context.WithCancel(context.WithoutCancel(ctx)) // a farewell has a deadline, too
	timing.Go(func() { d.admission.keepTime(timeCtx) })
	serving.Go(func() { d.keepRechecking(ctx) })
	for _, l := range listeners {
		serving.Go(func() { d.accept(ctx, l) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	d.admission.close()
	d.connections.endAll(&wire.ByeError{Reason: wire.Stopping})
	serving.Wait()
	stopTime()
	timing.Wait()
	for _, t := range []*logx.Throttle{d.unauthenticated, d.lines, d.oldTLS} {
		t.Close()
	}
}

// Connections tells how many connections each client has.
func (d *Door) Connections() map[string]int { return d.connections.count() }

// acceptPause is how long a listener rests after an error that passes, such as
// too many open files.
const acceptPause = 100 * time.Millisecond

// accept serves one listener until it is closed, and waits for its connections.
func (d *Door) accept(ctx context.Context, l net.Listener) {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.options.Own.Error("", "accept").Err(err).Msg("cannot accept a connection")
			select {
			case <-ctx.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		}
		tuneTCP(conn)
		pending, ok := d.admission.enter(conn)
		if !ok {
			conn.Close()
			if ctx.Err() != nil {
				continue
			}
			d.logRefused(conn, "full", fmt.Sprintf("%d connections are open, as many as --max-connections or the limit of open files allows", d.admission.most))
			continue
		}
		open.Go(func() { d.greet(ctx, pending, &open) })
	}
}

// greet proves who the peer is. What a handshake needs of the stack is given
// back before the long life of the connection, which gets a fresh goroutine. A
// deadline, unlike a context, costs no second one.
func (d *Door) greet(ctx context.Context, conn *pendingConn, open *sync.WaitGroup) {
	secured := tls.Server(conn, d.tls)
	conn.SetDeadline(time.Now().Add(d.options.Handshake))
	if err := secured.Handshake(); err != nil {
		d.logHandshake(conn, err)
		if refusedCertificate(err) {
			wire.Close(conn.Conn) // in order, or the reason is lost on the way
		}
		conn.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	conn.proved()
	state := secured.ConnectionState()
	speaks := d.protocols[state.NegotiatedProtocol]
	proof := &certificate{d, state.PeerCertificates[0], state.VerifiedChains}
	client, err := d.access.Client(proof.leaf)
	if err != nil {
		d.logUnlisted(conn, proof.leaf, err)
		speaks.refuse(secured, access.Refusal(err))
		return
	}
	d.logOldTLS(conn, client, state.Version)
	if rest := speaks.greet(ctx, secured, Peer{client, conn.RemoteAddr(), proof}); rest != nil {
		open.Go(rest)
	}
}

// tuneTCP lets the kernel notice a peer that is gone.
func tuneTCP(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(wire.KeepAlive())
	}
}

// logUnlisted says why a peer whose certificate is good is no client.
func (d *Door) logUnlisted(conn net.Conn, cert *x509.Certificate, err error) {
	why := err.Error()
	if errors.Is(err, access.ErrNotListed) {
		why = fmt.Sprintf("the certificate %q (serial %x) is not in %s: put it there as NAME.pem to allow it",
			cert.Subject, cert.SerialNumber, d.options.AllowedDir)
	}
	d.logRefused(conn, fmt.Sprintf("certificate %x", sha256.Sum256(cert.Raw)), why) // of a CA of ours, so that there are not many
}

// logRefused logs what is wrong with a peer, for each address and fault at most
// once a minute. Only why may hold what the peer chose: it is shortened.
func (d *Door) logRefused(conn net.Conn, fault, why string) {
	d.unauthenticated.Warn(network(conn.RemoteAddr()), fault).Stringer("peer", conn.RemoteAddr()).Str("why", logx.Clip(why)).Msg("refused a connection")
}

// logShort says that a client's results wait for memory.
func (d *Door) logShort(client string, own bool) {
	why := "all clients together have as much in hand as --frame-memory allows"
	if own {
		why = "it has a quarter of --frame-memory in hand by itself, as much as one client may"
	}
	d.options.Clients.Warn(client, "memory").Str("client", client).Str("why", why).Msg("results of a client wait for memory")
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
