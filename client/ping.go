package client

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/internal/option"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// pingTimeout bounds a ping, so that it can be a container's health check.
const pingTimeout = 10 * time.Second

// Ping tries whether a server takes this client: handshake, HELLO, WELCOME. It
// has nothing to do with a client that runs here. server is ADDRESS[:PORT], or
// NAME=ADDRESS[:PORT] as in check files.
func Ping(ctx context.Context, o Options, server string, out io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	name, address, named := strings.Cut(server, "=")
	if !named {
		name, address = "", server
	}
	address, err := checkfile.ParseAddress(address)
	if err != nil {
		return option.Wrong("--ping", fmt.Sprintf("%q: %v", server, err))
	}
	end, err := certs.Load(o.certificates(), nil)
	if err != nil {
		return err
	}
	if err := o.drop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, fmt.Errorf("no answer from %s within %v", address, pingTimeout))
	defer cancel()
	pong, err := sender.Ping(ctx, sender.Options{Name: name, Address: address, End: end, Verify: certs.Verify(o.SSLVerify),
		Hello: wire.Hello{Version: o.Version}})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case pong.Old:
		_, err = fmt.Fprintf(out, "%s speaks the protocol of 0.3.9 only: handshake %s; whether it lists your certificate, only sending tells\n",
			address, milliseconds(pong.Handshake))
	default:
		_, err = fmt.Fprintf(out, "%s takes results, version %s: handshake %s, welcome %s\n",
			address, pong.Version, milliseconds(pong.Handshake), milliseconds(pong.Welcome))
	}
	return err
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
