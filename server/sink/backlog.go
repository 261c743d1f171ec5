package sink

import (
	"context"
	"time"

	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// backlogAge is how long ago a result was received that belongs to a backlog.
const backlogAge = time.Minute

// drainBurst is how much of a second's backlog may go at once.
const drainBurst = 100 * time.Millisecond

// lookahead knows the newest result of each object in a backlog. It has read
// the journal up to where results are younger than backlogAge.
type lookahead struct {
	newest  map[object]candidate
	upTo    uint64 // the last sequence looked at
	asked   uint64 // the sequence that made it necessary: what is before it is old
	running bool   // not there yet
	passed  int    // results that were passed over so far
}

type candidate struct {
	seq    uint64
	finish int64
	client string
}

// consider has the lookahead take a result in, unless the guard would drop it in
// the place of one that it lets through.
func (f *Feed) consider(it *item) {
	o := objectOf(f.seed, &it.result)
	if f.orderGuard != nil && it.result.Kind != check.Command {
		if _, ok := f.orderGuard.judge(o, it); !ok {
			f.ahead.upTo = it.seq
			return
		}
	}
	f.ahead.note(o, it)
}

// note takes a result in. Of two clients' results the later finished is the
// newer one, of one client's the later sent.
func (l *lookahead) note(o object, it *item) {
	l.upTo = it.seq
	if it.result.Kind == check.Command {
		return
	}
	c, there := l.newest[o]
	if !there || c.client == it.client || it.result.Finish >= broughtBack(c.finish, it) {
		l.newest[o] = candidate{it.seq, it.result.Finish, it.client}
	}
}

// passes tells whether a result stands behind a newer one of its object.
func (l *lookahead) passes(o object, it *item) bool {
	if it.seq > l.upTo || it.result.Kind == check.Command {
		return false
	}
	c, there := l.newest[o]
	return there && c.seq != it.seq
}

// needsLookahead tells whether an entry belongs to a backlog of which only the
// newest results are wanted, and was not looked at.
func (f *Feed) needsLookahead(it *item) bool {
	return f.o.LatestOnly && it.seq > f.ahead.upTo && f.old(it)
}

func (f *Feed) old(it *item) bool {
	return time.Since(time.UnixMicro(it.received)) > backlogAge
}

// lookAhead reads on until results are young, then puts the reader back. When
// ctx ends first, the next call goes on.
func (f *Feed) lookAhead(ctx context.Context) error {
	var it item
	for ctx.Err() == nil {
		err := f.read(ctx, func(context.Context) ([]journal.Record, error) {
			return f.reader.TryNext(f.records, batchItems, batchBytes)
		})
		if err != nil {
			return err
		}
		young := len(f.records) == 0
		for _, rec := range f.records {
			if f.decode(&it, rec) != nil {
				continue // judged when it is read to be delivered
			}
			// After a clock was set, younger ones may stand before it.
			if young = it.seq > f.ahead.asked && !f.old(&it); young {
				break
			}
			f.consider(&it)
		}
		if young {
			f.ahead.running = false
			f.reader.Rewind()
			return nil
		}
	}
	return context.Cause(ctx)
}

// logPassedOver says what became of a backlog that is through.
func (f *Feed) logPassedOver() {
	if f.ahead.passed > 0 {
		f.o.Log.Info(f.o.Target, "passed over").Str("sink", f.o.Target).Int("passed_over", f.ahead.passed).Int("objects", len(f.ahead.newest)).
			Msg("of a backlog only the newest result of each host and service was delivered, as --backlog=latest says")
	}
}

// pace hands out what is ready: young results all at once, those of a backlog
// at the drain rate. It may wait.
func (f *Feed) pace(ctx context.Context) ([]item, error) {
	n := len(f.ready)
	if f.o.DrainRate > 0 {
		var wait time.Duration
		for n, wait = f.due(time.Now()); n == 0; n, wait = f.due(time.Now()) {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, context.Cause(ctx)
			}
		}
	}
	out := f.ready[:n]
	f.ready = f.ready[n:]
	return out, nil
}

// due returns how many of the ready results may go now, or, for 0, how long it
// takes until one may.
func (f *Feed) due(now time.Time) (n int, wait time.Duration) {
	for n < len(f.ready) && !f.old(&f.ready[n]) {
		n++
	}
	if n > 0 {
		return n, 0
	}
	f.watchDrain(now)
	if wait = f.nextDue.Sub(now); wait > 0 {
		return 0, wait
	}
	if early := now.Add(-drainBurst); f.nextDue.Before(early) {
		f.nextDue = early
	}
	each := time.Second / time.Duration(f.o.DrainRate)
	most := 1 + int(now.Sub(f.nextDue)/each)
	for n < min(most, len(f.ready)) && f.old(&f.ready[n]) {
		n++
	}
	f.nextDue = f.nextDue.Add(time.Duration(n) * each)
	return n, 0
}

// watchDrain warns when a backlog grows older although it is drained: then
// more comes in than the rate lets out, and it never ends.
func (f *Feed) watchDrain(now time.Time) {
	if now.Sub(f.drainSeen) < time.Minute {
		return
	}
	age := now.Sub(time.UnixMicro(f.ready[0].received))
	if now.Sub(f.drainSeen) < 2*time.Minute && age >= f.drainAge {
		f.o.Log.Still("").Warn(f.o.Target, "drain").Str("sink", f.o.Target).Int("drain_rate", f.o.DrainRate).Stringer("age", age.Round(time.Second)).
			Msg("the backlog does not shrink: as much comes in as --drain-rate lets out")
	}
	f.drainSeen, f.drainAge = now, age
}
