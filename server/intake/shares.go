package intake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"massive-passive/wire/journal"
)

// shares know how much of the journal each client's results take, and have a
// client wait that holds more than its share, so that it cannot keep all others
// out while the core takes less than comes in. What at least one sink is done with
// counts no more: for those that lag behind, it can be pushed out. Any goroutine
// may use it.
type shares struct {
	clientMax int64 // bytes that one client may hold while others have something there; 0: any
	// threshold is how much all clients hold together before one is asked to wait.
	// From hardLimit on, who holds more than its share waits even where no other
	// client has anything there: the rest of the journal is for the others.
	threshold, hardLimit int64
	spanBytes            int64

	mu      sync.Mutex
	clients map[string]*holding
	spans   []span        // of the journal, oldest first
	all     int64         // bytes that all hold, with what is on its way
	waiting int           // submissions that wait
	changed chan struct{} // closed when there may be room again; nil while nobody waits
}

// holding is what one client has in the journal. It is forgotten with the last
// byte, so that there are never more than there are clients.
type holding struct {
	name     string
	held     int64     // bytes in the journal
	reserved int64     // bytes that were let in and are not in the journal yet
	waits    int       // submissions that wait
	since    time.Time // when the first of these began to
}

// span is a piece of the journal. The clients are counted by such pieces, of which
// there are few, and not by records: a few figures for each client are enough.
type span struct {
	last  uint64 // sequence of the journal
	bytes int64
	of    map[*holding]int64
}

const (
	spansInJournal = 64
	// recordOverhead is what a record takes beside what is in it.
	recordOverhead = 16
	// segmentBytes is what the journal may hold beyond what is counted here: it
	// goes by whole segments.
	segmentBytes = 8 << 20
)

// newShares returns those of a journal of so many bytes; share is the part of it
// that one client may hold.
func newShares(share float64, journalBytes int64) *shares {
	return &shares{clientMax: int64(share * float64(journalBytes)), threshold: journalBytes / 2,
		hardLimit: journalBytes - max(journalBytes/8, journalBytes/16+segmentBytes),
		spanBytes: max(journalBytes/spansInJournal, 1), clients: map[string]*holding{}}
}

// admit waits while a client holds more than its share, and then counts n bytes as
// reserved until arrive is called. waits is called before each wait.
func (s *shares) admit(ctx context.Context, client string, n int64, waits func()) (*holding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.holdingOf(client)
	for s.over(h) {
		if h.waits == 0 && h.since.IsZero() {
			h.since = time.Now()
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		h.waits++
		s.waiting++
		s.mu.Unlock()
		waits()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		h.waits--
		s.waiting--
		if ctx.Err() != nil {
			s.forget(h)
			return nil, context.Cause(ctx)
		}
	}
	h.reserved += n
	s.all += n
	if h.waits == 0 {
		h.since = time.Time{}
	}
	return h, nil
}

// over tells whether a client has to wait.
func (s *shares) over(h *holding) bool {
	mine := h.held + h.reserved
	if s.clientMax == 0 || mine <= s.clientMax || s.all < s.threshold {
		return false
	}
	return s.all > mine || s.waiting > h.waits || s.all >= s.hardLimit
}

// arrive notes that of n bytes that were reserved so many are in the journal now, as
// records up to the sequence last.
func (s *shares) arrive(h *holding, n, bytes int64, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.reserved -= n
	s.all -= n
	s.put(h, bytes, last)
	if bytes < n {
		s.wake()
	}
	s.forget(h)
}

// recover counts a record that was in the journal at the start.
func (s *shares) recover(client string, bytes int64, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.holdingOf(client), bytes, seq)
}

// put counts bytes of a client behind all others.
func (s *shares) put(h *holding, bytes int64, last uint64) {
	if bytes == 0 {
		return
	}
	if n := len(s.spans); n == 0 || s.spans[n-1].bytes >= s.spanBytes {
		s.spans = append(s.spans, span{of: map[*holding]int64{}})
	}
	newest := &s.spans[len(s.spans)-1]
	newest.last = last
	newest.bytes += bytes
	newest.of[h] += bytes
	h.held += bytes
	s.all += bytes
}

// release forgets the bytes of what a sink is done with, up to a sequence of the
// journal.
func (s *shares) release(done uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := 0
	for ; gone < len(s.spans) && s.spans[gone].last <= done; gone++ {
		for h, bytes := range s.spans[gone].of {
			h.held -= bytes
			s.forget(h)
		}
		s.all -= s.spans[gone].bytes
	}
	if gone > 0 {
		s.spans = slices.Delete(s.spans, 0, gone)
		s.wake()
	}
}

// wake has all who wait look again.
func (s *shares) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *shares) holdingOf(client string) *holding {
	h := s.clients[client]
	if h == nil {
		h = &holding{name: client}
		s.clients[client] = h
	}
	return h
}

// forget drops a client that holds nothing.
func (s *shares) forget(h *holding) {
	if h.held == 0 && h.reserved == 0 && h.waits == 0 {
		delete(s.clients, h.name)
	}
}

// Held is a client that has to wait, because it holds more than its share.
type Held struct {
	Client string
	Bytes  int64 // that it holds
	Since  time.Time
}

// waitingClients lists the clients that have to wait.
func (s *shares) waitingClients() (list []Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.clients {
		if h.waits > 0 {
			list = append(list, Held{h.name, h.held, h.since})
		}
	}
	return list
}

// waitReason says why a client has to wait; "" if it has not to.
func (s *shares) waitReason(client string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.clients[client]
	if h == nil || h.waits == 0 {
		return ""
	}
	return fmt.Sprintf("the results of this client that no sink has taken yet fill %d bytes of the server's journal, more than the %d that one client may hold "+
		"there (--max-client-share) while others need room: it goes on as the core takes them", h.held, s.clientMax)
}

// furthest is up to where one of the readers at least has acknowledged all.
func furthest(readers []journal.ReaderStats) (acked uint64) {
	for _, r := range readers {
		acked = max(acked, r.Acked)
	}
	return acked
}
