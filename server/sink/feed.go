package sink

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"sync"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/disk"
	"massive-passive/internal/logx"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

const (
	batchItems = 1000
	batchBytes = 1 << 20
)

// FeedOptions say what a sink gets of what its reader reads.
type FeedOptions struct {
	Target     string // what the sink delivers to, for messages
	OrderGuard bool   // drop a result older than one delivered from another client
	DrainRate  int    // results a second of a backlog; 0 is as fast as the core takes them
	LatestOnly bool   // of a backlog, only the newest result of each object
	// Objects are what hosts and services the core has, where its configuration is
	// named: what it does not have is rejected, and a host's address becomes its name
	// where the core looks it up.
	Objects *core.Cache
	// Found are the same of a core that was found unasked. They may be another's, or
	// old: it is only told what the core does not have.
	Found *core.Cache
	// Permit says why a client may not send a result, in whose host's address a name
	// was found that nobody knew when it came; nil: it may.
	Permit func(client string, r *check.Result) error
	// Blind tells that the core does not answer: that it takes a result is known only
	// where it has the object.
	Blind   bool
	Rejects *Rejects // who is told of results that the core will never take; nil for nobody
	Log     *logx.Throttle
}

// Feed stands between a sink and its reader on the journal. It decodes and
// judges what is read, holds a backlog to its rate, and knows what may be
// acknowledged. Status may be called from any goroutine, all else only from
// the one that runs the sink.
type Feed struct {
	o      FeedOptions
	reader *journal.Reader

	records    []journal.Record
	batch      []item // room for items
	ready      []item // the part of batch that is not handed out yet
	judged     uint64 // the last sequence that was judged since the last rewind
	highest    uint64 // ever judged
	ledger     ledger
	orderGuard *orderGuard // nil without OrderGuard
	seed       maphash.Seed
	ahead      lookahead

	disk      disk.Reader // of the object cache
	confirmed time.Time   // when that was last seen to be as it was read

	coreAway bool // the sink's: what the core that comes has may not be in the object cache yet

	nextDue   time.Time // of a backlog's next result, with DrainRate
	drainSeen time.Time // when drainAge was taken
	drainAge  time.Duration

	troubled bool // the core takes no results now

	unread bool // the journal cannot be read now

	mu      sync.Mutex // guards what follows
	waiting string
	counts  map[Outcome]uint64
	notes   Notes
	cutUpTo uint64 // the last sequence whose output was cut
	resting uint64 // up to here the core was seen to have taken all
}

// NewFeed returns the feed of the sink that reads r.
func NewFeed(r *journal.Reader, o FeedOptions) *Feed {
	f := &Feed{o: o, reader: r, seed: maphash.MakeSeed(), counts: map[Outcome]uint64{}}
	if o.OrderGuard {
		f.orderGuard = newOrderGuard()
	}
	return f
}

// Status says how the sink fares.
func (f *Feed) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Name: f.reader.Name(), Target: f.o.Target, Waiting: f.waiting, Taken: max(f.resting, f.reader.Acked()), Outcomes: maps.Clone(f.counts), Notes: f.notes}
	return s
}

// next returns the next results to deliver, at least one, valid until the next
// call. It ends with ctx's error or the journal's.
func (f *Feed) next(ctx context.Context) ([]item, error) {
	if ctx.Err() != nil { // however much is there: a stop does not wait for a backlog
		return nil, context.Cause(ctx)
	}
	for len(f.ready) == 0 {
		if f.ahead.running {
			if err := f.lookAhead(ctx); err != nil {
				return nil, err
			}
		}
		err := f.read(ctx, func(ctx context.Context) (records []journal.Record, err error) {
			return f.reader.Next(ctx, f.records, batchItems, batchBytes)
		})
		if err != nil {
			return nil, err
		}
		f.take()
		f.settle(0) // entries that nobody will deliver
		if err := ctx.Err(); err != nil && len(f.ready) == 0 {
			return nil, context.Cause(ctx) // they may be all for a long while
		}
	}
	return f.pace(ctx)
}

// readAgain is how long a journal rests that could not be read.
const readAgain = time.Second

// read takes what get returns for f.records. What the disk does not give is no
// news of the core: what that was handed stays handed, and the disk is asked again.
func (f *Feed) read(ctx context.Context, get func(context.Context) ([]journal.Record, error)) error {
	for {
		records, err := f.try(ctx, get)
		if err == nil {
			f.records = records
			f.readable()
			return nil
		}
		if errors.Is(err, journal.ErrClosed) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			f.readable() // nothing is left that the disk could refuse
			continue
		}
		f.unreadable(err)
		if err := sleep(ctx, readAgain); err != nil {
			return err
		}
	}
}

// try gets once, without waiting long for something new where it is not known yet
// that what there is can be read.
func (f *Feed) try(ctx context.Context, get func(context.Context) ([]journal.Record, error)) ([]journal.Record, error) {
	if f.unread {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readAgain)
		defer cancel()
	}
	return get(ctx)
}

// nextWithin is next, but returns nothing where there is nothing within d.
func (f *Feed) nextWithin(ctx context.Context, d time.Duration) ([]item, error) {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	items, err := f.next(short)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	return items, err
}

// take judges the records that were read. Where they begin a backlog that has
// to be looked at first, it leaves them for later.
func (f *Feed) take() {
	n := 0 // of f.batch
	for _, rec := range f.records {
		if rec.Seq <= f.judged { // handed out before the journal was looked at
			continue
		}
		if n == len(f.batch) {
			f.batch = append(f.batch, item{})
		}
		it := &f.batch[n]
		if err := f.decode(it, rec); err != nil {
			f.o.Log.Error(f.o.Target, "entry").Err(err).Uint64("sequence", rec.Seq).Msg("passed over an entry of the journal")
			f.judge(rec.Seq, GivenUpUnreadable)
			continue
		}
		if f.needsLookahead(it) {
			f.ahead = lookahead{newest: map[object]candidate{}, asked: it.seq, running: true}
			f.reader.Rewind()
			break
		}
		if it.early && it.seq > f.highest {
			f.noteTimeFixed()
		}
		outcome := f.fate(it)
		f.judge(it.seq, outcome)
		if outcome.handedOut() {
			n++
		}
	}
	f.ready = f.batch[:n]
}

// fate says what becomes of a result, and notes it where later ones depend on it.
func (f *Feed) fate(it *item) Outcome {
	outcome := f.handed(it)
	if !outcome.handedOut() || it.result.Kind == check.Command || f.orderGuard == nil && f.ahead.newest == nil {
		return outcome
	}
	o := objectOf(f.seed, &it.result)
	switch {
	case f.ahead.newest != nil && f.ahead.passes(o, it):
		f.ahead.passed++
		return DroppedPassedOver
	case f.orderGuard != nil && !f.orderGuard.pass(o, it):
		f.logOlder(it)
		return DroppedOlder
	}
	return outcome
}

func (f *Feed) judge(seq uint64, outcome Outcome) {
	f.ledger.add(seq, outcome)
	f.judged, f.highest = seq, max(f.highest, seq)
	if seq >= f.ahead.upTo && !f.ahead.running {
		f.logPassedOver()
		f.ahead = lookahead{}
	}
}

// ack tells that the sink is done with all that it was handed up to seq.
func (f *Feed) ack(seq uint64) { f.settle(seq) }

// rest tells that the core was seen to have taken all up to seq. It stays in the
// journal until it is acknowledged, but waits for nothing that the core has to do.
func (f *Feed) rest(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.resting {
		f.resting = f.ledger.restsUpTo(seq)
	}
}

func (f *Feed) settle(seq uint64) {
	if upTo := f.ledger.ack(seq, f.count); upTo > 0 {
		f.reader.Ack(upTo)
	}
}

// rewind goes back to the first result that is not acknowledged, as after a
// restart of the core. What the core has is not known any more, so the judgement
// of order begins anew.
func (f *Feed) rewind() {
	f.reader.Rewind()
	f.ready, f.judged = nil, 0
	f.ledger.reset()
	f.mu.Lock()
	f.resting = 0 // the core that took it may have dropped it
	f.mu.Unlock()
	f.ahead = lookahead{}
	if f.orderGuard != nil {
		f.orderGuard = newOrderGuard()
	}
}

// reject tells that the core will never take a result. The sink acknowledges
// it like a delivered one.
func (f *Feed) reject(it *item, outcome Outcome, why string) {
	f.ledger.refuse(it.seq, outcome)
	f.logReject(it, outcome, why)
}

func (f *Feed) logReject(it *item, outcome Outcome, why string) {
	if f.o.Rejects != nil {
		f.o.Rejects.tell(f.o.Target, it, outcome, why)
	}
}

// logOlder says that the order guard drops results: at once, then once a minute
// with how many, for of two clients that check the same it may be every other one.
func (f *Feed) logOlder(it *item) {
	f.o.Log.Warn(f.o.Target, "older").Str("sink", f.o.Target).Str("client", it.client).
		Str("host", logx.Clip(it.result.Host)).Str("service", logx.Clip(it.result.Service)).
		Msg("dropped results older than what another client delivered, this one at last: do both check this, and are their clocks right?")
}

func (f *Feed) count(outcome Outcome, n uint64) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[outcome] += n
}

func (f *Feed) noteTimeFixed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes.TimeFixed++
}

// noteCut counts a result whose output is cut, once however often it is written.
func (f *Feed) noteCut(it *item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it.seq > f.cutUpTo {
		f.cutUpTo = it.seq
		f.notes.OutputCut++
	}
}

// setState says in a few words what the sink waits for; "" while it delivers.
func (f *Feed) setState(why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = why
}

// trouble says what keeps the core from getting results: at once when it is
// new, then once a minute.
func (f *Feed) trouble(err error) {
	text := err.Error()
	f.setState(text)
	f.troubled = true
	f.o.Log.Still(text).Warn(f.o.Target, "trouble").Str("sink", f.o.Target).Str("why", logx.ClipText(text)).Msg("the core takes no results: they wait in the journal")
}

// unreadable says that the disk does not give what is next: at once, then once a
// minute.
func (f *Feed) unreadable(err error) {
	f.setState(err.Error())
	f.unread = true
	f.o.Log.Still("").Error(f.o.Target, "unreadable").Err(err).Str("sink", f.o.Target).
		Msg("the journal cannot be read: look after its disk; what that has lost is asked for five minutes, then passed over and told as damage")
}

func (f *Feed) readable() {
	if f.unread {
		f.unread = false
		f.setState("")
		f.o.Log.Still("").Info(f.o.Target, "readable").Str("sink", f.o.Target).Msg("the journal can be read again")
	}
}

// well tells that the core takes results.
func (f *Feed) well() {
	f.setState("")
	if f.troubled {
		f.troubled = false
		f.o.Log.Still("").Info(f.o.Target, "well").Str("sink", f.o.Target).Msg("the core takes results again")
	}
}
