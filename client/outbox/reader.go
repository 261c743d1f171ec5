package outbox

import (
	"context"
	"sync"
	"time"

	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/journal"
)

// Reader is one server's view of the journal: what is not for it is passed over.
// It is a sender.Source.
type Reader struct {
	outbox *Outbox
	reader *journal.Reader
	server string
	has    span // what the server has, whatever the reader says

	records []journal.Record // of Next
	aged    time.Time        // when Next last looked for results that are too old

	kept, instance wire.Instance // of the last result that Next gave: in the journal, and on its way

	mu     sync.Mutex
	seen   uint64 // the last sequence read
	passed uint64 // the last one that makes no sense
	handed uint64 // the last one that was for this server
	acked  uint64
}

// Reader opens the journal for a server. One at a time may be open for each.
func (b *Outbox) Reader(server string) (*Reader, error) {
	s := &Reader{outbox: b, server: server}
	var err error
	b.call(func() {
		s.reader, err = b.journal.Load().Reader(server, journal.Oldest)
		s.has = b.left[server]
	})
	return s, err
}

// Close leaves what the journal holds for the server there.
func (s *Reader) Close() error { return s.reader.Close() }

// Next waits for results. One that a journal's limits took away is gone.
func (s *Reader) Next(ctx context.Context, dst []sender.Item, maxItems, maxBytes int) ([]sender.Item, error) {
	dst = dst[:0]
	for len(dst) == 0 {
		s.passOld()
		var err error
		if s.records, err = s.reader.Next(ctx, s.records, maxItems, maxBytes); err != nil {
			return nil, err
		}
		for _, r := range s.records {
			dst = s.take(dst, r)
		}
	}
	return dst, nil
}

func (s *Reader) take(dst []sender.Item, r journal.Record) []sender.Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = r.Seq
	e, err := decodeEntry(r.Payload)
	switch {
	case err != nil:
		s.passOver(r.Seq, err)
	case !s.has.holds(r.Seq) && e.isFor(s.server):
		s.handed = r.Seq
		if e.instance != s.kept {
			s.kept, s.instance = e.instance, instanceFor(s.outbox.Instances.current(e.instance), s.server)
		}
		return append(dst, sender.Item{Instance: s.instance, Sequence: r.Seq, Result: e.result})
	}
	if s.acked >= s.handed {
		s.reader.Ack(s.seen)
	}
	return dst
}

// passOver gives up an entry, which may come again after a broken connection.
func (s *Reader) passOver(seq uint64, why error) {
	if seq > s.passed {
		s.passed = seq
		s.outbox.dropped.add(s.server, unreadable, 1)
		s.outbox.throttle.Error(s.server, "entry").Err(why).Str("server", s.server).Uint64("sequence", seq).Msg("passed over an entry of the journal")
	}
}

// passOld gives up what is over the journal's age, now and then. Where the disk
// does not give the times of what waits, it may still give what is younger.
func (s *Reader) passOld() {
	if time.Since(s.aged) < sweepInterval {
		return
	}
	s.aged = time.Now()
	n, err := s.reader.PassOlder(s.aged.Add(-s.outbox.o.MaxAge))
	if n > 0 {
		s.outbox.dropped.add(s.server, tooOld, uint64(n))
		s.outbox.throttle.Of(n).Error(s.server, tooOld).Str("server", s.server).Int("up_to", n).Stringer("age", s.outbox.o.MaxAge).Msg("results were over --journal-max-age and given up; those for other servers only count here, too")
	}
	if err != nil {
		s.outbox.throttle.Still("").Error(s.server, "age").Err(err).Str("server", s.server).Msg("cannot tell which results are over --journal-max-age")
	}
}

// Ack tells that the server has everything up to sequence.
func (s *Reader) Ack(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, sequence)
	if s.acked >= s.handed {
		sequence = s.seen // and what was passed over behind it
	}
	s.reader.Ack(sequence)
}

// Rewind goes back to the first result that the server does not have.
func (s *Reader) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader.Rewind()
	s.seen, s.handed = s.reader.Acked(), 0
}
