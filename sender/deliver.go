package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// The exit codes of a `send` that did not get everything to every server; under
// the name send_nsca there are 2 and 3 only, as with NSCA. What
// was perhaps taken counts more than what was not, so that nobody who goes by
// the code sends a result twice unknowingly.
const (
	ExitNotSent = 2 // the server that is named lacks it: it may be sent there again
	ExitUsage   = 3 // the command line makes no sense
	ExitRefused = 4 // the server will never take it: another try is no use
	ExitUnknown = 5 // it was sent, and no answer came: sent again, it may arrive twice
)

// DeliveryError says what became of results that are not safe on a server.
type DeliveryError struct {
	All                       int // results that were to be delivered
	NotSent, Refused, Unknown int // of them; the others are safe
	Why                       string
}

func (e *DeliveryError) Error() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{e.Unknown, "sent without an answer, so that it is unknown whether they arrived"},
		{e.NotSent, "not sent"},
		{e.Refused, "refused"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d results %s", p.n, e.All, p.what))
		}
	}
	if safe := e.All - e.NotSent - e.Refused - e.Unknown; safe > 0 {
		parts = append(parts, fmt.Sprintf("%d safe there", safe))
	}
	return strings.Join(parts, ", ") + ": " + e.Why
}

// ExitCode is the gravest that applies.
func (e *DeliveryError) ExitCode() int {
	switch {
	case e.Unknown > 0:
		return ExitUnknown
	case e.NotSent > 0:
		return ExitNotSent
	}
	return ExitRefused
}

func exitCode(err error) int {
	var failed *DeliveryError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	return ExitNotSent
}

// graver returns the code that counts where two servers failed.
func graver(a, b int) int {
	rank := map[int]int{ExitRefused: 1, ExitNotSent: 2, ExitUnknown: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// attempt is to get results to one server, over as many connections as it takes.
type attempt struct {
	o        Options
	items    []Item
	done     int    // of items, from the first: acknowledged
	rejected int    // of those
	left     int    // of items, from the first: may have reached the server
	reason   string // of the first rejection

	welcomed bool   // the last attempt found a server that speaks
	waiting  string // and it said this, instead of an ACK
}

// mostPause is the longest time between two tries of Deliver. A server that is
// there again should get its results before the time that was given is over.
const mostPause = 2 * time.Second

// Deliver sends items to one server and tries until it acknowledged all of
// them, refuses for good, or ctx ends; without a deadline it tries once. A
// connection that is refused is tried again like any other that fails: a server
// that restarts refuses, too. Otherwise the error is a *DeliveryError.
func Deliver(ctx context.Context, o Options, items []Item) error {
	s := &attempt{o: o, items: items}
	var last error
	for wait := retryFirst; ; wait = min(2*wait, mostPause) {
		err := s.try(ctx)
		if s.done == len(items) {
			break
		}
		if last == nil || !ended(ctx) {
			last = err // what the last whole attempt said, not that the time ran out
		}
		if _, limited := ctx.Deadline(); permanent(err) || !limited {
			return s.failed(err, refused(err))
		}
		if pause(ctx, wait); ended(ctx) {
			return s.failed(last, false)
		}
	}
	if s.rejected > 0 {
		return &DeliveryError{All: len(items), Refused: s.rejected,
			Why: fmt.Sprintf("%s will never take them (%s); its log says more", o.Address, s.reason)}
	}
	return nil
}

// ended tells that ctx has ended, or that its time is over: it learns that a
// moment later, when it is busy.
func ended(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(deadline)
}

// failed says what became of the results; refused tells that the server takes
// nothing from us at all.
func (s *attempt) failed(err error, refused bool) error {
	e := &DeliveryError{All: len(s.items), Refused: s.rejected, Unknown: max(s.left-s.done, 0), Why: s.explain(err)}
	rest := len(s.items) - max(s.left, s.done)
	if refused {
		e.Refused += rest
	} else {
		e.NotSent = rest
	}
	return e
}

// explain is Explain, but knows a server that answers, and only acknowledges
// nothing, from one that is out of reach.
func (s *attempt) explain(err error) string {
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	if !late || !s.welcomed {
		return Explain(err, &s.o)
	}
	return fmt.Sprintf("%s answers, but did not acknowledge in time%s: its log says what keeps it; --timeout gives it longer", s.o.Address, said(s.waiting))
}

// permanent tells failures that another try within seconds does not mend.
func permanent(err error) bool {
	var server *certs.ServerError
	var noTLS tls.RecordHeaderError
	var dns *net.DNSError
	return refused(err) || errors.As(err, &noTLS) || errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &server) || errors.Is(err, errDowngrade)
}

// refused tells that a server wants nothing from us. It says so before it
// reads what came along.
func refused(err error) bool {
	var bye *wire.ByeError
	_, told := alert(err)
	return told || errors.As(err, &bye) && (bye.Reason == wire.NotListed || bye.Reason == wire.BadPolicy)
}

// try sends what is not acknowledged over one connection.
func (s *attempt) try(ctx context.Context) error {
	s.welcomed, s.waiting = false, ""
	conn, err := dial(ctx, s.o)
	if err != nil {
		return err
	}
	defer conn.Close()
	if conn.old {
		return s.tryOld(ctx, conn)
	}
	s.o.modern()
	items := s.items[s.done:]
	first, rest := cut(items, wire.FirstFlight)
	flight := &first
	if first.Entries[0].Size()+wire.BatchOverhead > wire.FirstFlight {
		flight, rest = nil, items
	}
	session, err := wire.Connect(ctx, conn, s.o.Hello, flight, func(why string) { s.waiting = why })
	if err != nil {
		var bye *wire.ByeError
		if unread := refused(err) || errors.As(err, &bye); !unread {
			s.left = max(s.left, len(s.items)-len(rest))
		}
		return err
	}
	s.left, s.welcomed = max(s.left, len(s.items)-len(rest)), true
	sending := make(chan error, 1)
	sent := len(rest)
	if sent == 0 {
		sending <- nil
	} else {
		go func() { sending <- sendRest(session, rest, &sent) }()
	}
	for s.done < len(s.items) && err == nil {
		var ack wire.Ack
		if ack, err = session.Receive(ctx); err == nil {
			s.take(ack)
		}
	}
	if err == nil {
		err = session.Leave()
	}
	conn.Close() // a Send that still waits ends
	err = errors.Join(err, <-sending)
	s.left = max(s.left, len(s.items)-sent)
	return err
}

func (s *attempt) take(ack wire.Ack) {
	for _, r := range ack.Rejections {
		s.reject(fmt.Sprintf("%s: %q", r.Reason, r.Text))
	}
	for s.done < len(s.items) && s.items[s.done].Sequence <= ack.Sequence {
		s.done++
	}
}

func (s *attempt) reject(reason string) {
	if s.rejected == 0 {
		s.reason = reason
	}
	s.rejected++
}

// sendRest counts in unsent what it has not begun to send.
func sendRest(s *wire.Session, rest []Item, unsent *int) error {
	for len(rest) > 0 {
		var batch wire.Batch
		batch, rest = cut(rest, min(mostBytes, int(s.Welcome.MaxFrame)))
		*unsent = len(rest)
		if err := s.Send(batch); err != nil {
			return fmt.Errorf("send a batch: %w", err)
		}
	}
	return nil
}
