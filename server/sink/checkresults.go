package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/logx"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

const (
	spoolTick    = 20 * time.Millisecond  // between looks at the file that the core has to take
	spoolGather  = 500 * time.Millisecond // the longest that results are gathered for a file that could go
	spoolBytes   = 64 << 20               // of a file; the core does nothing else while it works on one, for seconds
	spoolBuffer  = 1 << 20                // bytes in memory before they are written to the file
	spoolOverdue = 30 * time.Second       // a core that reaps at all has taken a file by then
	renewMost    = time.Minute            // between two renewals of a file's time
	watchTick    = 10 * time.Second       // between looks for a core that was not seen
)

// CheckResults moves files of check results into the directory where Nagios
// or Naemon look for them, one at a time: the core reads several in no order.
type CheckResults struct {
	Feed       *Feed
	Dir        string
	Owner      string // of the files, for telling ours from another server's; letters and digits
	Dialect    Dialect
	Config     string        // the core's main configuration, where it is known
	MaxFileAge time.Duration // at which the core throws a file away; 0 is at once, whatever the manuals say
	LatestOnly bool          // a file that nobody reads gives way to one with the newest results
	Window     time.Duration // how long a result stays in the journal after the core took it
	Log        *logx.Throttle

	// Owned by Run.
	opened fs.FileInfo // the directory
	buffer []byte      // records of the next file that are not in it yet
	file   *os.File    // the next file, under its temporary name; nil until the buffer was full
	size   int64       // bytes in file
	last   uint64      // the last sequence in the buffer, or before it
	out    *spooled    // the file that the core has to take
	taken  []spooled   // files that are still inside their window, oldest first
	asked  time.Time   // since when the core takes no file; zero: nothing waits
	slow   int         // files in a row that gave way to newer results
	unseen bool        // the directory could not be looked at
	watch  coreWatch
}

// spooled is a file in the core's directory.
type spooled struct {
	path    string
	seq     uint64    // all up to here is in it or in those before
	since   time.Time // when it was moved in, or taken
	renewed time.Time // by the wall clock, which the core goes by
}

// Status says how the sink fares.
func (c *CheckResults) Status() Status { return c.Feed.Status() }

// Run feeds the core until ctx ends. What the core does not take stays in the
// journal.
func (c *CheckResults) Run(ctx context.Context) {
	wait := reopenFirst
	for ctx.Err() == nil {
		err := c.open()
		if err == nil {
			wait = reopenFirst
			if c.asked.IsZero() {
				c.Feed.setState("")
			}
			err = c.feed(ctx)
			c.leave()
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

// open looks at the directory and removes what an earlier life left in it.
func (c *CheckResults) open() error {
	info, err := os.Stat(c.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: name the check_result_path of the core's configuration", c.Dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory: name the check_result_path of the core's configuration", c.Dir)
	}
	again := c.opened != nil
	c.opened = info
	if err := c.clean(); err != nil {
		return err
	}
	c.watch = coreWatch{user: ownerOf(info), name: c.Dialect.watchName(), config: c.Config}
	c.watch.begin(time.Now())
	// One that has just started may not have written its object cache yet.
	c.Feed.coreAway = again || !c.watch.seen()
	return nil
}

// leave takes back what the core has not taken, and goes back to the first
// result that it may not have worked on.
func (c *CheckResults) leave() {
	c.watch.end()
	if c.out != nil {
		if err := c.withdraw(c.out.path); err != nil {
			c.Log.Warn(c.Feed.o.Target, "withdraw").Err(err).Str("sink", c.Feed.o.Target).Msg("nothing else is put there until that can be done")
		}
		c.out = nil
	}
	for _, t := range c.taken {
		os.Remove(t.path + okSuffix) // a core that died in between may have left it
	}
	c.dropFile()
	c.buffer, c.taken, c.last = nil, nil, 0
	c.Feed.rewind()
}

// feed moves files in until the core restarts or ctx ends.
func (c *CheckResults) feed(ctx context.Context) error {
	for {
		if err := c.gather(ctx); err != nil {
			return err
		}
		looked := time.Now()
		if err := c.look(looked); err != nil {
			return err
		}
		if err := c.write(); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return err // somebody removed the next file: what is in it has to be written again
			}
			c.Feed.trouble(err)
			if err := sleep(ctx, reopenMost); err != nil {
				return err
			}
		}
		if err := c.settle(looked); err != nil {
			return err
		}
	}
}

// write empties a full buffer into the next file, and moves that in when its
// turn has come.
func (c *CheckResults) write() error {
	if c.out == nil && c.holds() > 0 {
		return c.moveIn()
	}
	if len(c.buffer) >= spoolBuffer {
		return c.flush()
	}
	return nil
}

// holds returns the bytes of the next file so far.
func (c *CheckResults) holds() int64 { return c.size + int64(len(c.buffer)) }

// gather reads results for the next file: as long as one is in the core's
// hands for a tick, else as many as there are.
func (c *CheckResults) gather(ctx context.Context) error {
	begun := time.Now()
	for c.holds() < spoolBytes && len(c.buffer) < spoolBuffer {
		var items []item
		var err error
		switch {
		case c.holds() > 0 && c.out == nil:
			items, err = c.Feed.nextWithin(ctx, time.Millisecond)
		case c.holds() > 0 || c.out != nil || len(c.taken) > 0:
			items, err = c.Feed.nextWithin(ctx, spoolTick)
		default:
			items, err = c.Feed.next(ctx)
		}
		if err != nil {
			return err
		}
		for i := range items {
			c.add(&items[i])
		}
		if len(items) == 0 || c.holds() == 0 || c.out != nil || time.Since(begun) > spoolGather {
			return nil
		}
		if len(c.buffer) >= spoolBuffer && c.flush() != nil {
			return nil // write tries again, and tells
		}
	}
	if c.out == nil {
		return nil
	}
	return sleep(ctx, spoolTick)
}

func (c *CheckResults) add(it *item) {
	c.last = it.seq
	if it.result.Kind == check.Command {
		c.Feed.reject(it, RejectedCommand, "the core's check-result directory takes no commands: they need a sink command-file")
		return
	}
	if c.holds() == 0 {
		c.buffer = append(c.buffer, c.header()...)
	}
	c.buffer = c.Dialect.appendRecord(c.buffer, &it.result)
}

// look finds out what became of the file in the core's hands.
func (c *CheckResults) look(now time.Time) error {
	if c.watch.over() {
		return fmt.Errorf("the core that reads %s ended: what it may have dropped is written again", c.Dir)
	}
	info, err := os.Stat(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Feed.trouble(err)
		c.unseen = true
		return nil // what its file system cannot tell now is no news of the core
	}
	if c.unseen && !c.overdue(now) {
		c.Feed.well()
	}
	c.unseen = false
	if err != nil || !sameCores(info, c.opened) {
		return fmt.Errorf("%s was removed, made anew or given to another user", c.Dir)
	}
	if !c.watch.seen() && now.Sub(c.watch.scanned) > watchTick {
		c.watch.begin(now)
	}
	if c.out == nil {
		return nil
	}
	info, err = os.Lstat(c.out.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.gone(now)
	}
	if err != nil {
		return err
	}
	return c.await(now, info.ModTime())
}

// gone notes that the core took the file, unless it may have thrown it away
// for an age that it only has since the clock was set, or the machine slept.
func (c *CheckResults) gone(now time.Time) error {
	c.asked = time.Time{}
	if err := c.tooOld(now); err != nil {
		return err
	}
	c.Feed.well()
	c.slow, c.Feed.coreAway = 0, false
	c.taken = append(c.taken, spooled{path: c.out.path, seq: c.out.seq, since: now})
	c.Feed.rest(c.out.seq)
	c.out = nil
	if !c.watch.seen() {
		c.watch.begin(now) // whoever took it runs
	}
	return nil
}

// ahead is how far a file's time is put ahead for a core that throws away what
// is older than 0 seconds: it does so with all that it has.
func (c *CheckResults) ahead() time.Duration {
	if c.MaxFileAge > 0 {
		return 0
	}
	return core.DefaultMaxFileAge
}

// tooOld tells that the core may throw the file away, or did.
func (c *CheckResults) tooOld(now time.Time) error {
	if age := now.Sub(c.out.renewed); age > (c.MaxFileAge+c.ahead())/2 {
		return fmt.Errorf("the clock was set, or the machine slept: the core may throw a file away as %v old, and what is in it is written again", age.Round(time.Second))
	}
	return nil
}

// overdue tells that a core which reaps at all would have taken the file.
func (c *CheckResults) overdue(now time.Time) bool {
	return !c.asked.IsZero() && now.Sub(c.asked) > spoolOverdue
}

// await keeps the file in the core's hands from growing too old. Its age is
// what the core sees, by a clock that can be set: modified has no other.
func (c *CheckResults) await(now, modified time.Time) error {
	if c.asked.IsZero() {
		c.asked = c.out.since
	}
	if c.overdue(now) {
		c.Feed.trouble(fmt.Errorf("the core does not take check results from %s: is it running, and is this its check_result_path?", c.Dir))
	}
	if c.LatestOnly && now.Sub(c.out.since) > backlogAge<<min(c.slow, 10) {
		c.slow++ // it may be at work on this one: the next gets longer
		return fmt.Errorf("the core takes no check results from %s: a file with newer ones takes the place of the one there", c.Dir)
	}
	renew := min(renewMost, (c.MaxFileAge+c.ahead())/4)
	if age := now.Add(c.ahead()).Sub(modified); age >= 0 && age < renew {
		return nil
	}
	if err := c.tooOld(now); err != nil {
		return err // it may be at it
	}
	at := now.Add(c.ahead())
	err := touch(c.out.path, at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken meanwhile, at the age that it had
	}
	if err != nil {
		return fmt.Errorf("renew a file before the core throws it away for its age: %w", err)
	}
	c.out.renewed = now.Round(0)
	return c.keepMark(at)
}

// settle acknowledges what the core took a window ago. A mark that is left of it
// tells of a file that the core could not open, and removed.
func (c *CheckResults) settle(now time.Time) error {
	done := 0
	for i, t := range c.taken {
		if now.Sub(t.since) < c.Window {
			break
		}
		_, err := os.Lstat(t.path + okSuffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			break // its file system cannot tell now
		}
		if err == nil {
			return fmt.Errorf("the core removed %s and left its mark, as where it may not read it: what was in it is written again", t.path)
		}
		c.Feed.ack(t.seq)
		done = i + 1
	}
	c.taken = append(c.taken[:0], c.taken[done:]...)
	if len(c.taken) == 0 && c.out == nil && c.holds() == 0 {
		c.Feed.ack(c.last) // all that was read was rejected
	}
	return nil
}

// sleep waits for d or ctx's end, which is an error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
