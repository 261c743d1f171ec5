package sink

import (
	"context"
	"strconv"
	"time"
)

// Nagios and Naemon have another process read the pipe than works on what was
// read: what the one has read and the other has not worked on is lost when they
// are killed, which may be all of the time that they hang. So behind results goes
// the command to read an empty file and remove it, a fence: when it is gone, the
// core has worked on all before it.

// DefaultFenceTick keeps the core's log, where it may log each command, readable.
const DefaultFenceTick = 2 * time.Second

const (
	fencePrefix = spoolPrefix + "marker-"
	// fencePatience is for a core that may not see the files, as in a container of
	// its own: none of its processes is seen, and it has not removed one yet.
	fencePatience = time.Minute
	// fenceAgain is the time between two fences for a core that has removed some
	// and then left one unread, or while the spool directory refuses.
	fenceAgain = time.Minute
	fenceRetry = time.Second // while the spool directory has not refused for long
)

// fence is how far a session has got with its fences.
type fence struct {
	unfenced  uint64    // the first result that no fence is behind; 0: there is none
	out       bool      // the core has not removed the last one
	due       time.Time // before, no other is written
	holdUntil time.Time // until then, what is owed one stays in the journal although fences were given up
	refusing  time.Time // since when the spool directory refuses one; zero: it does not
	proof     string    // by which a core that is unproven can prove itself, "" if none is out
}

// takesFences tells whether the core is one that is sent fences.
func (c *CommandFile) takesFences() bool { return c.FenceTick > 0 && c.Dialect.queues() }

// holdsUnfenced tells whether results without a fence behind them stay in the
// journal, although the core has read them.
func (c *CommandFile) holdsUnfenced(now time.Time) bool {
	return c.fence.unfenced > 0 && c.takesFences() && (!c.unproven || now.Before(c.fence.holdUntil))
}

// addFence writes a fence behind results that none is behind yet, one at a time.
// Nothing waits for the one of a core that is unproven.
func (c *CommandFile) addFence(ctx context.Context) error {
	now := time.Now()
	if c.fence.unfenced == 0 || c.fence.out || now.Before(c.fence.due) || !c.takesFences() {
		return nil
	}
	file, err := c.writeSpool(fencePrefix, nil)
	if err != nil {
		c.fenceRefused(now, err)
		return nil
	}
	c.fence.refusing = time.Time{}
	if err := c.write(ctx, passFileCommand(now, file)); err != nil {
		c.spool.remove(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	now = time.Now()
	if c.unproven {
		c.leaveProof(now, file)
		return nil
	}
	c.files.add(passed{from: c.fence.unfenced, path: file, end: c.wrote, fence: true})
	c.fence.unfenced, c.fence.due, c.fence.out = 0, now.Add(c.FenceTick), true
	return nil
}

// fenceRefused gives the spool directory some time.
func (c *CommandFile) fenceRefused(now time.Time, err error) {
	c.fence.due = now.Add(fenceRetry)
	if c.fence.refusing.IsZero() {
		c.fence.refusing = now
	}
	if now.Sub(c.fence.refusing) < spoolPatience {
		return
	}
	c.fence.due = now.Add(fenceAgain)
	c.stopFences(now)
	if now.Sub(c.told) > spoolAgain {
		c.told = now
		c.Log.Warn(c.Feed.o.Target, "no markers").Err(err).Str("sink", c.Feed.o.Target).
			Msg("the core cannot be passed a file, and so does not tell what it has worked on: what it has read counts, and is lost if it is killed while it hangs")
	}
}

// stopFences has what the core has read count as worked on until it proves that
// it removes fences, but not before another window is over.
func (c *CommandFile) stopFences(now time.Time) {
	if !c.unproven {
		c.unproven, c.fence.holdUntil = true, now.Add(c.Window)
	}
}

// leaveProof leaves the core a fence that nothing waits for, in the place of the
// last one: its command may have been lost.
func (c *CommandFile) leaveProof(now time.Time, file string) {
	c.spool.remove(c.fence.proof)
	c.fence.proof, c.fence.due = file, now.Add(c.proofTick())
}

func (c *CommandFile) proofTick() time.Duration {
	if c.filesSeen {
		return fenceAgain // it hung
	}
	return spoolAgain
}

// proved is called when the core was seen to have removed a file.
func (c *CommandFile) proved() {
	c.filesSeen, c.leftFor, c.files.ignored = true, 0, time.Time{}
	if !c.unproven {
		return
	}
	c.unproven, c.fence.due = false, time.Time{}
	c.Log.Info(c.Feed.o.Target, "fences").Str("sink", c.Feed.o.Target).Msg("the core removes the files again by which it tells what it has worked on")
}

// blind tells whether the core may be one that does not see the files.
func (c *CommandFile) blind() bool { return !c.filesSeen && !c.watch.seen() }

// passFileCommand has the core read a file, and remove it.
func passFileCommand(at time.Time, file string) []byte {
	return []byte("[" + strconv.FormatInt(at.Unix(), 10) + "] PROCESS_FILE;" + file + ";1\n")
}

// patience is how long the core may leave a file unread.
func (c *CommandFile) patience(f *passed) time.Duration {
	if f.fence && c.blind() {
		return min(c.Unread, fencePatience)
	}
	return c.Unread
}

// giveUpFence is called when a fence was left unread for as long as may be. The
// file stays: a core that hung removes it when it goes on.
func (c *CommandFile) giveUpFence(f *passed, now time.Time) {
	c.fence.out, c.leftFor = false, 0
	c.leaveProof(now, f.path)
	c.stopFences(now)
	c.Log.Warn(c.Feed.o.Target, "fences stay").Str("sink", c.Feed.o.Target).Str("spool", c.Spool).Stringer("tried_again_after", c.proofTick()).
		Msg("the core does not remove the files by which it tells what it has worked on: what it has read counts, and is lost if it is killed while it hangs; may its user enter the directory and remove files there?")
}
