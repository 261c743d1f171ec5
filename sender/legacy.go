package sender

import (
	"context"
	"fmt"

	"massive-passive/wire/check"
	"massive-passive/wire/legacy"
)

// The most that one message to an old server holds. Version 0.3.9 sent at most
// a hundred results together unless told otherwise.
const (
	oldItems = 100
	oldBytes = 1 << 20
)

// deliverOld delivers to a server of version 0.3.9, one message a connection,
// until one fails, ctx ends, or the server turns out to speak version 1: then
// it returns the connection.
func (d *Delivery) deliverOld(ctx context.Context, l *link) (modern *link, steady bool, err error) {
	d.throttle.Warn(d.options.Address, "old").Msg("connected to a server of version 0.3.9: it acknowledges nothing, so that what it loses is lost; update it")
	l.Close() // connections are for messages, and there is none yet
	d.state.Store(nil)
	defer d.inHand.Store(false)
	for {
		d.source.Rewind()
		d.inHand.Store(false)
		items, err := d.gatherOld(ctx)
		if err != nil {
			return nil, steady, err
		}
		d.inHand.Store(true)
		if l, err = dial(ctx, d.options); err != nil {
			return nil, steady, err
		}
		if !l.old {
			return l, true, nil
		}
		short, cancel := settling(ctx)
		n, err := sendOld(short, l, items, d.giveUp)
		cancel()
		l.Close()
		if err != nil {
			return nil, steady, err
		}
		d.source.Ack(items[n-1].Sequence)
		steady = true
	}
}

// tryOld is try for a server of version 0.3.9, and its first
// connection: each message needs another.
func (s *attempt) tryOld(ctx context.Context, l *link) error {
	for {
		n, err := sendOld(ctx, l, s.items[s.done:], func(_ Item, why error) { s.reject(why.Error()) })
		l.Close()
		s.left = max(s.left, s.done+n)
		if err != nil {
			return err
		}
		if s.done += n; s.done == len(s.items) {
			return nil
		}
		if l, err = dial(ctx, s.o); err != nil {
			return err
		}
		if !l.old { // it was updated this very moment
			l.Close()
			return nil
		}
	}
}

// gatherOld waits for results and, in batch mode, for more to go along.
func (d *Delivery) gatherOld(ctx context.Context) ([]Item, error) {
	limit := oldItems
	if d.options.BatchItems > 0 {
		limit = min(limit, d.options.BatchItems)
	}
	items, err := d.source.Next(ctx, nil, limit, oldBytes)
	if err != nil || d.options.BatchWait == 0 || len(items) >= limit {
		return items, err
	}
	wait, cancel := context.WithTimeout(ctx, d.options.BatchWait)
	defer cancel()
	select {
	case <-wait.Done():
	case <-d.drain:
	}
	d.source.Rewind()
	return d.source.Next(ctx, nil, limit, oldBytes)
}

// settling is ctx with a moment beyond its end, for what is in flight.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	short, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		pause(short, confirmTime)
		cancel()
	})
	return short, func() { stop(); cancel() }
}

// sendOld sends as many of items, at least one, as go into one message, and
// returns how many these were once the server has confirmed them. What cannot
// be read is told to giveUp and passed over.
func sendOld(ctx context.Context, l *link, items []Item, giveUp func(Item, error)) (n int, err error) {
	var text []byte
	for ; n < len(items) && n < oldItems && len(text) < oldBytes; n++ {
		r, err := check.Decode(items[n].Result)
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			giveUp(items[n], fmt.Errorf("it cannot be put into the words of version 0.3.9: %w", err))
			continue
		}
		text = legacy.AppendLine(text, &r)
	}
	if len(text) == 0 {
		return n, nil
	}
	return n, legacy.Send(ctx, l.Conn, l.below, text)
}

func (d *Delivery) giveUp(it Item, why error) {
	if it.Sequence <= d.gaveUp { // the message around it is sent again
		return
	}
	d.gaveUp = it.Sequence
	d.counters.reject(unspeakable)
	about(d.throttle.Error(d.options.Address, "unspeakable"), it.Result).Uint64("sequence", it.Sequence).Err(why).Msg("gave up a result")
}
