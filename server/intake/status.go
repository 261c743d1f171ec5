package intake

import (
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/wire"
)

// Status is what the intake did since its start, and who waits for it.
type Status struct {
	Taken, Duplicates, Malformed, Denied uint64
	Trouble                              string // why nothing is acknowledged; "": nothing is in the way
	Held                                 []Held
	Clients                              map[string]Client // that were heard of
}

// Client is when a client was last heard of, and how many results it sent.
type Client struct {
	Last    time.Time
	Results uint64
}

// Status tells how the intake is doing.
func (in *Intake) Status() Status {
	c := &in.counts
	s := Status{Taken: c.taken.Load(), Duplicates: c.duplicate.Load(), Malformed: c.malformed.Load(), Denied: c.denied.Load(),
		Held: in.shares.waitingClients(), Clients: in.lastSeen.all()}
	if why := in.trouble.Load(); why != nil {
		s.Trouble = *why
	}
	return s
}

// PushedOut returns how many results of a sink were given up for lack of room.
func (in *Intake) PushedOut(sink string) uint64 { return in.pushedOut.of(sink) }

// Highest returns up to which sequence an instance's results were appended.
func (in *Intake) Highest(client string, instance wire.Instance) uint64 {
	return in.duplicates.highest(client, instance)
}

// NoteSeen notes that a client connected or left.
func (in *Intake) NoteSeen(client string) { in.lastSeen.note(client, 0) }

// CountMalformed counts what a door received and could not make a result of.
func (in *Intake) CountMalformed() { in.counts.malformed.Add(1) }

// counts are what the intake did since its start.
type counts struct {
	taken, duplicate, malformed, denied atomic.Uint64
}

// pushedOut counts what was given up for lack of room, by sink. Any goroutine
// may use it.
type pushedOut struct {
	mu     sync.Mutex
	bySink map[string]uint64
}

func (p *pushedOut) add(sink string, n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bySink == nil {
		p.bySink = map[string]uint64{}
	}
	p.bySink[sink] += n
}

func (p *pushedOut) of(sink string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bySink[sink]
}
