package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"massive-passive/internal/logx"
	"massive-passive/server/access"
	"massive-passive/server/intake/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
)

// submission is what one Submit hands to Run: records of the journal, one behind
// the other in a buffer.
type submission struct {
	origin    record.Origin // of all, but for the sequence
	records   []recordEnd
	buffer    []byte
	abandoned <-chan struct{} // closed when the caller of Submit has given up; nil: never
	done      chan error

	holding       *holding // of the client
	reserved      int64    // bytes of the journal that were kept for it
	journaled     int64    // bytes that it took; owned by Run, as what follows
	lastJournaled uint64   // the journal's sequence of its last record
}

// recordEnd says where in the buffer a record ends.
type recordEnd struct {
	sequence uint64
	end      int // in the buffer
}

// Submit takes results of one instance of a client, judges each, and returns
// when all but the rejected ones are safe in the journal. It blocks while the
// journal takes nothing, or nothing from this client; Waiting says why.
func (in *Intake) Submit(ctx context.Context, o record.Origin, entries []wire.Entry) ([]wire.Rejection, error) {
	in.lastSeen.note(o.Client, len(entries))
	if err := in.rates.await(ctx, o.Client, len(entries)); err != nil {
		return nil, err
	}
	if err := in.awaitHosts(ctx, o.Client); err != nil {
		return nil, err
	}
	s := in.newSubmission(o)
	if err := in.awaitShare(ctx, s, entries); err != nil {
		return nil, err
	}
	rejections, err := in.fill(s, entries)
	if err != nil || len(s.records) == 0 {
		in.shares.arrive(s.holding, s.reserved, 0, 0)
	}
	if err != nil {
		return nil, err
	}
	in.logRejections(o.Client, rejections)
	if len(s.records) == 0 {
		return rejections, nil
	}
	if o.Instance != (wire.Instance{}) {
		s.abandoned = ctx.Done()
	}
	select {
	case in.requests <- s:
	case <-ctx.Done():
		in.shares.arrive(s.holding, s.reserved, 0, 0)
		return nil, context.Cause(ctx)
	}
	select {
	case err := <-s.done:
		in.pool.Put(s)
		return rejections, err
	case <-ctx.Done(): // Run may still have it
		return nil, context.Cause(ctx)
	}
}

func (in *Intake) newSubmission(o record.Origin) *submission {
	s, ok := in.pool.Get().(*submission)
	if !ok {
		s = &submission{done: make(chan error, 1)}
	}
	s.origin, s.records, s.buffer, s.abandoned = o, s.records[:0], s.buffer[:0], nil
	s.holding, s.reserved, s.journaled, s.lastJournaled = nil, 0, 0, 0
	return s
}

// awaitShare waits until the client may have more in the journal. It does so before
// Run sees the submission, so that a client that waits holds up no other.
func (in *Intake) awaitShare(ctx context.Context, s *submission, entries []wire.Entry) (err error) {
	client := s.origin.Client
	s.reserved = int64(sizeOf(entries))
	s.holding, err = in.shares.admit(ctx, client, s.reserved, func() {
		in.options.Clients.Warn(client, "share").Str("client", client).Str("why", in.shares.waitReason(client)).Msg("results of a client wait for room in the journal")
	})
	return err
}

// maxRejectionTexts is how many rejections for the same reason a client is told of in
// words. To what follows there is nothing to add, and it is not bounded by what
// was paid for.
const maxRejectionTexts = 1000

// fill judges entries and puts those that are taken into s.
func (in *Intake) fill(s *submission, entries []wire.Entry) (rejections []wire.Rejection, err error) {
	s.records, s.buffer = slices.Grow(s.records, len(entries)), slices.Grow(s.buffer, sizeOf(entries))
	rec := record.Record{Origin: s.origin}
	var r check.Result
	told := map[wire.Reason]int{}
	for _, e := range entries {
		encoded, reason, err := in.judgeEntry(s.origin.Client, e.Result, &r)
		if err != nil && reason == 0 {
			return nil, err
		}
		if err != nil {
			rejection := wire.Rejection{Sequence: e.Sequence, Reason: reason}
			if told[reason]++; told[reason] <= maxRejectionTexts {
				rejection.Text = err.Error()
			}
			rejections = append(rejections, rejection)
			continue
		}
		rec.Sequence, rec.Result = e.Sequence, encoded
		s.buffer = rec.Append(s.buffer)
		s.records = append(s.records, recordEnd{e.Sequence, len(s.buffer)})
	}
	return rejections, nil
}

func sizeOf(entries []wire.Entry) int {
	n := 0
	for _, e := range entries {
		n += len(e.Result) + 96
	}
	return n
}

// judgeEntry says why a result will never be taken, or returns it as it is taken.
// An error without a reason is one of the client as a whole: it ends the
// connection, and the client keeps the result. r is room for it.
func (in *Intake) judgeEntry(client string, encoded []byte, r *check.Result) ([]byte, wire.Reason, error) {
	err := r.Decode(encoded)
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		in.counts.malformed.Add(1)
		return nil, wire.Malformed, err
	}
	sent := r.Host
	in.nameHost(r)
	err = in.judge.Judge(client, r)
	var denied *access.DeniedError
	switch {
	case err == nil:
		return in.trimmed(encoded, r, sent), 0, nil
	case !errors.As(err, &denied):
		return nil, 0, access.Refusal(err)
	}
	in.counts.denied.Add(1)
	return nil, wire.Denied, err
}

// trimmed returns the encoding of a result as it is taken, which came as encoded, for
// the host sent. An output that is over the limit is cut: the state that it comes
// with is worth more than a rule.
func (in *Intake) trimmed(encoded []byte, r *check.Result, sent string) []byte {
	if r.Host != sent && check.ValidName("host", r.Host) != nil {
		r.Host = sent // no result can name this host: it is left to the core to find it
	}
	long := len(r.Output) > in.options.Output
	if long {
		r.Output = check.CutOutput(r.Output, in.options.Output)
	}
	if !long && r.Host == sent {
		return encoded
	}
	return r.Append(nil)
}

func (in *Intake) logRejections(client string, rejections []wire.Rejection) {
	for _, r := range rejections {
		in.options.Clients.Warn(client, "rejected "+r.Reason.String()).Str("client", client).Stringer("reason", r.Reason).Str("why", logx.ClipText(r.Text)).
			Msg("rejected a result")
	}
}

// appendBatch is how many records are appended at once.
const appendBatch = 1000

// append writes the records of a submission that are no duplicates to the journal. It
// stops at the first batch that the journal does not take: the table of duplicates
// knows the highest sequence of an instance only, so that a later record must not
// be entered before an earlier one. The submission of a connection that is over is
// not written: its client sends it again, and a newer connection of the same
// instance was told the highest sequence already.
func (in *Intake) append(s *submission) error {
	in.duplicates.mu.Lock()
	defer in.duplicates.mu.Unlock()
	select {
	case <-s.abandoned:
		return context.Canceled
	default:
	}
	o, at := s.origin, 0
	// Sequences rise, so that all duplicates stand before the first new record.
	duplicates := 0
	for ; duplicates < len(s.records); duplicates++ {
		if o.Sequence = s.records[duplicates].sequence; !in.duplicates.has(&o) {
			break
		}
		in.duplicates.add(&o)
		at = s.records[duplicates].end
	}
	in.counts.duplicate.Add(uint64(duplicates))
	for batch := range slices.Chunk(s.records[duplicates:], appendBatch) {
		in.payloads = in.payloads[:0]
		for _, r := range batch {
			in.payloads = append(in.payloads, s.buffer[at:r.end])
			at = r.end
		}
		first, err := in.Journal.Append(in.payloads...)
		if err != nil {
			return fmt.Errorf("append to the journal: %w", err)
		}
		o.Sequence = batch[len(batch)-1].sequence
		in.duplicates.add(&o)
		in.duplicates.noteUnflushed(&o, first, batch)
		s.lastJournaled = first + uint64(len(batch)) - 1
		for _, payload := range in.payloads {
			s.journaled += int64(len(payload)) + recordOverhead
		}
		in.counts.taken.Add(uint64(len(batch)))
	}
	return nil
}
