package status

import (
	"fmt"
	"sync"
	"time"
)

const (
	// recentSpan is for how long a rejection counts as news: longer than the time
	// between two calls of a plugin, which remembers nothing, so that each is seen
	// by at least one. One of long ago is no reason to warn for ever.
	recentSpan = 15 * time.Minute
	recentTick = time.Minute
)

// Recent is what was lost or refused in the last Span, or since the start where
// that was later. The figures are by reason.
type Recent struct {
	Span     Seconds           `json:"span_seconds"`
	Rejected map[string]uint64 `json:"rejected"`
	GivenUp  map[string]uint64 `json:"given_up"`
}

// counter is one that grows: of a destination, "" for the doors, and a reason.
type counter struct {
	rejected            bool // else given up
	destination, reason string
}

// history remembers the counters of the last recentSpan. Any goroutine may use
// it.
type history struct {
	mu      sync.Mutex
	samples []sample // oldest first; only the first may be older than recentSpan
}

type sample struct {
	at     time.Time
	counts map[counter]uint64
}

// note remembers a page's counters.
func (h *history) note(p *Page) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = append(h.samples, sample{p.At, p.losses()})
	for len(h.samples) > 1 && p.At.Sub(h.samples[1].at) >= recentSpan {
		h.samples = h.samples[1:]
	}
}

// recent returns how far a page's counters are beyond what they were before.
func (h *history) recent(p *Page) *Recent {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &Recent{Span: Since(min(recentSpan, p.Uptime.duration())), Rejected: map[string]uint64{}, GivenUp: map[string]uint64{}}
	var before map[counter]uint64 // at the start all are 0
	for _, s := range h.samples {
		if p.At.Sub(s.at) < recentSpan {
			break
		}
		before, r.Span = s.counts, Since(p.At.Sub(s.at))
	}
	for c, n := range p.losses() {
		if was := before[c]; was <= n { // else it began anew, as of a server that was forgotten meanwhile
			n -= was
		}
		switch {
		case n == 0:
		case c.rejected:
			r.Rejected[c.reason] += n
		default:
			r.GivenUp[c.reason] += n
		}
	}
	return r
}

// losses are the page's counters of what was rejected or given up.
func (p *Page) losses() map[counter]uint64 {
	counts := map[counter]uint64{}
	for i := range p.Destinations {
		for reason, n := range p.Destinations[i].Rejected {
			counts[counter{true, p.Destinations[i].Name, reason}] = n
		}
		for reason, n := range p.Destinations[i].GivenUp {
			counts[counter{false, p.Destinations[i].Name, reason}] = n
		}
	}
	if p.Server != nil {
		for reason, n := range p.Server.Rejected {
			counts[counter{true, "", reason}] = n
		}
	}
	return counts
}

// problems say what was lost or refused of late.
func (r *Recent) problems() (found []string) {
	if r == nil {
		return nil
	}
	for _, of := range []struct {
		counts map[string]uint64
		what   string
	}{{r.GivenUp, "given up"}, {r.Rejected, "rejected for good"}} {
		if n := sum(of.counts); n > 0 {
			found = append(found, fmt.Sprintf("%s %s in the last %s (%s): the log says more", count(n, "result"), of.what, age(r.Span.duration()), byReason(of.counts)))
		}
	}
	return found
}
