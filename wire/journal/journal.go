package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say where a journal is and how it behaves. The zero value is a journal
// in memory.
type Options struct {
	// Dir is the journal's directory, made (0700) if it is not there. Empty:
	// nothing is written, everything lives in the tail.
	Dir string
	// SegmentBytes is the size at which a new segment file begins; 0 is 8 MiB.
	SegmentBytes int64
	// TailBytes bounds the records in memory, with 16 bytes of overhead each;
	// 0 is 64 MiB.
	TailBytes int64
	// ReadUnflushed lets readers see a record at Append instead of after Flush.
	ReadUnflushed bool
	// NoSync makes Flush write without waiting for the disk: a killed process
	// loses nothing, a machine that loses power may.
	NoSync bool
	// First is the sequence that the first record of a journal in memory gets; 0 is 1.
	First uint64
	// Recovered, if set, is called by Open for every good record on disk, in
	// order. The record is valid only during the call.
	Recovered func(Record)
	// BeforeRemove, if set, is called by Trim and PushOut before segments go of
	// which upTo is the last sequence. An error keeps them.
	BeforeRemove func(upTo uint64) error
	// Damaged, if set, is told once of each damage found, by Open and later by
	// the goroutine that comes across it: a reader's, or the caller of Stats. It
	// must not call the journal.
	Damaged func(Damage)

	clock machineClock // the machine's, if nil
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 8 << 20
	}
	if o.TailBytes <= 0 {
		o.TailBytes = 64 << 20
	}
	return o
}

// Record is one entry as a reader gets it.
type Record struct {
	Seq     uint64
	Time    time.Time // of the first Append of its batch, at most a second early
	Payload []byte    // valid until the next call on the same reader
}

// Journal is an open journal. doc.go says which goroutine may call what.
type Journal struct {
	o    Options
	lock *os.File // nil in memory

	// The owner's alone.
	active      *os.File // the newest segment, nil if the next flush begins a new one
	left        string   // the last segment of an earlier process, until it is certainly on the disk
	leftRefused bool     // the disk refused that before
	state       slot     // as last stored
	stateOld    bool     // to be stored by the next Trim
	reserved    uint64   // sequences below it may be handed out
	spares      [][]byte // buffers of flushed chunks that no reader saw, at most mostSpares

	// done is closed by Close.
	done chan struct{}

	mu      sync.Mutex // guards what follows; never held while the disk works
	closed  bool
	segs    []*segment // oldest first, without a gap in ordinals unless one was lost
	tail    []*chunk   // oldest first, sequences without a gap
	tailLen int64      // bytes of records in tail
	first   uint64     // the first sequence of a journal in memory
	next    uint64     // the sequence that the next record gets
	durable uint64     // last sequence that Flush is done with
	ordinal uint64     // records ever flushed
	readers map[string]*Reader
	told    map[place]bool // damage already counted
	lost    int64
	time    timeline
	failing error // of the last try, nil once one succeeded
	faults  int64 // disk errors so far
}

type place struct {
	file string
	off  int64
}

// segment is one file of flushed records.
type segment struct {
	path    string
	header  header
	salt    uint32 // saltCRC
	count   uint64 // records, also those that damage took
	size    int64  // bytes that count
	points  []point
	indexed bool      // points cover the whole segment
	refused time.Time // when the disk last refused to give all of them
	unread  bool      // what the disk did not give may follow
}

// point is a mark's place in a segment.
type point struct {
	first uint64
	off   int64
	at    stamp
}

const (
	pointBytes = 64 << 10
	pointSpan  = 10 * time.Second
)

func (s *segment) first() uint64 { return s.header.first }

// last is the segment's last sequence; one below its first if it is empty.
func (s *segment) last() uint64 { return s.header.first + s.count - 1 }

// addPoint remembers a mark if it is far enough from the point before, so that
// an index stays small.
func (s *segment) addPoint(p point) {
	if n := len(s.points); n > 0 {
		l := s.points[n-1]
		if p.off-l.off < pointBytes && p.at.wall-l.at.wall < int64(pointSpan) && p.at.wall >= l.at.wall {
			return
		}
	}
	s.points = append(s.points, p)
}

// Open opens the journal in o.Dir, or makes it. Damage never keeps it from
// opening; a directory that cannot be made, listed or locked does, the last with
// a *LockedError.
func Open(o Options) (*Journal, error) {
	j := &Journal{
		o:       o.withDefaults(),
		done:    make(chan struct{}),
		next:    1,
		readers: make(map[string]*Reader),
		told:    make(map[place]bool),
	}
	if j.time.clock = o.clock; o.clock == nil {
		j.time.clock = newClocks()
	}
	if o.Dir == "" {
		j.first = max(o.First, j.next)
		j.next, j.durable = j.first, j.first-1
		j.time.begin(0)
		return j, nil
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	j.lock = lock
	if err := j.recover(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

func (j *Journal) inMemory() bool { return j.o.Dir == "" }

// Close flushes, stores the cursors and gives up the lock. Blocked readers get
// ErrClosed. Records that the disk still refuses are lost, and the error says how
// many of them somebody still needed.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.mu.Unlock()
	err := j.Flush()
	j.mu.Lock()
	j.closed = true
	left := j.neededLocked()
	readers := j.readersLocked()
	j.mu.Unlock()
	close(j.done)
	if left == 0 {
		err = nil
	} else if err != nil {
		err = fmt.Errorf("close journal: %d records could not be stored: %w", left, err)
	}
	if j.inMemory() {
		return err
	}
	refused, unborn := j.saveCursors(readers)
	err = errors.Join(err, refused, unborn, j.saveState(0), j.saveClock(true))
	if j.active != nil {
		err = errors.Join(err, j.active.Close())
	}
	return errors.Join(err, j.lock.Close())
}

// neededLocked is how many records of the tail a reader has not acknowledged; all
// of them, if there is none.
func (j *Journal) neededLocked() uint64 {
	if len(j.tail) == 0 {
		return 0
	}
	first := j.tail[0].first
	if len(j.readers) > 0 {
		first = min(max(first, j.leastAckedLocked()+1), j.next)
	}
	return j.next - first
}

func (j *Journal) readersLocked() []*Reader {
	all := make([]*Reader, 0, len(j.readers))
	for _, r := range j.readers {
		all = append(all, r)
	}
	return all
}

// saveState stores the sequence floor, reserve above the next one.
func (j *Journal) saveState(reserve uint64) error {
	j.mu.Lock()
	s := slot{j.state.generation, j.next + reserve, j.ordinal}
	j.mu.Unlock()
	return j.storeState(s)
}

func (j *Journal) storeState(s slot) error {
	stored, err := writeSlot(filepath.Join(j.o.Dir, stateName), s, !j.o.NoSync)
	if err != nil {
		return j.note(err)
	}
	j.state, j.reserved, j.stateOld = stored, s.seq, false
	return nil
}

// reserveAhead is how far the floor is stored ahead of use.
func (j *Journal) reserveAhead() uint64 {
	if j.o.ReadUnflushed {
		return seqReserve
	}
	return 0
}

// note keeps the outcome of a try at the disk for Stats.
func (j *Journal) note(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failing = err
	if err != nil {
		j.faults++
	}
	return err
}

// damage counts and tells d, once for each place.
func (j *Journal) damage(d Damage) {
	at := place{d.File, d.Offset}
	j.mu.Lock()
	known := j.told[at]
	j.told[at] = true
	if !known {
		j.lost += max(d.Lost, 0)
	}
	j.mu.Unlock()
	if !known && j.o.Damaged != nil {
		j.o.Damaged(d)
	}
}

// publish wakes the readers that wait.
func (j *Journal) publishLocked() {
	for _, r := range j.readers {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}
