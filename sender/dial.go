package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/legacy"

	"golang.org/x/sys/unix"
)

// link is a connection on which both ends have proved who they are.
type link struct {
	*tls.Conn
	below *legacy.Below
	old   bool // the server does not speak version 1
}

// dial connects.
func dial(ctx context.Context, o Options) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: wire.KeepAlive()}
	plain, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	setUserTimeout(plain)
	host, _, _ := net.SplitHostPort(o.Address)
	names := []string{host}
	if o.Name != "" && o.Name != host {
		names = []string{o.Name, host}
	}
	config := certs.ClientConfig(o.End, o.Verify, names...)
	if o.Brief {
		config.CurvePreferences = []tls.CurveID{tls.CurveP256, tls.X25519, tls.CurveP384, tls.CurveP521}
	}
	below := &legacy.Below{Conn: plain}
	conn := tls.Client(below, config)
	if err := handshake(ctx, conn); err != nil {
		plain.Close()
		return nil, err
	}
	l := &link{conn, below, conn.ConnectionState().NegotiatedProtocol != wire.ALPN}
	if l.old && o.Modern {
		plain.Close()
		return nil, errDowngrade
	}
	return l, nil
}

// handshake ends with ctx as tls.Conn's HandshakeContext does, and without a
// goroutine for that, which wakes a second thread.
func handshake(ctx context.Context, conn *tls.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := conn.Handshake()
	if !stop() { // the deadline may stand already, or be set yet
		return context.Cause(ctx)
	}
	return err
}

// errDowngrade is a server that spoke version 1 once and now does not.
var errDowngrade = errors.New("the server spoke " + wire.ALPN + " before and offers only the protocol of version 0.3.9 now, " +
	"which somebody between may want; if an old server took its place on purpose, " +
	"stop the client, take the server's name out of modern_servers in state.json in --state-dir, and start it again")

// modern notes that the server speaks version 1.
func (o *Options) modern() {
	if !o.Modern && o.Spoke != nil {
		o.Spoke()
	}
	o.Modern = true
}

// setUserTimeout has the kernel give a connection up on which nothing was
// acknowledged for long, so that a dead peer is noticed while data waits.
func setUserTimeout(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout/time.Millisecond))
		})
	}
}
