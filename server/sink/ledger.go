package sink

import "sort"

// ledger remembers what became of the entries that were read and are not yet
// acknowledged. A sink acknowledges only what it was handed: the ledger knows
// what else may go with it, and counts each entry once, when it goes.
type ledger struct {
	runs    []run // oldest first
	refused map[uint64]Outcome
}

// run is a row of entries that met the same fate.
type run struct {
	first, last uint64
	outcome     Outcome
}

// add notes the fate of an entry; each is behind the one before.
func (l *ledger) add(seq uint64, outcome Outcome) {
	if n := len(l.runs); n > 0 && l.runs[n-1].outcome == outcome && l.runs[n-1].last+1 == seq {
		l.runs[n-1].last = seq
		return
	}
	l.runs = append(l.runs, run{seq, seq, outcome})
}

// refuse notes that the core will never take an entry that was handed out.
func (l *ledger) refuse(seq uint64, outcome Outcome) {
	if l.refused == nil {
		l.refused = map[uint64]Outcome{}
	}
	l.refused[seq] = outcome
}

// ack takes out what is done once the sink is done with all up to seq, tells
// count how many met which fate, and returns up to where the reader may
// acknowledge; 0 for nothing.
func (l *ledger) ack(seq uint64, count func(outcome Outcome, n uint64)) (upTo uint64) {
	done := 0
	for i := range l.runs {
		r := &l.runs[i]
		if r.outcome.handedOut() && r.last > seq {
			if r.first <= seq {
				upTo = seq
				l.countHandedOut(r.outcome, r.first, seq, count)
				r.first = seq + 1
			}
			break
		}
		if r.outcome.handedOut() {
			l.countHandedOut(r.outcome, r.first, r.last, count)
		} else {
			count(r.outcome, r.last-r.first+1)
		}
		upTo, done = r.last, i+1
	}
	l.runs = append(l.runs[:0], l.runs[done:]...)
	return upTo
}

func (l *ledger) countHandedOut(as Outcome, first, last uint64, count func(Outcome, uint64)) {
	n := last - first + 1
	for seq, outcome := range l.refused {
		if seq >= first && seq <= last {
			count(outcome, 1)
			delete(l.refused, seq)
			n--
		}
	}
	count(as, n)
}

// restsUpTo returns up to where nothing is left to do for the sink once the core
// has all up to seq: what was not handed out goes along.
func (l *ledger) restsUpTo(seq uint64) uint64 {
	for i := sort.Search(len(l.runs), func(i int) bool { return l.runs[i].last > seq }); i < len(l.runs); i++ {
		if l.runs[i].outcome.handedOut() {
			break
		}
		seq = l.runs[i].last
	}
	return seq
}

// reset forgets all: the entries will be read again.
func (l *ledger) reset() {
	l.runs, l.refused = nil, nil
}
