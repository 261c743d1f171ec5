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
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/legacy"
)

// Explain puts what keeps results from a server into words that tell what to
// do about it.
func Explain(err error, o *Options) string {
	address := o.Address
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
		return fmt.Sprintf("%s does not list your certificate%s: put %s, as NAME.pem, into the server's allowed-client-cert.d",
			address, said(bye.Text), o.End.Pair.CertFile())
	case errors.As(err, &bye) && bye.Reason == wire.BadPolicy:
		return fmt.Sprintf("%s has a policy for you that it cannot read%s: mend the NAME.json beside your certificate there", address, said(bye.Text))
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
	return explainAlert(err, o)
}

// said quotes what a server has to say for people.
func said(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" (it says %q)", text)
}

// The alerts of TLS that say more than that something is wrong.
const (
	alertHandshakeFailure = 40
	alertExpired          = 45 // or not yet valid
	alertUnknownCA        = 48
	alertProtocolVersion  = 70
	alertSecurity         = 71
	alertProtocol         = 120
)

// explainAlert puts a TLS alert of the server into words: with it the server
// says what it thinks of us.
func explainAlert(err error, o *Options) string {
	address, own := o.Address, o.End.Pair.Leaf()
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
	if fault := o.End.OwnFault(); fault != nil {
		return fmt.Sprintf("%s refused our certificate in %s: %v", address, o.End.Pair.CertFile(), fault)
	}
	mine := fmt.Sprintf("our certificate %q in %s", own.Subject, o.End.Pair.CertFile())
	now := time.Now()
	switch {
	case number == alertUnknownCA:
		return fmt.Sprintf("%s does not know the CA %q, which signed %s: the server's --ssl-ca-cert must hold that CA, or this one be signed by the server's%s",
			address, own.Issuer, mine, namesake(o))
	case number == alertExpired:
		return fmt.Sprintf("%s says that %s is not valid now, and it is good from %s to %s while this machine's clock says %s: the server's clock or yours is off",
			address, mine, own.NotBefore.UTC().Format(time.RFC3339), own.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s refused %s (%s): it must be for clients, and neither revoked nor of another CA than the server has in --ssl-ca-cert; "+
		"the server's log says more", address, mine, text)
}

// namesake tells our CA from another of the same name, which the server may
// have.
func namesake(o *Options) string {
	authority := o.End.Pool.Namesake(o.End.Pair.Leaf())
	if authority == nil {
		return ""
	}
	return fmt.Sprintf("; another CA of the same name will not do: ours in %s has the SHA-256 fingerprint %s", o.End.Pool.File(), certs.Fingerprint(authority))
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
