package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"massive-passive/server/access"
	"massive-passive/server/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// judge says why a client may not send a result that is valid: for good by an
// *access.DeniedError, any other error refuses the client.
type judge interface {
	Judge(client string, r *check.Result) error
}

// intake is the one way into the server: every door calls Submit. One
// goroutine, Run's, owns the journal and the table of duplicates.
type intake struct {
	journal  *journal.Journal
	maxBytes int64 // of the journal
	judge    judge
	log      zerolog.Logger
	quiet    quiet
	rates    rates
	output   int // the most bytes of a result's output

	requests  chan *submission
	known     *duplicates // owned by run
	measured  time.Time   // when the journal's size was last looked at; owned by run
	trouble   atomic.Pointer[string]
	counts    counts
	heard     heard
	pushedOut pushedOut
}

// counts are what the intake did since its start.
type counts struct {
	taken, duplicate, malformed, denied atomic.Uint64
}

// submission is what one Submit hands to the owner.
type submission struct {
	origins  []record.Origin
	payloads [][]byte // records of the journal
	size     int
	left     <-chan struct{} // closed when who waits has given up; nil: never
	done     chan error
}

// gatherBytes is how much the owner puts into one flush, about.
const gatherBytes = 8 << 20

const (
	instancesFile = "instances"
	retryInterval = time.Second
	trimInterval  = time.Second
	// measureInterval is how long the journal may grow unmeasured: to add its
	// size up costs more than to append a result.
	measureInterval = 50 * time.Millisecond
)

// openIntake opens the journal in dir, or one in memory where dir is empty.
func openIntake(o Options, judge judge, log zerolog.Logger) (*intake, error) {
	in := &intake{maxBytes: o.JournalMaxBytes, judge: judge, log: log, requests: make(chan *submission, 1024), known: newDuplicates(),
		rates: rates{perSecond: o.Limits.Rate}, output: o.Limits.Output}
	jo := journal.Options{Dir: o.journalDir(), NoSync: !o.JournalFlush}
	if jo.Dir != "" {
		file := filepath.Join(o.StateDir, instancesFile)
		remembered := in.known.load(file)
		oldest := uint64(0) // sequence that is still there
		defer func() { in.tellForgotten(remembered, oldest) }()
		jo.Recovered = func(r journal.Record) {
			if oldest == 0 {
				oldest = r.Seq
			}
			if rec, err := record.Decode(r.Payload); err == nil {
				in.known.add(&rec.Origin)
			}
		}
		jo.BeforeRemove = func(uint64) error { return in.known.save(file) }
		jo.Damaged = func(d journal.Damage) {
			log.Error().Str("journal", d.String()).Msg("the journal is damaged: what is good of it is used; unless the machine crashed, look after its disk")
		}
	}
	var err error
	if in.journal, err = journal.Open(jo); err != nil {
		return nil, err
	}
	in.known.flushed()
	return in, nil
}

// Submit takes results of one instance of a client, judges each, and returns
// when all but the rejected ones are safe in the journal. It blocks while the
// journal takes nothing; Waiting says why.
func (in *intake) Submit(ctx context.Context, o record.Origin, entries []wire.Entry) ([]wire.Rejection, error) {
	in.heard.note(o.Client, len(entries))
	if err := in.rates.await(ctx, o.Client, len(entries)); err != nil {
		return nil, err
	}
	s := &submission{done: make(chan error, 1), origins: make([]record.Origin, 0, len(entries)), payloads: make([][]byte, 0, len(entries))}
	var rejections []wire.Rejection
	buffer := make([]byte, 0, sizeOf(entries))
	for _, e := range entries {
		o.Sequence = e.Sequence
		encoded, reason, err := in.examine(o.Client, e.Result)
		if err != nil && reason == 0 {
			return nil, err
		}
		if err != nil {
			rejections = append(rejections, wire.Rejection{Sequence: e.Sequence, Reason: reason, Text: err.Error()})
			continue
		}
		at := len(buffer)
		rec := record.Record{Origin: o, Result: encoded}
		buffer = rec.Append(buffer)
		s.origins = append(s.origins, o)
		s.payloads = append(s.payloads, buffer[at:len(buffer):len(buffer)])
	}
	s.size = len(buffer)
	if o.Instance != (wire.Instance{}) {
		s.left = ctx.Done()
	}
	in.tellRejections(o.Client, rejections)
	if len(s.payloads) == 0 {
		return rejections, nil
	}
	select {
	case in.requests <- s:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case err := <-s.done:
		return rejections, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func sizeOf(entries []wire.Entry) int {
	n := 0
	for _, e := range entries {
		n += len(e.Result) + 96
	}
	return n
}

// examine says why a result will never be taken, or returns it as it is taken.
// An error without a reason is one of the client as a whole: it ends the
// connection, and the client keeps the result.
func (in *intake) examine(client string, encoded []byte) ([]byte, wire.Reason, error) {
	r, err := check.Decode(encoded)
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		in.counts.malformed.Add(1)
		return nil, wire.Malformed, err
	}
	err = in.judge.Judge(client, &r)
	var denied *access.DeniedError
	switch {
	case err == nil:
		return in.cut(encoded, &r), 0, nil
	case !errors.As(err, &denied):
		return nil, 0, refusal(err)
	}
	in.counts.denied.Add(1)
	return nil, wire.Denied, err
}

// cut shortens an output that is over the limit. The state that it comes with
// is worth more than a rule: the result is not rejected.
func (in *intake) cut(encoded []byte, r *check.Result) []byte {
	if len(r.Output) <= in.output {
		return encoded
	}
	r.Output = check.CutOutput(r.Output, in.output)
	return r.Append(nil)
}

func (in *intake) tellRejections(client string, rejections []wire.Rejection) {
	for _, r := range rejections {
		if times, now := in.quiet.say(client + " " + r.Reason.String()); now {
			in.log.Warn().Str("client", client).Stringer("reason", r.Reason).Int("times", times).Str("why", r.Text).
				Msg("rejected a result")
		}
	}
}

// Waiting says why Submit takes long.
func (in *intake) Waiting() string {
	if why := in.trouble.Load(); why != nil {
		return *why
	}
	return "the server is busy"
}

// run owns the journal until ctx ends. What was submitted before and is not
// yet safe then gets an error.
func (in *intake) run(ctx context.Context) error {
	trim := time.NewTicker(trimInterval)
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return in.close()
		case first := <-in.requests:
			in.commit(ctx, in.gather(first))
		case now := <-trim.C:
			in.known.forget(now)
			in.trim()
		}
	}
}

// gather takes what else was submitted meanwhile: all of it shares one flush.
func (in *intake) gather(first *submission) []*submission {
	work, size := []*submission{first}, first.size
	for size < gatherBytes {
		select {
		case s := <-in.requests:
			work, size = append(work, s), size+s.size
		default:
			return work
		}
	}
	return work
}

// commit appends what is new, flushes, and tells those who wait.
func (in *intake) commit(ctx context.Context, work []*submission) {
	failed := in.awaitRoom(ctx)
	refused := make([]error, len(work))
	if failed == nil {
		for i, s := range work {
			refused[i] = in.append(s)
		}
		failed = in.flush(ctx)
	}
	for i, s := range work {
		s.done <- errors.Join(failed, refused[i])
	}
}

// append stops at the first result that cannot be appended: what is behind it
// must not be known before it. What a connection left behind that is over is
// not taken any more: its client sends it again, and a newer connection of the
// same instance was told already what is known of it.
func (in *intake) append(s *submission) error {
	in.known.mu.Lock()
	defer in.known.mu.Unlock()
	select {
	case <-s.left:
		return context.Canceled
	default:
	}
	for i, payload := range s.payloads {
		o := &s.origins[i]
		duplicate := in.known.has(o)
		if !duplicate {
			if _, err := in.journal.Append(payload); err != nil {
				return fmt.Errorf("append to the journal: %w", err)
			}
		}
		in.known.add(o)
		if duplicate {
			in.counts.duplicate.Add(1)
		} else {
			in.counts.taken.Add(1)
		}
	}
	return nil
}

// flush makes what was appended durable, however long the disk refuses.
func (in *intake) flush(ctx context.Context) error {
	for {
		err := in.journal.Flush()
		if err == nil {
			in.known.flushed()
			in.setTrouble("")
			return nil
		}
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
	for in.journal.Stats().Bytes >= in.maxBytes {
		in.trim()
		stats := in.journal.Stats()
		if stats.Bytes < in.maxBytes {
			break
		}
		if holders, _ := in.journal.Holders(); len(holders) < len(stats.Readers) {
			in.pushOut()
			continue
		}
		in.setTrouble(fmt.Sprintf("the journal is full: %d bytes of %d, and no sink takes any", stats.Bytes, in.maxBytes))
		if err := pause(ctx, retryInterval); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) pushOut() {
	lost, err := in.journal.PushOut(1)
	for sink, n := range lost {
		in.pushedOut.add(sink, uint64(n))
		in.log.Error().Str("sink", sink).Int("results", n).Msg("the journal is full: the oldest results of a sink that lags were given up")
	}
	if err != nil {
		in.tellDisk(err)
	}
}

func (in *intake) trim() {
	if err := in.journal.Trim(); err != nil {
		in.tellDisk(err)
	}
}

func (in *intake) tellDisk(err error) {
	if times, now := in.quiet.say("disk"); now {
		in.log.Error().Err(err).Int("times", times).Msg("the journal's disk refuses")
	}
}

// setTrouble notes why nothing is acknowledged, and says so once a minute.
func (in *intake) setTrouble(why string) {
	if why == "" {
		if in.trouble.Swap(nil) != nil {
			in.log.Info().Msg("the journal takes results again")
		}
		return
	}
	in.trouble.Store(&why)
	if times, now := in.quiet.say("trouble"); now {
		in.log.Error().Int("times", times).Str("why", why).Msg("results are not acknowledged: the clients keep them")
	}
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
