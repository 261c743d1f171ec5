package sink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// pipeBuf is the longest write that other writers on the same pipe cannot
// interleave with.
const pipeBuf = 4096

const (
	busyTick    = 100 * time.Millisecond // between looks at a pipe with results in their window
	reopenFirst = 100 * time.Millisecond
	reopenMost  = time.Second
)

// CommandFile writes to a core's external command file, a named pipe. It never
// creates the pipe and never blocks on it.
type CommandFile struct {
	Feed    *Feed
	Path    string
	Dialect Dialect
	Spool   string        // directory for lines that are too long for one write; the core must be able to read it
	Window  time.Duration // how long a result stays in the journal after the core took it
	Unread  time.Duration // how long the core may leave a file in Spool unread before its result is given up
	Config  string        // the core's main configuration, where it is known
	// FenceTick is the time between two fences for a core that works on results
	// in another process than reads them; 0: what it has read counts as worked on.
	FenceTick time.Duration
	Log       *logx.Throttle

	// Owned by Run. What is known of the core whatever has the pipe open:
	coreSeen  time.Time     // when a process of it was last seen
	filesSeen bool          // it has removed a file before
	unproven  bool          // fences were given up: what it has read counts as worked on
	leftFor   time.Duration // that earlier lives of it left a file unread, and removed none
	ending    []uint64      // commands that end it, as written and not yet acknowledged

	openPipe
	refused time.Time // when the spool directory last refused a file for good
	told    time.Time // when it was last logged that there are no fences
}

// Status says how the sink fares.
func (c *CommandFile) Status() Status { return c.Feed.Status() }

// Run feeds the core until ctx ends. What the core does not take stays in the
// journal.
func (c *CommandFile) Run(ctx context.Context) {
	left := spoolDir{path: c.Spool, log: c.Log}
	if err := left.clean(); err != nil {
		c.Feed.trouble(err)
	}
	wait := reopenFirst
	for ctx.Err() == nil {
		err := c.open()
		if err == nil {
			wait = reopenFirst
			c.Feed.well()
			err = c.feed(ctx)
			c.leave(ctx)
		}
		if ctx.Err() != nil || errors.Is(err, journal.ErrClosed) {
			return
		}
		c.Feed.trouble(err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, reopenMost)
	}
}

// leave ends the session and goes back to the first result that the core may
// not have worked on. The core that it leaves at its own stop may still read
// the files that it was passed.
func (c *CommandFile) leave(ctx context.Context) {
	if ctx.Err() == nil {
		for _, f := range c.files.left() {
			c.spool.remove(f.path)
		}
		c.spool.remove(c.fence.proof)
	}
	if left := c.files.left(); len(left) > 0 && !left[0].told.IsZero() {
		c.leftFor += time.Since(left[0].told)
	}
	c.unproven = c.unproven && !c.filesSeen // who hung was another, that sees the files all the same
	c.openPipe.end()
	c.Feed.rewind()
}

// feed writes until the core leaves or ctx ends.
func (c *CommandFile) feed(ctx context.Context) error {
	for {
		items, err := c.next(ctx)
		if err != nil {
			return err
		}
		for i := range items {
			if err := c.add(ctx, &items[i]); err != nil {
				return err
			}
		}
		if err := c.flush(ctx); err != nil {
			return err
		}
		if err := c.addFence(ctx); err != nil {
			return err
		}
		if err := c.look(); err != nil {
			return err
		}
		c.settle(time.Now())
	}
}

// next waits for results, but no longer than busyTick while some are inside
// their window.
func (c *CommandFile) next(ctx context.Context) ([]item, error) {
	if c.nothingInWindow() {
		return c.Feed.next(ctx)
	}
	return c.Feed.nextWithin(ctx, busyTick)
}

// nothingInWindow tells whether the core has all that was written. Without
// fences there may be results that none is behind, and none will be.
func (c *CommandFile) nothingInWindow() bool {
	return len(c.marks) == 0 && len(c.files.list) == 0 && (c.fence.unfenced == 0 || c.acked >= c.last)
}

// add puts a result's line into the group, and writes the group first where it
// would grow too long.
func (c *CommandFile) add(ctx context.Context, it *item) error {
	if endsCore(&it.result) {
		return c.addEnding(ctx, it)
	}
	if c.fence.unfenced == 0 {
		c.fence.unfenced = it.seq
	}
	before := len(c.group)
	c.group = c.Dialect.appendLine(c.group, &it.result)
	length := len(c.group) - before
	if len(c.group) <= pipeBuf {
		c.last = it.seq
		return nil
	}
	line := append([]byte(nil), c.group[before:]...)
	c.group = c.group[:before]
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.last = it.seq
	if length <= pipeBuf {
		c.group = append(c.group, line...)
		return nil
	}
	return c.passFile(ctx, it, line)
}

// addEnding writes a command that ends the core by itself, and only once: the end
// of the core has all of its window written again, and would never cease to.
func (c *CommandFile) addEnding(ctx context.Context, it *item) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.last = it.seq
	if slices.Contains(c.ending, it.seq) {
		c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
		return nil
	}
	c.group = c.Dialect.appendLine(c.group, &it.result)
	if n := len(c.group); n > pipeBuf {
		c.group = c.group[:0]
		c.giveUpCommand(it, n, errNoEnding)
		return nil
	}
	err := c.flush(ctx)
	if err == nil {
		c.ending = append(c.ending, it.seq)
	}
	return err
}

// errNoEnding is why a command that ends the core is not passed by file.
var errNoEnding = errors.New("it ends the core, which could not tell that it has read the file")

// endsCore tells whether the core ends or begins anew when it gets this.
func endsCore(r *check.Result) bool {
	name, _, _ := strings.Cut(r.Command, ";")
	return r.Kind == check.Command && slices.Contains([]string{"SHUTDOWN_PROGRAM", "SHUTDOWN_PROCESS", "RESTART_PROGRAM", "RESTART_PROCESS"}, strings.TrimSpace(name))
}

// flush writes the group in one piece.
func (c *CommandFile) flush(ctx context.Context) error {
	if len(c.group) == 0 {
		return nil
	}
	if err := c.write(ctx, c.group); err != nil {
		return err
	}
	c.group = c.group[:0]
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	return nil
}

// write writes at most pipeBuf bytes, whole or not at all, and waits while the
// core is busy.
func (c *CommandFile) write(ctx context.Context, b []byte) error {
	for {
		if err := c.ended(); err != nil {
			return err
		}
		if ctx.Err() != nil { // a core that is slow may still read on and on
			return context.Cause(ctx)
		}
		c.pipe.SetWriteDeadline(time.Now().Add(busyTick))
		n, err := c.pipe.Write(b)
		c.wrote += int64(n)
		switch {
		case err == nil:
			c.full = time.Time{}
			c.Feed.well()
			return nil
		case errors.Is(err, syscall.EPIPE):
			return fmt.Errorf("the core closed %s", c.Path)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		c.logFull(time.Now())
		if err := c.look(); err != nil {
			return err
		}
		c.settle(time.Now())
	}
}

// logFull says that the pipe has no room: in the log once it had none for so
// long that a core which works would have made some.
func (c *CommandFile) logFull(now time.Time) {
	if c.full.IsZero() {
		c.full = now
	}
	if now.Sub(c.full) < spoolOverdue {
		c.Feed.setState(fmt.Sprintf("%s is full: the core is busy", c.Path))
		return
	}
	c.Feed.trouble(fmt.Errorf("%s is full and the core reads nothing from it: is it held up, by its disk, an event handler or a debugger?", c.Path))
}

// settle notes what the core has read, and acknowledges what was read a window
// ago. Bytes of other writers in the pipe only make it wait longer.
func (c *CommandFile) settle(now time.Time) {
	done := c.settlePipe(now, c.Window)
	if done > 0 {
		c.over = c.marks[done-1].seq
		c.marks, c.taken = c.marks[done:], c.taken-done
	}
	c.settleFiles(now)
	upTo := c.over
	for i := range c.files.list { // a fence may stand for what came before a file in front of it
		upTo = min(upTo, c.files.list[i].from-1)
	}
	if c.holdsUnfenced(now) {
		upTo = min(upTo, c.fence.unfenced-1)
	}
	c.Feed.rest(c.takenUpTo(now))
	if upTo > c.acked {
		c.acked = upTo
		c.ending = slices.DeleteFunc(c.ending, func(seq uint64) bool { return seq <= upTo })
		c.Feed.ack(upTo)
	}
}

// takenUpTo returns up to which sequence the core was seen to have worked on all,
// as far as it can be seen: what settle acknowledges a window later.
func (c *CommandFile) takenUpTo(now time.Time) uint64 {
	upTo := c.over
	if c.taken > 0 {
		upTo = c.marks[c.taken-1].seq
	}
	if left := c.files.left(); len(left) > 0 {
		upTo = min(upTo, left[0].from-1)
	}
	if c.holdsUnfenced(now) {
		upTo = min(upTo, c.fence.unfenced-1)
	}
	return upTo
}
