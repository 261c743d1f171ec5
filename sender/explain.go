package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/legacy"
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
	case errors.Is(err, legacy.ErrNotConfirmed):
		return address + " did not confirm a message: it is of version 0.3.9, which only closes the connection where it does not list your certificate; its log says more"
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

// The alerts of TLS that say something else than that our certificate is bad.
const (
	alertHandshakeFailure = 40
	alertProtocolVersion  = 70
	alertSecurity         = 71
	alertProtocol         = 120
)

// explainAlert puts a TLS alert of the server into words: with it the server
// says what it thinks of us.
func explainAlert(err error, address string) string {
	text := strings.TrimSpace(err.Error())
	number, ok := alert(err)
	switch {
	case !ok:
		return fmt.Sprintf("%s: %s", address, text)
	case number == alertHandshakeFailure, number == alertProtocolVersion, number == alertSecurity:
		return fmt.Sprintf("%s and this end have no TLS in common (%s): if the server is old, --tls-min-version=1.0 here allows what it speaks; "+
			"if this machine is, --tls-min-version=1.0 on the server does", address, text)
	case number == alertProtocol:
		return fmt.Sprintf("%s speaks another protocol (%s): is this the port of a massive-passive server?", address, text)
	}
	return fmt.Sprintf("%s refused our certificate (%s): it must be signed by the CA that the server has in --ssl-ca-cert, be valid now, "+
		"and be for clients; the server's log says more", address, text)
}

// alert returns the number of the alert with which the server ended the
// handshake. Package tls has no name for its type but on other transports.
func alert(err error) (number uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true
}
