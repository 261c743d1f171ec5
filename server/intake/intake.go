// Package intake is the one way into the server: each door calls Submit, which
// judges results, drops duplicates, appends the rest to the journal, and returns
// once they are flushed. Who a client is and how it speaks is known to the door,
// what becomes of a result in the journal to the sinks.
package intake

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
	"massive-passive/server/intake/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// Judge says why a client may not send a result that is valid: for good by an
// *access.DeniedError, any other error refuses the client.
type Judge interface {
	Judge(client string, r *check.Result) error
	// NamesOnly tells whether it can judge the client's results whatever addresses
	// the core takes for hosts.
	NamesOnly(client string) bool
}

// Options say where the journal is, and what one client may put into it.
type Options struct {
	StateDir     string
	JournalBytes int64 // the most that the journal takes
	JournalFlush bool  // wait for the disk before a result is acknowledged
	Quota
	Objects *core.Cache // of a core that takes hosts' addresses for their names; may be nil

	Log     zerolog.Logger
	Clients *logx.Throttle // what clients do, by name
	Own     *logx.Throttle // what is wrong with this server's disk
}

// Quota bounds what one client may put into the journal.
type Quota struct {
	ClientShare float64 // of the journal, that it may fill while others need room; 0: any
	Rate        float64 // results a second, over ten seconds; 0: any
	Output      int     // bytes of a result's output; the rest is cut off
}

// Intake owns the journal's writing side. One goroutine, Run's, owns that and the
// table of duplicates; all other methods may be called from any.
type Intake struct {
	Journal *journal.Journal // whose readers are the sinks'

	options    Options
	checkpoint string // the file
	judge      Judge
	rates      rates
	shares     *shares

	requests         chan *submission
	pool             sync.Pool   // of *submission
	groupCommit      groupCommit // owned by Run
	payloads         [][]byte    // of one append; owned by Run
	duplicates       *duplicates // owned by Run
	recoveredFlushed bool        // what was there at the start is certainly on the disk; owned by Run
	measured         time.Time   // when the journal's size was last looked at; owned by Run
	trouble          atomic.Pointer[string]
	counts           counts
	lastSeen         lastSeen
	pushedOut        pushedOut
}

const (
	journalDir     = "journal"   // in the state directory
	checkpointFile = "instances" // there too

	retryInterval = time.Second
	trimInterval  = time.Second
	// measureInterval is how long the journal may grow unmeasured: to add its
	// size up costs more than to append a result.
	measureInterval = 50 * time.Millisecond
)

// Open opens the journal and learns from it and from the checkpoint which results
// were taken before.
func Open(o Options, judge Judge) (*Intake, error) {
	in := &Intake{options: o, checkpoint: filepath.Join(o.StateDir, checkpointFile), judge: judge, requests: make(chan *submission, 1024),
		duplicates: newDuplicates(), rates: rates{perSecond: o.Rate}, shares: newShares(o.ClientShare, o.JournalBytes)}
	oldest := uint64(0) // sequence that is still there
	var rec record.Record
	var err error
	in.Journal, err = journal.Open(journal.Options{Dir: filepath.Join(o.StateDir, journalDir), NoSync: !o.JournalFlush,
		Recovered: func(r journal.Record) {
			if oldest == 0 {
				oldest = r.Seq
			}
			if rec.Decode(r.Payload) == nil {
				in.duplicates.add(&rec.Origin)
				in.shares.recover(rec.Client, int64(len(r.Payload)+recordOverhead), r.Seq)
			}
		},
		BeforeRemove: func(uint64) error {
			if !in.recoveredFlushed {
				return errNotFlushed
			}
			return in.duplicates.save(in.checkpoint)
		},
		Damaged: func(d journal.Damage) {
			o.Log.Error().Str("journal", d.String()).Msg("the journal is damaged: what is good of it is used; unless the machine crashed, look after its disk")
		},
	})
	if err != nil {
		return nil, err
	}
	in.logForgotten(in.duplicates.load(in.checkpoint), oldest) // only now: who had the journal until then may have written it
	in.flushRecovered()
	in.reserve()
	return in, nil
}

var errNotFlushed = errors.New("what was written before the start cannot be flushed")

// flushRecovered makes sure that what was recovered is on the disk. Before, no checkpoint
// may tell of it, and so nothing may go.
func (in *Intake) flushRecovered() {
	if in.recoveredFlushed {
		return
	}
	if err := in.Journal.Flush(); err != nil {
		in.logDisk(err)
		return
	}
	in.duplicates.flushed()
	in.recoveredFlushed = true
}

// Waiting says why Submit takes long for a client.
func (in *Intake) Waiting(client string) string {
	if why := in.shares.waitReason(client); why != "" {
		return why
	}
	if why := in.trouble.Load(); why != nil {
		return *why
	}
	if in.options.Objects != nil && in.options.Objects.Last() == nil {
		return unknownHosts
	}
	return "the server is busy"
}

// Run owns the journal until ctx ends. What was submitted before and is not
// yet safe then gets an error.
func (in *Intake) Run(ctx context.Context) error {
	trim := time.NewTicker(trimInterval)
	defer trim.Stop()
	looked := time.Now()
	in.duplicates.forget(looked, 0)
	in.shares.release(furthest(in.Journal.Stats().Readers))
	for {
		select {
		case <-ctx.Done():
			return in.close()
		case first := <-in.requests:
			in.commit(ctx, in.groupCommit.collect(in.requests, first))
		case now := <-trim.C:
			in.duplicates.forget(now, now.Sub(looked))
			looked = now
			in.flushRecovered()
			in.reserve()
			in.trim()
			in.shares.release(furthest(in.Journal.Stats().Readers))
		}
	}
}

// commit appends what is new, flushes, and tells those who wait.
func (in *Intake) commit(ctx context.Context, work []*submission) {
	failed := in.awaitRoom(ctx)
	refused := make([]error, len(work))
	for i, s := range work {
		if failed == nil {
			refused[i] = in.append(s)
		}
		in.shares.arrive(s.holding, s.reserved, s.journaled, s.lastJournaled)
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
func (in *Intake) flush(ctx context.Context) error {
	for {
		err := in.Journal.Flush()
		if err == nil {
			in.duplicates.flushed()
			in.recoveredFlushed = true
			in.setTrouble("")
			return nil
		}
		in.duplicates.flushedUpTo(in.Journal.Stats().Durable) // may go, and must be in the checkpoint then
		in.setTrouble(fmt.Sprintf("the journal cannot be written: %v", err))
		in.trim()
		if err := pause(ctx, retryInterval); err != nil {
			return err
		}
	}
}

// awaitRoom waits while the journal is full. A sink that lags behind another
// gives up its oldest results; only when none reads does the journal fill.
func (in *Intake) awaitRoom(ctx context.Context) error {
	if time.Since(in.measured) < measureInterval {
		return nil
	}
	defer func() { in.measured = time.Now() }()
	for stats := in.Journal.Stats(); ; stats = in.Journal.Stats() {
		in.shares.release(furthest(stats.Readers))
		if stats.Bytes < in.options.JournalBytes {
			break
		}
		in.trim()
		if stats = in.Journal.Stats(); stats.Bytes < in.options.JournalBytes {
			break
		}
		why := "no sink takes any"
		if holders, _ := in.Journal.Holders(); len(holders) < len(stats.Readers) {
			err := in.pushOut()
			if err == nil {
				continue
			}
			why = fmt.Sprintf("its oldest cannot go: %v", err)
		}
		in.setTrouble(fmt.Sprintf("the journal is full: %d bytes of %d, and %s", stats.Bytes, in.options.JournalBytes, why))
		if err := pause(ctx, retryInterval); err != nil {
			return err
		}
	}
	return nil
}

func (in *Intake) pushOut() error {
	lost, err := in.Journal.PushOut(1)
	for sink, n := range lost {
		in.pushedOut.add(sink, uint64(n))
		in.options.Own.Of(n).Error(sink, "pushed out").Str("sink", sink).Int("results", n).Msg("the journal is full: the oldest results of a sink that lags were given up")
	}
	if err != nil {
		in.logDisk(err)
	}
	return err
}

func (in *Intake) trim() {
	if err := in.Journal.Trim(); err != nil {
		in.logDisk(err)
	}
}

// reserve keeps room for the checkpoint while there is some.
func (in *Intake) reserve() {
	if err := in.duplicates.reserve(in.checkpoint); err != nil {
		in.logDisk(err)
	}
}

func (in *Intake) logDisk(err error) {
	in.options.Own.Error("", "disk").Err(err).Msg("the journal's disk refuses")
}

// setTrouble notes why nothing is acknowledged, and says so once a minute.
func (in *Intake) setTrouble(why string) {
	if why == "" {
		if in.trouble.Swap(nil) != nil {
			in.options.Own.Still("").Info("", "no trouble").Msg("the journal takes results again")
		}
		return
	}
	in.trouble.Store(&why)
	in.options.Own.Still("").Error("", "trouble").Str("why", logx.ClipText(why)).Msg("results are not acknowledged: the clients keep them")
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
func (in *Intake) close() error {
	for {
		select {
		case s := <-in.requests:
			s.done <- errStopped
			continue
		default:
		}
		return in.Journal.Close()
	}
}
