package sink

// ledger remembers what became of the entries that were read and are not yet
// acknowledged. A sink acknowledges only what it was handed: the ledger knows
// what else may go with it, and counts each entry once, when it goes.
type ledger struct {
	runs    []run // oldest first
	refused map[uint64]string
}

// run is a row of entries that met the same fate.
type run struct {
	first, last uint64
	reason      string
}

// add notes the fate of an entry; each is behind the one before.
func (l *ledger) add(seq uint64, reason string) {
	if n := len(l.runs); n > 0 && l.runs[n-1].reason == reason && l.runs[n-1].last+1 == seq {
		l.runs[n-1].last = seq
		return
	}
	l.runs = append(l.runs, run{seq, seq, reason})
}

// refuse notes that the core will never take an entry that was handed out.
func (l *ledger) refuse(seq uint64, reason string) {
	if l.refused == nil {
		l.refused = map[uint64]string{}
	}
	l.refused[seq] = reason
}

// ack takes out what is done once the sink is done with all up to seq, tells
// count how many met which fate, and returns up to where the reader may
// acknowledge; 0 for nothing.
func (l *ledger) ack(seq uint64, count func(reason string, n uint64)) (upTo uint64) {
	done := 0
	for i := range l.runs {
		r := &l.runs[i]
		if r.reason == CountDelivered && r.last > seq {
			if r.first <= seq {
				upTo = seq
				l.countDelivered(r.first, seq, count)
				r.first = seq + 1
			}
			break
		}
		if r.reason == CountDelivered {
			l.countDelivered(r.first, r.last, count)
		} else {
			count(r.reason, r.last-r.first+1)
		}
		upTo, done = r.last, i+1
	}
	l.runs = append(l.runs[:0], l.runs[done:]...)
	return upTo
}

func (l *ledger) countDelivered(first, last uint64, count func(string, uint64)) {
	n := last - first + 1
	for seq, reason := range l.refused {
		if seq >= first && seq <= last {
			count(reason, 1)
			delete(l.refused, seq)
			n--
		}
	}
	count(CountDelivered, n)
}

// reset forgets all: the entries will be read again.
func (l *ledger) reset() {
	l.runs, l.refused = nil, nil
}
