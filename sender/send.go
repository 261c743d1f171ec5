package sender

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// Env is what a command gets from the program around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string
}

// SendOptions say what `send` does.
type SendOptions struct {
	Servers       []string // each ADDRESS[:PORT]
	SSLKey        string
	SSLCert       string
	SSLCACert     string
	SSLVerify     string
	TLSMinVersion string
	Raw           bool          // standard input holds external commands
	Timeout       time.Duration // for everything together
	Quiet         bool
}

// DefaultSendOptions are those of the original, and send_nsca's time-out.
func DefaultSendOptions() SendOptions {
	return SendOptions{
		SSLKey:        certs.DefaultClientKey,
		SSLCert:       certs.DefaultClientCert,
		SSLCACert:     certs.DefaultCACert,
		SSLVerify:     string(certs.VerifyName),
		TLSMinVersion: certs.DefaultMinVersion,
		Timeout:       10 * time.Second,
	}
}

// OptionError is an option that cannot be meant so.
type OptionError struct{ Option, Problem string }

func (e *OptionError) Error() string { return e.Option + ": " + e.Problem }

// ExitCode is that of wrong usage.
func (e *OptionError) ExitCode() int { return 2 }

// NotSentError says that not every result is safe on every server.
type NotSentError struct {
	Problem string
	Code    int // the exit code, one of the Exit constants
}

func (e *NotSentError) Error() string { return e.Problem }

// ExitCode is send_nsca's, and tells apart what that cannot know.
func (e *NotSentError) ExitCode() int { return e.Code }

func (o *SendOptions) validate() error {
	if len(o.Servers) == 0 {
		return &OptionError{"--server", "name at least one server as ADDRESS[:PORT]"}
	}
	if o.Timeout <= 0 {
		return &OptionError{"--timeout", "give a number of seconds over 0"}
	}
	if v := certs.Verify(o.SSLVerify); v != certs.VerifyName && v != certs.VerifyCA {
		return &OptionError{"--ssl-verify", fmt.Sprintf("%q is neither name nor ca", o.SSLVerify)}
	}
	if _, err := certs.ParseVersion(o.TLSMinVersion); err != nil {
		return &OptionError{"--tls-min-version", err.Error()}
	}
	for i, server := range o.Servers {
		address, err := ParseAddress(server)
		if err != nil {
			return err
		}
		o.Servers[i] = address
	}
	return nil
}

// ParseAddress completes ADDRESS[:PORT] with the default port.
func ParseAddress(server string) (string, error) {
	host, port := server, fmt.Sprint(wire.DefaultPort)
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
		return "", &OptionError{"--server", fmt.Sprintf("%q is not ADDRESS[:PORT] with a port from 1 to 65535, as 10.0.0.1, [::1]:5678 or mon.example:5678", server)}
	}
	return net.JoinHostPort(host, port), nil
}

// Run sends what is on standard input to all servers. It succeeds only after
// each of them acknowledged every result.
func Run(ctx context.Context, env Env, o SendOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	results, bad, err := (format{raw: o.Raw, delimiter: '\t', setDelimiter: 0x17}).parse(env.Stdin, time.Now())
	if err != nil {
		return err
	}
	for _, b := range bad {
		fmt.Fprintf(env.Stderr, "input %d is not sent: %v\n", b.number, b.err)
	}
	if len(results) == 0 {
		return &NotSentError{"nothing was sent: there is no good input", ExitNotSent}
	}
	end, err := certs.Load(certs.Files{Cert: o.SSLCert, Key: o.SSLKey, CA: o.SSLCACert, MinVersion: o.TLSMinVersion}, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	base := Options{End: end, Verify: certs.Verify(o.SSLVerify), Log: zerolog.Nop(), Hello: hello(env.Version, o.Timeout), Brief: true}
	if err := sendAll(ctx, base, o.Servers, encode(results, base.Hello.Instance)); err != nil {
		return err
	}
	if !o.Quiet {
		fmt.Fprintf(env.Stdout, "%d data packet(s) sent to host successfully.\n", len(results))
	}
	if len(bad) > 0 {
		return &NotSentError{fmt.Sprintf("%d of %d inputs were not sent", len(bad), len(bad)+len(results)), ExitNotSent}
	}
	return nil
}

func hello(version string, timeout time.Duration) wire.Hello {
	h := wire.Hello{Version: version, Remember: uint32(timeout/time.Second) + 1}
	h.Host, _ = os.Hostname() // only for people
	rand.Read(h.Instance[:])  // never fails
	return h
}

func encode(results []check.Result, instance wire.Instance) []Item {
	items := make([]Item, len(results))
	for i := range results {
		items[i] = Item{Instance: instance, Sequence: uint64(i + 1), Result: results[i].Append(nil)}
	}
	return items
}

// sendAll sends to all servers at once, so that one that is away delays none.
func sendAll(ctx context.Context, base Options, servers []string, items []Item) error {
	failures := make([]error, len(servers))
	var sending sync.WaitGroup
	for i, server := range servers {
		o := base
		o.Address = server
		sending.Go(func() { failures[i] = Deliver(ctx, o, items) })
	}
	sending.Wait()
	var failed []string
	code := 0
	for _, err := range failures {
		if err != nil {
			failed = append(failed, err.Error())
			code = graver(code, exitCode(err))
		}
	}
	if len(failed) > 0 {
		return &NotSentError{strings.Join(failed, "; "), code}
	}
	return nil
}
