package sender

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"massive-passive/internal/option"
	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// SendOptions say what `send` does.
type SendOptions struct {
	Servers       []string // each ADDRESS[:PORT]
	Port          string   // a number or a service's name, for servers that name none; empty: the default one
	SSLKey        string
	SSLCert       string
	SSLCACert     string
	SSLVerify     string
	TLSMinVersion string
	Raw           bool          // standard input holds external commands
	Delimiter     byte          // between the fields of a set
	SetDelimiter  byte          // between sets
	Timeout       time.Duration // for everything together; 0: none, but a failure is not tried again
	Delay         time.Duration // a random part of it is waited for before the first connection
	Quiet         bool          // say nothing but of errors
	Verbose       int           // 1: name what was sent; 2: with its output
}

// etb divides sets unless told otherwise.
const etb = 0x17

// DefaultSendOptions are those of the original, and send_nsca's time-out and
// delimiters.
func DefaultSendOptions() SendOptions {
	return SendOptions{
		SSLKey:        certs.DefaultClientKey,
		SSLCert:       certs.DefaultClientCert,
		SSLCACert:     certs.DefaultCACert,
		SSLVerify:     string(certs.VerifyName),
		TLSMinVersion: certs.DefaultMinVersion,
		Delimiter:     '\t',
		SetDelimiter:  etb,
		Timeout:       10 * time.Second,
	}
}

// wrong says what is wrong with an option, with send_nsca's exit code for that.
func wrong(name, problem string) error { return option.WrongWith(ExitUsage, name, problem) }

// NotSentError says that not every result is safe on every server.
type NotSentError struct {
	Problem string
	Code    int // the exit code, one of the Exit constants
}

func (e *NotSentError) Error() string { return e.Problem }

// ExitCode is send_nsca's, and tells apart what that cannot know.
func (e *NotSentError) ExitCode() int { return e.Code }

// maxSeconds bounds times that are given in seconds: a day.
const maxSeconds = 86400

func (o *SendOptions) validate() error {
	if len(o.Servers) == 0 {
		return wrong("--server", "name at least one server as ADDRESS[:PORT]")
	}
	for option, d := range map[string]time.Duration{"--timeout": o.Timeout, "--delay": o.Delay} {
		if d < 0 || d > maxSeconds*time.Second {
			return wrong(option, fmt.Sprintf("give a number of seconds from 0 to %d", maxSeconds))
		}
	}
	if o.Delimiter == o.SetDelimiter && !o.Raw {
		return wrong("--delimiter", fmt.Sprintf("%q divides both fields and sets: take another for one of them", o.Delimiter))
	}
	if v := certs.Verify(o.SSLVerify); v != certs.VerifyName && v != certs.VerifyCA {
		return wrong("--ssl-verify", fmt.Sprintf("%q is neither name nor ca", o.SSLVerify))
	}
	if _, err := certs.ParseVersion(o.TLSMinVersion); err != nil {
		return wrong("--tls-min-version", err.Error())
	}
	addresses := make([]string, 0, len(o.Servers))
	for _, server := range o.Servers {
		address, err := ParseAddress(server, o.Port)
		if err != nil {
			return err
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	o.Servers = addresses
	return nil
}

// ParseAddress completes ADDRESS[:PORT] with port, a number or a service's
// name; where that is empty too, with the default one.
func ParseAddress(server, port string) (string, error) {
	host := server
	switch n, err := net.LookupPort("tcp", port); {
	case port == "":
		port = fmt.Sprint(wire.DefaultPort)
	case err != nil || n == 0:
		return "", wrong("--port", fmt.Sprintf("%q is neither a port from 1 to 65535 nor the name of a service", port))
	}
	if inner, ok := strings.CutPrefix(server, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	if net.ParseIP(host) == nil {
		host = server
		if h, p, err := net.SplitHostPort(server); err == nil {
			host, port = h, p
		}
	}
	if n, err := net.LookupPort("tcp", port); host == "" || err != nil || n == 0 || strings.ContainsAny(host, " []/") {
		return "", wrong("--server", fmt.Sprintf("%q is not ADDRESS[:PORT] with a port from 1 to 65535, as 10.0.0.1, [::1]:5678 or mon.example:5678", server))
	}
	return net.JoinHostPort(host, port), nil
}
