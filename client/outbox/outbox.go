// Package outbox keeps the results of checks until each of their servers has
// them: the client's journal, each server's view of it, and the client's state
// file. How a server is reached is the business of package routes.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

const (
	flushInterval = 100 * time.Millisecond // a result is on the disk by then
	flushRetry    = time.Second            // the most between two tries at a disk that refuses
	trimInterval  = time.Second
	sweepInterval = time.Minute
)

// Options say where an Outbox keeps results, and for how long.
type Options struct {
	StateDir string
	MaxBytes int64
	MaxAge   time.Duration
}

// Outbox keeps every result until each of its servers has it. One goroutine,
// Run's, owns the journal; checks hand over their results through Put.
type Outbox struct {
	State     *State
	Instances *Instances

	o        Options
	journal  atomic.Pointer[journal.Journal]
	log      zerolog.Logger
	throttle *logx.Throttle
	puts     chan []byte
	calls    chan func() // run by the owner
	dropped  drops
	hangs    hangs
	diskless atomic.Pointer[string] // why there is no journal on disk; nil: there is one
	found    chan *journal.Journal  // of LookForDisk's try that is under way; nil: none is

	// Owned by Run.
	dirty   bool          // something is not flushed
	retry   time.Duration // from the last flush, which failed, to the next; 0: it did not
	triedAt time.Time     // that flush
	swept   time.Time
	begun   uint64            // the last sequence of earlier runs
	until   map[string]uint64 // up to where there may be results for a server, by NoMore
	left    map[string]span   // what a server has, whatever its reader says
}

// Open opens the journal and the state file. The check that would report the
// disk must not be silenced by it: where the disk refuses, results are kept in
// memory until LookForDisk finds it again.
func Open(o Options, log zerolog.Logger, throttle *logx.Throttle) (*Outbox, error) {
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil && !isDiskTrouble(err) {
		return nil, fmt.Errorf("make the state directory (another can be named with --state-dir): %w", err)
	}
	b := newOutbox(o, log, throttle)
	j, err := journal.Open(b.onDisk())
	switch {
	case err == nil:
		b.begun = j.Stats().Last
	case isDiskTrouble(err):
		b.noDisk(err)
		log.Error().Err(err).Msg("the state directory cannot be used: results are kept in memory only until it can be, which is tried each minute")
		j, err = b.inMemory()
	}
	if err != nil {
		return nil, err
	}
	b.journal.Store(j)
	if b.State, err = OpenState(o.StateDir, log); err != nil { // behind the journal's lock: nobody else writes the file
		return nil, errors.Join(err, j.Close())
	}
	b.Instances = newInstances(b.State, throttle)
	return b, nil
}

func newOutbox(o Options, log zerolog.Logger, throttle *logx.Throttle) *Outbox {
	return &Outbox{o: o, log: log, throttle: throttle, puts: make(chan []byte, 1024), calls: make(chan func()),
		until: map[string]uint64{}, left: map[string]span{}}
}

// inMemory opens a journal that one on the disk can take over: its sequences are
// higher than any that results were counted up to.
func (b *Outbox) inMemory() (*journal.Journal, error) {
	return journal.Open(journal.Options{ReadUnflushed: true, First: uint64(max(time.Now().UnixNano(), 1))})
}

func (b *Outbox) onDisk() journal.Options {
	return journal.Options{
		Dir:           filepath.Join(b.o.StateDir, "journal"),
		ReadUnflushed: true,
		Damaged: func(d journal.Damage) {
			b.log.Error().Str("journal", d.String()).Msg("the journal is damaged: what is good of it is used; unless the machine crashed, look after its disk")
		},
	}
}

// isDiskTrouble tells what is wrong with the disk from what is wrong with the
// set-up: the second must be mended before a start.
func isDiskTrouble(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EUCLEAN, syscall.EBADMSG}, func(e error) bool { return errors.Is(err, e) })
}

// Put takes a result for servers. It blocks only while the owner waits for the
// disk.
func (b *Outbox) Put(result []byte, servers []string) {
	b.put(entry{instance: *b.Instances.now.Load(), result: result, servers: servers})
}

func (b *Outbox) put(e entry) { b.puts <- e.append(nil) }

// Stats are those of the journal.
func (b *Outbox) Stats() journal.Stats { return b.journal.Load().Stats() }

// call has the owner run do, and waits for it.
func (b *Outbox) call(do func()) {
	done := make(chan struct{})
	b.calls <- func() { defer close(done); do() }
	<-done
}

// Run owns the journal until ctx ends; nobody may put or call any more then.
func (b *Outbox) Run(ctx context.Context) error {
	b.swept = time.Now()
	flush, trim := time.NewTimer(flushInterval), time.NewTicker(trimInterval)
	flush.Stop()
	defer flush.Stop()
	defer trim.Stop()
	var watching sync.WaitGroup
	watchCtx, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watching.Go(func() { b.hangs.watch(watchCtx, b.log) })
	defer watching.Wait()
	defer stopWatching()
	for {
		b.hangs.end()
		select {
		case <-ctx.Done():
			b.hangs.begin()
			return b.close()
		case payload := <-b.puts:
			b.hangs.begin()
			if !b.dirty {
				b.dirty = true
				flush.Reset(flushInterval)
			}
			b.append(payload)
		case do := <-b.calls:
			b.hangs.begin()
			do()
		case <-flush.C:
			b.hangs.begin()
			if b.flush() {
				b.dirty = false
			} else {
				flush.Reset(b.retry)
			}
		case <-trim.C:
			b.hangs.begin()
			b.trim()
		}
	}
}

// append never fails for good: while the disk refuses and memory is full, the
// oldest results make room. Memory may also be full of what came since the last
// flush.
func (b *Outbox) append(payload []byte) {
	_, err := b.journal.Load().Append(payload)
	if errors.Is(err, journal.ErrTailFull) && time.Since(b.triedAt) >= b.retry && b.flush() {
		_, err = b.journal.Load().Append(payload)
	}
	for errors.Is(err, journal.ErrTailFull) {
		b.logLost(b.journal.Load().DropTailOldest(1000), memoryFull)
		_, err = b.journal.Load().Append(payload)
	}
	if err != nil {
		b.dropped.add("", unstorable, 1)
		b.throttle.Error("", "lost").Err(err).Msg("a result was lost")
	}
}

// flush tells whether the disk took all. One that does not is tried less and
// less often: each try writes what room there is full, only to take it back.
func (b *Outbox) flush() bool {
	if err := b.journal.Load().Flush(); err != nil {
		b.throttle.Still("").Error("", "unwritable").Err(err).Msg("the journal cannot be written: results are kept in memory only")
		b.retry = min(max(2*b.retry, flushInterval), flushRetry)
		b.triedAt = time.Now()
		return false
	}
	if b.retry > 0 {
		b.retry = 0
		b.throttle.Still("").Info("", "writable").Msg("the journal can be written again")
	}
	return true
}

func (b *Outbox) trim() {
	if err := b.journal.Load().Trim(); err != nil && b.retry == 0 {
		b.throttle.Still("").Error("", "untrimmed").Err(err).Msg("the journal cannot be trimmed")
	}
	stats := b.journal.Load().Stats()
	if time.Since(b.swept) > sweepInterval {
		b.swept = time.Now()
		b.forget(stats)
	}
	if over := stats.Bytes - b.o.MaxBytes; over > 0 {
		lost, err := b.journal.Load().PushOut(over)
		b.logLost(lost, journalFull)
		if err != nil {
			b.throttle.Still("").Error("", "no room").Err(err).Msg("cannot make room in the journal")
		}
	}
}

// logLost counts for each server all that went before it came to it, for the
// journal does not know for whom a result is.
func (b *Outbox) logLost(lost map[string]int, why string) {
	for server, n := range lost {
		b.dropped.add(server, why, uint64(n))
		b.throttle.Of(n).Error(server, why).Str("server", server).Int("up_to", n).Str("why", why).Msg("the oldest results were given up; those for other servers only count here, too")
	}
}

// logLeft names what is lost with a journal in memory.
func (b *Outbox) logLeft() {
	for _, r := range b.journal.Load().Stats().Readers {
		if r.Pending > 0 {
			b.dropped.add(r.Name, stopped, r.Pending)
			b.log.Error().Str("server", r.Name).Uint64("up_to", r.Pending).Str("why", *b.diskless.Load()).Msg("this stop loses results that wait for a server")
		}
	}
}

// close takes what was put before and closes the journal, which tries the disk
// once more, whenever that was done last.
func (b *Outbox) close() error {
	b.triedAt = time.Time{}
	for {
		select {
		case payload := <-b.puts:
			b.append(payload)
			continue
		default:
		}
		if b.diskless.Load() != nil {
			b.logLeft()
		}
		return b.journal.Load().Close()
	}
}
