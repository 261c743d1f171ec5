package sender

import (
	"context"
	"errors"
	"time"

	"massive-passive/wire"
)

// Pong is what a server answered, and how long each step took.
type Pong struct {
	Version   string        // of the server
	Old       bool          // it speaks only the protocol of 0.3.9, in which nothing can be asked
	Handshake time.Duration // from the first packet
	Welcome   time.Duration // of HELLO and WELCOME after that
}

// Ping connects, says HELLO, and leaves in order. The error's text is for
// people.
func Ping(ctx context.Context, o Options) (p Pong, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = errors.New(Explain(err, &o))
		}
	}()
	start := time.Now()
	link, err := dial(ctx, o)
	if err != nil {
		return p, err
	}
	p.Handshake = time.Since(start)
	if p.Old = link.old; p.Old {
		return p, wire.Close(link)
	}
	start = time.Now()
	session, err := wire.Connect(ctx, link, hello(o.Hello.Version, 0), nil, func(string) {})
	if err != nil {
		link.Close()
		return p, err
	}
	p.Welcome, p.Version = time.Since(start), session.Welcome.Version
	return p, session.Close()
}
