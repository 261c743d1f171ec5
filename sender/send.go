package sender

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
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

// Run sends what is on standard input to all servers. It succeeds only after
// each of them acknowledged every result.
func Run(ctx context.Context, env Env, o SendOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	in, err := format{raw: o.Raw, delimiter: o.Delimiter, setDelimiter: o.SetDelimiter}.parse(env.Stdin, time.Now())
	if err != nil {
		return &NotSentError{err.Error(), ExitNotSent}
	}
	in.warn(env.Stderr)
	if !o.Quiet {
		in.warnOfEmpty(env.Stderr)
	}
	if len(in.good) == 0 {
		return &NotSentError{"nothing was sent: there is no good input", ExitNotSent}
	}
	end, err := certs.Load(certs.Files{Cert: o.SSLCert, Key: o.SSLKey, CA: o.SSLCACert, MinVersion: o.TLSMinVersion, Once: true}, nil)
	if err != nil {
		return &NotSentError{err.Error(), ExitNotSent}
	}
	if o.Delay > 0 {
		pause(ctx, mathrand.N(o.Delay))
	}
	base := Options{End: end, Verify: certs.Verify(o.SSLVerify), Log: zerolog.Nop(), Hello: hello(env.Version, o.Timeout), Brief: true}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	if err := sendAll(ctx, base, o.Servers, encode(in.good, base.Hello.Instance)); err != nil {
		return err
	}
	in.report(env.Stderr, o.Verbose)
	if !o.Quiet {
		fmt.Fprintf(env.Stdout, "%d data packet(s) sent to host successfully.\n", len(in.good))
	}
	if len(in.bad) > 0 {
		return &NotSentError{fmt.Sprintf("%d of %d inputs were not sent", len(in.bad), len(in.bad)+len(in.good)), ExitNotSent}
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
	for i, server := range servers[1:] {
		o := base
		o.Address = server
		sending.Go(func() { failures[i+1] = Deliver(ctx, o, items) })
	}
	base.Address = servers[0]
	failures[0] = Deliver(ctx, base, items)
	sending.Wait()
	return together(servers, failures)
}

// together says of several servers which of them lacks what, and which has
// everything: whoever sends again should send to the former only.
func together(servers []string, failures []error) error {
	var lacking, complete []string
	code := 0
	for i, err := range failures {
		switch {
		case err == nil:
			complete = append(complete, servers[i])
		case len(servers) == 1:
			return &NotSentError{err.Error(), exitCode(err)}
		default:
			lacking = append(lacking, fmt.Sprintf("to %s: %v", servers[i], err))
			code = graver(code, exitCode(err))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	switch len(complete) {
	case 0:
	case 1:
		lacking = append(lacking, complete[0]+" has all of them")
	default:
		lacking = append(lacking, strings.Join(complete, ", ")+" have all of them")
	}
	return &NotSentError{strings.Join(lacking, "; "), code}
}
