package door

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"massive-passive/wire/certs"
)

// logHandshake says what was wrong with a peer that did not prove itself.
func (d *Door) logHandshake(conn *pendingConn, err error) {
	if errors.Is(err, net.ErrClosed) && !conn.wasEvicted() { // by our own stop
		return
	}
	fault, why := d.handshakeFault(conn, err)
	d.logRefused(conn, fault, why)
}

// handshakeFault returns the kind of fault, of which there are few, and what to
// say about it. The latter may hold whatever the peer sent.
func (d *Door) handshakeFault(conn *pendingConn, err error) (fault, why string) {
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
		f := d.options.End.Pool.ClientFault(unverified.UnverifiedCertificates, unverified.Err)
		return string(f.Kind), f.Error()
	case errors.As(err, &revoked):
		return "revoked", revoked.Error()
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		return "alert", fmt.Sprintf("it did not accept this server or what it offers (%v): its own log or message says why", op.Err)
	case errors.Is(err, errPendingBytes):
		return "bytes", errPendingBytes.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "time", fmt.Sprintf("it did not finish the TLS handshake within %v", d.options.Handshake)
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
func (d *Door) logOldTLS(conn net.Conn, client string, version uint16) {
	if !certs.Old(version) {
		return
	}
	d.oldTLS.Warn(client, "old TLS").Str("client", client).Stringer("peer", conn.RemoteAddr()).Str("version", tls.VersionName(version)).
		Msg("a client speaks a version of TLS that is not safe any more: renew the software there, then take --tls-min-version back")
}
