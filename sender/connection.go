package sender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// connection is what a Delivery knows of one session. The goroutine of Run
// sends, a second one receives.
type connection struct {
	*Delivery
	session *wire.Session
	sentAt  time.Time // the last frame; the sending goroutine's

	progress chan struct{} // holds a token when an ACK came
	over     chan struct{} // closed when nothing is received any more

	mu           sync.Mutex
	last, acked  uint64 // sequences sent and acknowledged
	sent         []sent // batches that are not acknowledged, oldest first
	skipped      uint64 // a result that cannot travel ...
	skippedAfter uint64 // ... and is done with once this one is acknowledged
}

// deliver lives for one session, until it breaks or ctx ends. At a stop what
// is in flight has a moment to be acknowledged. After a failed write the
// server's last word is waited for: its BYE says more than a broken pipe.
func (d *Delivery) deliver(ctx context.Context, conn net.Conn, s *wire.Session) (steady bool, err error) {
	c := &connection{Delivery: d, session: s, sentAt: time.Now(), progress: make(chan struct{}, 1), over: make(chan struct{})}
	begin := c.sentAt
	d.source.Rewind()
	d.inHand.Store(false)
	d.session.Store(s)
	defer d.session.Store(nil)
	d.state.Store(nil)
	life, end := context.WithCancel(ctx)
	defer end()
	// A write that the peer does not take may not hold up the end.
	defer context.AfterFunc(life, s.Hurry)()
	receiving, stopReceiving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReceiving()
	var lastWord error
	go func() {
		defer close(c.over)
		defer end()
		lastWord = c.receive(receiving)
	}()
	err = c.send(life)
	c.confirm(ctx.Err() != nil)
	stopReceiving()
	<-c.over
	if c.acked == 0 && c.last > 0 { // the line may break before more is through
		d.bytes.Store(max(d.bytes.Load()/2, fewestBytes))
	}
	steady = c.acked > 0 || time.Since(begin) > steadyConnection
	if ctx.Err() != nil {
		return steady, s.Close()
	}
	if !errors.Is(lastWord, context.Canceled) {
		err = lastWord
	}
	return steady, err
}

// confirm waits for the end of what is received, or, if stopping, for the ACKs
// of what is in flight.
func (c *connection) confirm(stopping bool) {
	limit := time.NewTimer(confirmTime)
	defer limit.Stop()
	for !stopping || c.session.InFlight() > 0 {
		select {
		case <-c.progress:
		case <-c.over:
			return
		case <-limit.C:
			return
		}
	}
}

func (c *connection) send(ctx context.Context) error {
	var items []Item
	for {
		var err error
		if items, err = c.take(ctx, items, c.limit(), int(c.bytes.Load())); err != nil {
			return err
		}
		c.inHand.Store(true)
		batch, err := c.gather(ctx, items)
		if err != nil {
			return err
		}
		if err := c.sendAll(batch); err != nil {
			return err
		}
		c.inHand.Store(false)
	}
}

func (c *connection) sendAll(items []Item) error {
	most := int(c.session.Welcome.MaxFrame)
	me := c.options.Identity
	for i := range items {
		items[i].Instance = me.of(items[i])
	}
	for rest := items; len(rest) > 0; {
		if e := (wire.Entry{Result: rest[0].Result}); wire.BatchOverhead+e.Size() > most {
			c.skip(rest[0])
			rest = rest[1:]
			continue
		}
		var batch wire.Batch
		batch, rest = cut(rest, most)
		c.mu.Lock()
		c.last = batch.Entries[len(batch.Entries)-1].Sequence
		c.sent = append(c.sent, sent{c.last, len(batch.Entries)})
		c.mu.Unlock()
		me.sent = max(me.sent, c.last)
		if err := c.session.Send(batch); err != nil {
			return fmt.Errorf("send a batch: %w", err)
		}
		c.sentAt = time.Now()
	}
	return nil
}

// about adds to a line of the log whose result it tells of.
func about(line *zerolog.Event, result []byte) *zerolog.Event {
	if r, err := check.Decode(result); err == nil {
		line.Str("host", logx.Clip(r.Host)).Str("service", logx.Clip(r.Service))
	}
	return line
}

// skip gives up a result that this server can never take, so that it does not
// hold up those behind it.
func (c *connection) skip(it Item) {
	text := fmt.Sprintf("a result of %d bytes is over this server's limit of %d", len(it.Result), c.session.Welcome.MaxFrame)
	about(c.throttle.Error(c.options.Address, "too large"), it.Result).Uint64("sequence", it.Sequence).Str("why", text).Msg("gave up a result: make the plugin say less")
	c.counters.reject(tooLarge)
	if c.options.Rejected != nil {
		c.options.Rejected(wire.Rejection{Sequence: it.Sequence, Reason: wire.Refused, Text: text})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked == c.last {
		c.source.Ack(it.Sequence)
		return
	}
	c.skipped, c.skippedAfter = it.Sequence, c.last
}

// take waits for results and pings meanwhile. A server gives up a client that
// it hears nothing from, whatever it sends itself: what counts is when we last
// sent. While an ACK is due, no PING goes, and is tried again soon.
func (c *connection) take(ctx context.Context, dst []Item, maxItems, maxBytes int) ([]Item, error) {
	for {
		short, cancel := context.WithTimeout(ctx, max(time.Until(c.sentAt.Add(wire.PingInterval)), pingRecheck))
		items, err := c.source.Next(short, dst[:0], maxItems, maxBytes)
		expired := short.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !expired {
			return items, err
		}
		if time.Since(c.sentAt) < wire.PingInterval {
			continue
		}
		sent, err := c.session.Ping()
		if err != nil {
			return nil, fmt.Errorf("send a ping: %w", err)
		}
		if sent {
			c.sentAt = time.Now()
		}
	}
}

func (c *connection) limit() int {
	if c.options.BatchWait > 0 && c.options.BatchItems > 0 {
		return min(mostItems, c.options.BatchItems)
	}
	return mostItems
}

// gather waits in batch mode for more to go along, unless Drain was called.
// Results are copied, as the source's are valid only until its next Next.
func (c *connection) gather(ctx context.Context, items []Item) ([]Item, error) {
	limit := c.limit()
	if c.options.BatchWait == 0 || len(items) >= limit {
		return items, nil
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	wait, cancel := context.WithTimeout(ctx, c.options.BatchWait)
	defer cancel()
	watching.Go(func() {
		select {
		case <-c.drain:
			cancel()
		case <-wait.Done():
		}
	})
	all, size := keep(nil, items)
	var more []Item
	for most := int(c.bytes.Load()); len(all) < limit && size < most; {
		var err error
		if more, err = c.take(wait, more, limit-len(all), most-size); err != nil {
			if ctx.Err() == nil {
				return all, nil // what went wrong, if it is not the wait that is over, the next take tells
			}
			return nil, err
		}
		var n int
		all, n = keep(all, more)
		size += n
	}
	return all, nil
}

// keep appends copies of more to all, and returns how many bytes they have.
func keep(all, more []Item) ([]Item, int) {
	size := 0
	for _, it := range more {
		it.Result = append([]byte(nil), it.Result...)
		size += len(it.Result)
		all = append(all, it)
	}
	return all, size
}

// cut takes the first items that make one batch: of one instance, and not
// longer than limit unless the first alone is.
func cut(items []Item, limit int) (wire.Batch, []Item) {
	batch := wire.Batch{Instance: items[0].Instance}
	size := wire.BatchOverhead
	n := 0
	for ; n < min(len(items), wire.MaxEntries) && items[n].Instance == batch.Instance; n++ {
		e := wire.Entry{Sequence: items[n].Sequence, Result: items[n].Result}
		if size += e.Size(); size > limit && n > 0 {
			break
		}
		batch.Entries = append(batch.Entries, e)
	}
	return batch, items[n:]
}

func (c *connection) receive(ctx context.Context) error {
	for {
		ack, err := c.session.Receive(ctx)
		if err != nil {
			return err
		}
		c.held.Store(nil)
		c.rejections(ack.Rejections)
		done := c.acknowledge(ack.Sequence)
		c.bytes.Store(min(2*c.bytes.Load(), mostBytes))
		c.counters.deliver(done - len(ack.Rejections))
		select {
		case c.progress <- struct{}{}:
		default:
		}
		c.options.Log.Debug().Uint64("sequence", ack.Sequence).Msg("acknowledged")
	}
}

// acknowledge returns how many results are done with; those of a batch count
// when all of it is.
func (c *connection) acknowledge(sequence uint64) (done int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = sequence
	for len(c.sent) > 0 && c.sent[0].last <= sequence {
		done += c.sent[0].results
		c.sent = c.sent[1:]
	}
	if sequence >= c.skippedAfter {
		sequence = max(sequence, c.skipped)
	}
	c.source.Ack(sequence)
	return done
}

// rejections counts results that the server will never take. A client that may
// send nothing would fill its log: they are logged once a minute.
func (c *connection) rejections(list []wire.Rejection) {
	for _, r := range list {
		c.counters.reject(r.Reason.String())
		if c.options.Rejected != nil {
			c.options.Rejected(r)
		}
		event := c.throttle.Warn(c.options.Address, "rejected")
		if event == nil {
			event = c.options.Log.Debug()
		}
		event.Uint64("sequence", r.Sequence).Stringer("reason", r.Reason).Str("why", logx.ClipText(r.Text)).
			Msg("the server rejected a result for good; its log tells which client may send what")
	}
}
