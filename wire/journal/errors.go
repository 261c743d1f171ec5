package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrTailFull is returned by Append when the tail has no room: flush, or
	// push out the oldest records, and try again.
	ErrTailFull = errors.New("the journal's tail in memory is full")
	// ErrClosed is returned after Close, to blocked readers too.
	ErrClosed = errors.New("the journal is closed")
	// ErrTooLarge is returned by Append for a payload above MaxPayload; another
	// try is no use.
	ErrTooLarge = errors.New("the record is larger than a journal takes")
)

// DiskError is a step that the disk or the file system refused. What it was to
// store is still in memory, and the next Flush or Trim tries again.
type DiskError struct {
	Op   string // the step, as "write batch"
	Path string
	Err  error
}

func (e *DiskError) Error() string { return fmt.Sprintf("journal: %s %q: %v", e.Op, e.Path, e.Err) }

func (e *DiskError) Unwrap() error { return e.Err }

// LockedError is a journal that another process, or another part of this one,
// has open.
type LockedError struct {
	Dir string
	PID int // 0 if it could not be read
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("journal %q is in use by %s: stop it, or give this one its own state directory", e.Dir, who)
}

// Damage is one place of a journal that could not be used.
type Damage struct {
	File   string // path of the file
	Offset int64  // where in it, in bytes
	What   string // what was found and what was done about it
	// Lost is how many records went with it, -1 if nothing tells. In a torn tail
	// they are, after a crash, ones whose flush had not ended.
	Lost int64
	// AtLeast says that more may be lost: nothing tells how long the journal
	// was at its end.
	AtLeast bool
}

func (d Damage) String() string {
	lost := "an unknown number of records lost"
	switch {
	case d.Lost == 0:
		lost = "nothing lost"
	case d.Lost == 1:
		lost = "1 record lost"
	case d.Lost > 0:
		lost = fmt.Sprintf("%d records lost", d.Lost)
	}
	if d.AtLeast {
		lost = "at least " + lost
	}
	return fmt.Sprintf("%s at byte %d: %s; %s", d.File, d.Offset, d.What, lost)
}
