package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/logx"
	"massive-passive/server/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// judge says why a client may not send a result that is valid: for good by an
// *access.DeniedError, any other error refuses the client.
type judge interface {
	Judge(client string, r *check.Result) error
	// NamesOnly tells whether it can judge the client's results whatever addresses
	// the core takes for hosts.
	NamesOnly(client string) bool
}

// intake is the one way into the server: every door calls Submit. One
// goroutine, Run's, owns the journal and the table of duplicates.
type intake struct {
	journal   *journal.Journal
	maxBytes  int64  // of the journal
	instances string // the checkpoint's file; "": the journal is in memory
	judge     judge
	objects   *core.Cache // of a core that takes hosts' addresses for their names; may be nil
	log       zerolog.Logger
	throttles throttles
	rates     rates
	shares    *shares
	output    int // the most bytes of a result's output

	requests         chan *submission
	pool             sync.Pool   // of *submission
	groupCommit      groupCommit // owned by run
	payloads         [][]byte    // of one append; owned by run
	known            *duplicates // owned by run
	recoveredFlushed bool        // what was there at the start is certainly on the disk; owned by run
	measured         time.Time   // when the journal's size was last looked at; owned by run
	trouble          atomic.Pointer[string]
	counts           counts
	lastSeen         lastSeen
	pushedOut        pushedOut
}

// counts are what the intake did since its start.
type counts struct {
	taken, duplicate, malformed, denied atomic.Uint64
}

const (
	instancesFile = "instances"
	retryInterval = time.Second
	trimInterval  = time.Second
	// measureInterval is how long the journal may grow unmeasured: to add its
	// size up costs more than to append a result.
	measureInterval = 50 * time.Millisecond
)

// openIntake opens the journal in dir, or one in memory where dir is empty.
func openIntake(o Options, judge judge, objects *core.Cache, log zerolog.Logger, to throttles) (*intake, error) {
	in := &intake{maxBytes: o.JournalMaxBytes, judge: judge, objects: objects, log: log, throttles: to, requests: make(chan *submission, 1024), known: newDuplicates(),
		rates: rates{perSecond: o.Limits.Rate}, shares: newShares(o.Limits.ClientShare, o.JournalMaxBytes), output: o.Limits.Output}
	jo := journal.Options{Dir: o.journalDir(), NoSync: !o.JournalFlush}
	oldest := uint64(0) // sequence that is still there
	if jo.Dir != "" {
		in.instances = filepath.Join(o.StateDir, instancesFile)
		var rec record.Record
		jo.Recovered = func(r journal.Record) {
			if oldest == 0 {
				oldest = r.Seq
			}
			if rec.Decode(r.Payload) == nil {
				in.known.add(&rec.Origin)
				in.shares.recover(rec.Client, int64(len(r.Payload)+recordOverhead), r.Seq)
			}
		}
		jo.BeforeRemove = func(uint64) error {
			if !in.recoveredFlushed {
				return errUnsettled
			}
			return in.known.save(in.instances)
		}
		jo.Damaged = func(d journal.Damage) {
			log.Error().Str("journal", d.String()).Msg("the journal is damaged: what is good of it is used; unless the machine crashed, look after its disk")
		}
	}
	var err error
	if in.journal, err = journal.Open(jo); err != nil {
		return nil, err
	}
	if in.instances != "" { // only now: who had the journal until then may have written it
		in.logForgotten(in.known.load(in.instances), oldest)
	}
	in.flushRecovered()
	in.reserve()
	return in, nil
}

var errUnsettled = errors.New("what was written before the start cannot be flushed")

// flushRecovered makes sure that what was recovered is on the disk. Before, no checkpoint
// may tell of it, and so nothing may go.
func (in *intake) flushRecovered() {
	if in.recoveredFlushed {
		return
	}
	if err := in.journal.Flush(); err != nil {
		in.logDisk(err)
		return
	}
	in.known.flushed()
	in.recoveredFlushed = true
}

// Waiting says why Submit takes long for a client.
func (in *intake) Waiting(client string) string {
	if why := in.shares.why(client); why != "" {
		return why
	}
	if why := in.trouble.Load(); why != nil {
		return *why
	}
	if in.objects != nil && in.objects.Last() == nil {
		return unknownHosts
	}
	return "the server is busy"
}

// run owns the journal until ctx ends. What was submitted before and is not
// yet safe then gets an error.
func (in *intake) run(ctx context.Context) error {
	trim := time.NewTicker(trimInterval)
	defer trim.Stop()
	looked := time.Now()
	in.known.forget(looked, 0)
	in.shares.settle(furthest(in.journal.Stats().Readers))
	for {
		select {
		case <-ctx.Done():
			return in.close()
		case first := <-in.requests:
			in.commit(ctx, in.groupCommit.from(in.requests, first))
		case now := <-trim.C:
			in.known.forget(now, now.Sub(looked))
			looked = now
			in.flushRecovered()
			in.reserve()
			in.trim()
			in.shares.settle(furthest(in.journal.Stats().Readers))
		}
	}
}

// commit appends what is new, flushes, and tells those who wait.
func (in *intake) commit(ctx context.Context, work []*submission) {
	failed := in.awaitRoom(ctx)
	refused := make([]error, len(work))
	for i, s := range work {
		if failed == nil {
			refused[i] = in.append(s)
		}
		in.shares.land(s.holding, s.room, s.landed, s.lastLanded)
	}
	if failed == nil {
		failed = in.flush(ctx)
	}
	for i, s := range work {
		work[i] = nil // the buffers of a large flush are not kept until the next one
		s.done <- errors.Join(failed, refused[i])
	}
}

// flush makes what was appended durable, however long the disk refuses.
func (in *intake) flush(ctx context.Context) error {
	for {
		err := in.journal.Flush()
		if err == nil {
			in.known.flushed()
			in.recoveredFlushed = true
			in.setTrouble("")
			return nil
		}
		in.known.flushedUpTo(in.journal.Stats().Durable) // may go, and must be in the checkpoint then
		in.setTrouble(fmt.Sprintf("the journal cannot be written: %v", err))
		in.trim()
		if err := pause(ctx, retryInterval); err != nil {
			return err
		}
	}
}

// awaitRoom waits while the journal is full. A sink that lags behind another
// gives up its oldest results; only when none reads does the journal fill.
func (in *intake) awaitRoom(ctx context.Context) error {
	if time.Since(in.measured) < measureInterval {
		return nil
	}
	defer func() { in.measured = time.Now() }()
	for stats := in.journal.Stats(); ; stats = in.journal.Stats() {
		in.shares.settle(furthest(stats.Readers))
		if stats.Bytes < in.maxBytes {
			break
		}
		in.trim()
		if stats = in.journal.Stats(); stats.Bytes < in.maxBytes {
			break
		}
		why := "no sink takes any"
		if holders, _ := in.journal.Holders(); len(holders) < len(stats.Readers) {
			err := in.pushOut()
			if err == nil {
				continue
			}
			why = fmt.Sprintf("its oldest cannot go: %v", err)
		}
		in.setTrouble(fmt.Sprintf("the journal is full: %d bytes of %d, and %s", stats.Bytes, in.maxBytes, why))
		if err := pause(ctx, retryInterval); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) pushOut() error {
	lost, err := in.journal.PushOut(1)
	for sink, n := range lost {
		in.pushedOut.add(sink, uint64(n))
		in.throttles.own.Of(n).Error(sink, "pushed out").Str("sink", sink).Int("results", n).Msg("the journal is full: the oldest results of a sink that lags were given up")
	}
	if err != nil {
		in.logDisk(err)
	}
	return err
}

func (in *intake) trim() {
	if err := in.journal.Trim(); err != nil {
		in.logDisk(err)
	}
}

// reserve keeps room for the checkpoint while there is some.
func (in *intake) reserve() {
	if in.instances == "" {
		return
	}
	if err := in.known.reserve(in.instances); err != nil {
		in.logDisk(err)
	}
}

func (in *intake) logDisk(err error) {
	in.throttles.own.Error("", "disk").Err(err).Msg("the journal's disk refuses")
}

// setTrouble notes why nothing is acknowledged, and says so once a minute.
func (in *intake) setTrouble(why string) {
	if why == "" {
		if in.trouble.Swap(nil) != nil {
			in.throttles.own.Still("").Info("", "no trouble").Msg("the journal takes results again")
		}
		return
	}
	in.trouble.Store(&why)
	in.throttles.own.Still("").Error("", "trouble").Str("why", logx.ClipText(why)).Msg("results are not acknowledged: the clients keep them")
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errStopped = errors.New("the server stops")

// close answers who still waits and closes the journal.
func (in *intake) close() error {
	for {
		select {
		case s := <-in.requests:
			s.done <- errStopped
			continue
		default:
		}
		return in.journal.Close()
	}
}
