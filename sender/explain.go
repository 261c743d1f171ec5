package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// Explain puts what keeps results from a server into words that tell what to
// do about it.
func Explain(err error, address string) string {
	var server *certs.ServerError
	var bye *wire.ByeError
	var noTLS tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case err == nil:
		return address + " closed the connection"
	case errors.As(err, &server):
		return server.Error()
	case errors.As(err, &bye) && bye.Reason == wire.NotListed:
		return address + " does not list your certificate: put it, as NAME.pem, into the server's allowed-client-cert.d"
	case errors.As(err, &bye):
		return fmt.Sprintf("%s ended the connection: %q", address, bye.Error())
	case errors.As(err, &noTLS):
		return address + " does not speak TLS: is this the port of a massive-passive server?"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %q was not found: %s", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return address + " refused the connection: the server is not running, or listens on another port"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return address + " did not answer in time: is it reachable, and its port open in the firewalls between?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return address + " closed the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE): // whose text has a port that changes
		return address + " broke the connection off"
	}
	return explainAlert(err, address)
}

// explainAlert puts a TLS alert of the server into words: with it the server
// says what it thinks of our certificate.
func explainAlert(err error, address string) string {
	text := strings.TrimSpace(err.Error())
	if !isAlert(err) {
		return fmt.Sprintf("%s: %s", address, text)
	}
	return fmt.Sprintf("%s refused our certificate (%s): it must be signed by the CA that the server has in --ssl-ca-cert, be valid now, "+
		"and be for clients; the server's log says more", address, text)
}

// isAlert tells whether the server ended the handshake with an alert.
func isAlert(err error) bool {
	var alert tls.AlertError
	var op *net.OpError
	return errors.As(err, &alert) || errors.As(err, &op) && op.Op == "remote error"
}
