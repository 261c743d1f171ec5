package client

import (
	"context"
	"errors"
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

// outbox keeps every result until each of its servers has it. One goroutine,
// run's, owns the journal; checks hand over their results through put.
type outbox struct {
	journal  atomic.Pointer[journal.Journal]
	maxBytes int64
	maxAge   time.Duration
	log      zerolog.Logger
	throttle *logx.Throttle
	puts     chan []byte
	calls    chan func() // run by the owner
	dropped  drops
	hangs    hangs
	diskless atomic.Pointer[string] // why there is no journal on disk; nil: there is one

	// Owned by run.
	dirty   bool          // something is not flushed
	retry   time.Duration // from the last flush, which failed, to the next; 0: it did not
	triedAt time.Time     // that flush
	swept   time.Time
	begun   uint64            // the last sequence of earlier runs
	until   map[string]uint64 // up to where there may be results for a server whose way was closed
	left    map[string]span   // what a server has, whatever its reader says
}

func openOutbox(o Options, log zerolog.Logger, to *logx.Throttle) (*outbox, error) {
	b := &outbox{maxBytes: o.JournalMaxBytes, maxAge: o.JournalMaxAge, log: log, throttle: to, puts: make(chan []byte, 1024), calls: make(chan func()),
		until: map[string]uint64{}, left: map[string]span{}}
	onDisk, err := journal.Open(b.onDisk(o))
	if err == nil {
		b.begun = onDisk.Stats().Last
		b.journal.Store(onDisk)
	}
	if !isDiskTrouble(err) {
		return b, err
	}
	// The check that would report the disk must not be silenced by it.
	b.noDisk(err)
	log.Error().Err(err).Msg("the state directory cannot be used: results are kept in memory only until it can be, which is tried each minute")
	inMemory, err := b.inMemory()
	b.journal.Store(inMemory)
	return b, err
}

// inMemory opens a journal that one on the disk can take over: its sequences are
// higher than any that results were counted up to.
func (b *outbox) inMemory() (*journal.Journal, error) {
	return journal.Open(journal.Options{ReadUnflushed: true, First: uint64(max(time.Now().UnixNano(), 1))})
}

func (b *outbox) onDisk(o Options) journal.Options {
	return journal.Options{
		Dir:           filepath.Join(o.StateDir, "journal"),
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

// put takes an entry. It blocks only while the owner waits for the disk.
func (b *outbox) put(e entry) { b.puts <- e.append(nil) }

// call has the owner run do, and waits for it.
func (b *outbox) call(do func()) {
	done := make(chan struct{})
	b.calls <- func() { defer close(done); do() }
	<-done
}

// run owns the journal until ctx ends; nobody may put or call any more then.
func (b *outbox) run(ctx context.Context) error {
	b.swept = time.Now()
	flush, trim := time.NewTimer(flushInterval), time.NewTicker(trimInterval)
	flush.Stop()
	defer flush.Stop()
	defer trim.Stop()
	var telling sync.WaitGroup
	tellCtx, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	telling.Go(func() { b.hangs.tell(tellCtx, b.log) })
	defer telling.Wait()
	defer stopTelling()
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
func (b *outbox) append(payload []byte) {
	_, err := b.journal.Load().Append(payload)
	if errors.Is(err, journal.ErrTailFull) && time.Since(b.triedAt) >= b.retry && b.flush() {
		_, err = b.journal.Load().Append(payload)
	}
	for errors.Is(err, journal.ErrTailFull) {
		b.tellLost(b.journal.Load().DropTailOldest(1000), memoryFull)
		_, err = b.journal.Load().Append(payload)
	}
	if err != nil {
		b.dropped.add("", unstorable, 1)
		b.throttle.Error("", "lost").Err(err).Msg("a result was lost")
	}
}

// flush tells whether the disk took all. One that does not is tried less and
// less often: each try writes what room there is full, only to take it back.
func (b *outbox) flush() bool {
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

func (b *outbox) trim() {
	if err := b.journal.Load().Trim(); err != nil && b.retry == 0 {
		b.throttle.Still("").Error("", "untrimmed").Err(err).Msg("the journal cannot be trimmed")
	}
	stats := b.journal.Load().Stats()
	if time.Since(b.swept) > sweepInterval {
		b.swept = time.Now()
		b.forget(stats)
	}
	if over := stats.Bytes - b.maxBytes; over > 0 {
		lost, err := b.journal.Load().PushOut(over)
		b.tellLost(lost, journalFull)
		if err != nil {
			b.throttle.Still("").Error("", "no room").Err(err).Msg("cannot make room in the journal")
		}
	}
}

// reader opens the journal for a server, and returns what it has, though the journal
// does not know that any more.
func (b *outbox) reader(server string) (r *journal.Reader, has span, err error) {
	b.call(func() {
		r, err = b.journal.Load().Reader(server, journal.Oldest)
		has = b.left[server]
	})
	return r, has, err
}

// closed tells that no result that is put from now on is for a server.
func (b *outbox) closed(server string) {
	b.call(func() { b.until[server] = b.journal.Load().Stats().Last + uint64(len(b.puts)) })
}

// forget drops servers that no check names any more, once nothing that waits
// for them is young enough to be delivered.
func (b *outbox) forget(stats journal.Stats) {
	for _, r := range stats.Readers {
		switch {
		case r.Open:
		case r.Pending == 0:
			b.drop(r, 0, tooOld)
		case !r.Unsure && time.Since(r.Oldest) > b.maxAge:
			b.passOld(r)
		}
	}
}

// passOld gives up what is too old of what waits for a server that no check
// names, and then drops the server if nothing is left that may be for it.
func (b *outbox) passOld(r journal.ReaderStats) {
	reader, err := b.journal.Load().Reader(r.Name, journal.Oldest)
	if err != nil {
		b.throttle.Still("").Error(r.Name, "unread").Err(err).Str("server", r.Name).Msg("cannot look after a server that no check names")
		return
	}
	waits := b.waits(r)
	n, err := reader.PassOlder(time.Now().Add(-b.maxAge))
	if err != nil {
		b.throttle.Still("").Error(r.Name, "age").Err(err).Str("server", r.Name).Msg("cannot tell which results are over --journal-max-age")
	}
	lost := min(uint64(n), waits)
	r.Acked = reader.Acked()
	reader.Close()
	switch {
	case b.waits(r) == 0:
		b.drop(r, lost, tooOld)
	case lost > 0:
		b.tellGivenUp(r.Name, lost, tooOld)
	}
}

// waits is how many results at most wait for a server that no check names: what
// came later is for others.
func (b *outbox) waits(r journal.ReaderStats) uint64 {
	until, closed := b.until[r.Name]
	if !closed {
		until = b.begun
	}
	return min(r.Pending, max(until, r.Acked)-r.Acked)
}

// drop has the journal keep nothing any more for a server.
func (b *outbox) drop(r journal.ReaderStats, lost uint64, why string) {
	if err := b.journal.Load().RemoveReader(r.Name); err != nil {
		b.throttle.Error(r.Name, "kept").Err(err).Str("server", r.Name).Msg("the next start will know a server again that no check names")
	}
	b.left[r.Name] = span{0, r.Acked}
	if lost > 0 {
		b.tellGivenUp(r.Name, lost, why)
		return
	}
	b.dropped.forget(r.Name)
	b.throttle.Still("").Info(r.Name, "forgot").Str("server", r.Name).Msg("forgot a server that no check names")
}

func (b *outbox) tellGivenUp(server string, lost uint64, why string) {
	b.dropped.add(server, why, lost)
	b.throttle.Of(int(lost)).Error(server, why+" unnamed").Str("server", server).Uint64("up_to", lost).Str("why", why).Msg("results that waited for a server that no check names were given up")
}

// tellLost counts for each server all that went before it came to it, for the
// journal does not know for whom a result is.
func (b *outbox) tellLost(lost map[string]int, why string) {
	for server, n := range lost {
		b.dropped.add(server, why, uint64(n))
		b.throttle.Of(n).Error(server, why).Str("server", server).Int("up_to", n).Str("why", why).Msg("the oldest results were given up; those for other servers only count here, too")
	}
}

// tellLeft tells what ends with a journal in memory.
func (b *outbox) tellLeft() {
	for _, r := range b.journal.Load().Stats().Readers {
		if r.Pending > 0 {
			b.dropped.add(r.Name, stopped, r.Pending)
			b.log.Error().Str("server", r.Name).Uint64("up_to", r.Pending).Str("why", *b.diskless.Load()).Msg("this stop loses results that wait for a server")
		}
	}
}

// close takes what was put before and closes the journal, which tries the disk
// once more, whenever that was done last.
func (b *outbox) close() error {
	b.triedAt = time.Time{}
	for {
		select {
		case payload := <-b.puts:
			b.append(payload)
			continue
		default:
		}
		if b.diskless.Load() != nil {
			b.tellLeft()
		}
		return b.journal.Load().Close()
	}
}
