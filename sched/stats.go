package sched

import (
	"maps"
	"time"
)

// Stats counts runs since New: Due = Started + all of Skipped + Waiting, and
// Started = Finished + Running.
type Stats struct {
	Jobs             int // defined now
	Due              uint64
	Started          uint64
	Finished         uint64
	Skipped          map[SkipReason]uint64
	Running, Waiting int // now
	Late             Lateness
}

// Lateness says how long after they were due runs were started.
type Lateness struct {
	Sum, Max time.Duration
	// Within[i] counts starts that were late by at most LatenessBounds()[i], and
	// by more than the bound before. Its last one counts all others.
	Within [10]uint64
}

// LatenessBounds returns the upper bounds of [Lateness.Within] but the last.
func LatenessBounds() [9]time.Duration {
	return [9]time.Duration{
		time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond,
		30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond,
		time.Second, 3 * time.Second, 10 * time.Second,
	}
}

func (l *Lateness) add(d time.Duration) {
	l.Sum += d
	l.Max = max(l.Max, d)
	i := 0
	for _, bound := range LatenessBounds() {
		if d <= bound {
			break
		}
		i++
	}
	l.Within[i]++
}

func (p *pool) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.counts
	s.Skipped = maps.Clone(p.counts.Skipped)
	s.Running = p.running()
	for i := range p.waiting {
		s.Waiting += p.waiting[i].len()
	}
	return s
}
