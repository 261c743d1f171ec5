package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"massive-passive/wire/check"
)

// spoolPatience is how long a line waits for a spool directory that refuses
// before its output is cut to what fits the pipe, or the command in it given up:
// a full disk must not hold up what tells of it.
const spoolPatience = 10 * time.Second

// DefaultUnread is how long a core may leave a file unread that it was passed:
// longer than one is held up by a reload or its disk.
const DefaultUnread = 10 * time.Minute

// spoolHeld is how many bytes of files may wait for a core to read them.
const spoolHeld = 48 << 20

// spoolAgain is how long a core is passed no more files that left one unread.
const spoolAgain = time.Hour

// passed is a line that the core was passed in a file. The pipe may have
// another reader than what works on commands, so that only the file tells: the
// core removes it once it has read it.
type passed struct {
	from uint64 // the first result that is not acknowledged before the file is gone
	path string
	size int64
	end  int64     // of the command that names it, in the stream of bytes
	told time.Time // when the command was seen to be read
	gone time.Time // when the file was seen to be removed

	fence bool // it holds nothing
	it    item // else this, with the beginning of its output
}

// passedFiles are the files that hold up what is acknowledged, oldest first.
type passedFiles struct {
	list     []passed
	gone     int       // of list, from the first: seen to be removed, or given up
	held     int64     // bytes of the others
	searched time.Time // when it was last looked which are gone, and whether the probe is
	unread   bool      // there is one that the core does not read
	ignored  time.Time // when one was last given up that this core did not read
}

// left are those that the core has yet to remove.
func (p *passedFiles) left() []passed { return p.list[p.gone:] }

func (p *passedFiles) add(f passed) { p.list, p.held = append(p.list, f), p.held+f.size }

// tell notes which the core was told of, having read so many bytes.
func (p *passedFiles) tell(read int64, now time.Time) {
	left := p.left()
	for i := 0; i < len(left) && left[i].end <= read; i++ {
		if left[i].told.IsZero() {
			left[i].told = now
		}
	}
}

// pass goes on to the next.
func (p *passedFiles) pass(now time.Time) {
	f := &p.list[p.gone]
	f.gone, p.held = now, p.held-f.size
	p.gone++
}

// settle drops those that are gone for a window.
func (p *passedFiles) settle(now time.Time, window time.Duration) {
	done := 0
	for done < p.gone && now.Sub(p.list[done].gone) >= window {
		done++
	}
	p.list, p.gone = p.list[done:], p.gone-done
}

// passFile hands a line that is too long for one write to the core in a file.
func (c *CommandFile) passFile(ctx context.Context, it *item, line []byte) error {
	if !c.files.ignored.IsZero() && time.Since(c.files.ignored) < spoolAgain && it.result.Kind != check.Command {
		return c.passCut(ctx, it, errUnread)
	}
	file, err := c.writeSpool(spoolPrefix, line)
	for since := time.Now(); err != nil; file, err = c.writeSpool(spoolPrefix, line) {
		patient := time.Since(since) < spoolPatience && time.Since(c.refused) > time.Minute
		if !patient && !errors.Is(err, errHeld) { // who reads none of those has a limit of its own
			c.refused = time.Now()
			if it.result.Kind == check.Command {
				c.giveUpCommand(it, len(line), err)
				return nil
			}
			return c.passCut(ctx, it, err)
		}
		c.Feed.trouble(fmt.Errorf("pass a line of %d bytes in a file: %w", len(line), err))
		if err := c.idle(ctx); err != nil {
			return err
		}
	}
	c.Feed.well()
	if err := c.write(ctx, passFileCommand(time.UnixMicro(it.result.Finish), file)); err != nil {
		c.spool.remove(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	f := passed{from: it.seq, it: *it, path: file, size: int64(len(line)), end: c.wrote}
	f.it.result.Output = append([]byte(nil), it.result.Output[:min(rejectsClip, len(it.result.Output))]...)
	c.files.add(f)
	return nil
}

// errUnread is why a core is passed no more files.
var errUnread = errors.New("it did not read those that it was passed")

// errHeld tells that the core has as many files to read as may wait for it.
var errHeld = errors.New("the core has yet to read")

// settleFiles finds out which files the core has read, gives up those that it
// leaves unread, and drops those from the first that are out of their window.
func (c *CommandFile) settleFiles(now time.Time) {
	if len(c.files.list) == 0 && c.fence.proof == "" {
		return
	}
	if now.Sub(c.files.searched) >= busyTick {
		c.files.searched = now
		c.search(now)
	}
	c.files.settle(now, c.Window)
}

// search looks which files are gone. The core reads them in their order.
func (c *CommandFile) search(now time.Time) {
	c.files.tell(c.read, now)
	for left := c.files.left(); len(left) > 0 && !left[0].told.IsZero(); left = c.files.left() {
		f := &left[0]
		if c.spool.removed(f.path) {
			c.proved()
			c.fence.out = c.fence.out && !f.fence
		} else {
			patience, unread := c.patience(f), now.Sub(f.told)
			if unread < patience/10 || c.leftFor+unread < patience { // a new life has some time of its own
				break
			}
			c.giveUp(f, now)
		}
		c.files.pass(now)
	}
	if c.fence.proof != "" && c.spool.removed(c.fence.proof) {
		c.fence.proof = ""
		c.proved()
	}
	c.logUnread(now)
}

// giveUp takes back a file that the core leaves unread.
func (c *CommandFile) giveUp(f *passed, now time.Time) {
	if c.files.unread {
		c.files.unread = false
		c.Feed.setState("")
	}
	if f.fence {
		c.giveUpFence(f, now)
		return
	}
	c.spool.remove(f.path)
	c.files.ignored, c.leftFor = now, 0
	c.Feed.reject(&f.it, RejectedUnread, fmt.Sprintf("the core did not remove %s, as it does once it has read it, for %v", f.path, c.Unread))
}

// logUnread says that the core has not read a file, as long as that is so.
func (c *CommandFile) logUnread(now time.Time) {
	left := c.files.left()
	if len(left) == 0 || left[0].told.IsZero() || now.Sub(left[0].told) < spoolOverdue || left[0].fence && c.blind() {
		if c.files.unread {
			c.files.unread = false
			c.Feed.setState("")
			c.Log.Info(c.Feed.o.Target, "files read").Str("sink", c.Feed.o.Target).Msg("the core has read the files that it was passed")
		}
		return
	}
	f := &left[0]
	c.files.unread = true
	c.Feed.setState(fmt.Sprintf("the core has not read %s since %s", f.path, f.told.Format(time.TimeOnly)))
	c.Log.Still("").Warn(c.Feed.o.Target, "files unread").Str("sink", c.Feed.o.Target).Str("file", f.path).Int("unread", len(left)).Stringer("given_up_after", c.Unread).
		Msg("the core has not read a file that it was passed, and the journal keeps all from there on: is the core held up, and may its user read and remove files there?")
}

// passCut writes a result with as much of its output as fits the pipe.
func (c *CommandFile) passCut(ctx context.Context, it *item, why error) error {
	c.Feed.noteCut(it)
	c.Log.Error(c.Feed.o.Target, "cut").Err(why).Str("spool", c.Spool).Msg("long outputs are cut to fit the pipe: the core cannot be passed a file")
	r := it.result
	for limit := pipeBuf / 2; ; limit /= 2 {
		r.Output = check.CutOutput(it.result.Output, limit)
		if line := c.Dialect.appendLine(nil, &r); len(line) <= pipeBuf || limit == 0 {
			c.group = append(c.group, line...)
			return nil
		}
	}
}

// giveUpCommand passes over a command that no file could take: half of one may
// mean something else.
func (c *CommandFile) giveUpCommand(it *item, length int, why error) {
	c.Feed.reject(it, RejectedTooLong, fmt.Sprintf("its %d bytes do not fit the pipe, and the core cannot be passed a file: %v", length, why))
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
}

// idle waits a tick and settles meanwhile, until the core leaves or ctx ends.
func (c *CommandFile) idle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(reopenMost):
	}
	if err := c.look(); err != nil {
		return err
	}
	c.settle(time.Now())
	return nil
}

// writeSpool writes a file for the core, if not too many wait for it already.
func (c *CommandFile) writeSpool(prefix string, line []byte) (string, error) {
	if held := c.files.held; held > 0 && held+int64(len(line)) > spoolHeld {
		return "", fmt.Errorf("%w %d files of together %d MiB in %s", errHeld, len(c.files.left()), held>>20, c.Spool)
	}
	return c.spool.write(prefix, line)
}
