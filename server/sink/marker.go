package sink

import (
	"context"
	"strconv"
	"time"
)

// Nagios and Naemon have another process read the pipe than works on what was
// read: what the one has read and the other has not worked on is lost when they
// are killed, which may be all of the time that they hang. So behind results goes
// the command to read an empty file and remove it, a marker: when it is gone, the
// core has worked on all before it.

// DefaultMarkerTick keeps the core's log, where it may log each command, readable.
const DefaultMarkerTick = 2 * time.Second

const (
	markerPrefix = spoolPrefix + "marker-"
	// markerPatience is for a core that may not see the files, as in a container of
	// its own: none of its processes is seen, and it has not removed one yet.
	markerPatience = time.Minute
	// markerAgain is the time between two markers for a core that has removed some
	// and then left one unread, or while the spool directory refuses.
	markerAgain = time.Minute
	markerRetry = time.Second // while the spool directory has not refused for long
)

// marker is how far a session has got with its markers.
type marker struct {
	owed      uint64    // the first result that no marker is behind; 0: there is none
	out       bool      // the core has not removed the last one
	due       time.Time // before, no other is written
	holdUntil time.Time // until then, what is owed one stays in the journal although markers were given up
	refusing  time.Time // since when the spool directory refuses one; zero: it does not
	probe     string    // by which a core that is unproven can prove itself, "" if none is out
}

// takesMarkers tells whether the core is one that is sent markers.
func (c *CommandFile) takesMarkers() bool { return c.MarkerTick > 0 && c.Dialect.queues() }

// holdsUnmarked tells whether results without a marker behind them stay in the
// journal, although the core has read them.
func (c *CommandFile) holdsUnmarked(now time.Time) bool {
	return c.marker.owed > 0 && c.takesMarkers() && (!c.unproven || now.Before(c.marker.holdUntil))
}

// addMarker writes a marker behind results that none is behind yet, one at a time.
// Nothing waits for the one of a core that is unproven.
func (c *CommandFile) addMarker(ctx context.Context) error {
	now := time.Now()
	if c.marker.owed == 0 || c.marker.out || now.Before(c.marker.due) || !c.takesMarkers() {
		return nil
	}
	file, err := c.writeSpool(markerPrefix, nil)
	if err != nil {
		c.markerRefused(now, err)
		return nil
	}
	c.marker.refusing = time.Time{}
	if err := c.write(ctx, passFileCommand(now, file)); err != nil {
		c.spool.remove(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	now = time.Now()
	if c.unproven {
		c.leaveProbe(now, file)
		return nil
	}
	c.files.add(passed{from: c.marker.owed, path: file, end: c.wrote, marker: true})
	c.marker.owed, c.marker.due, c.marker.out = 0, now.Add(c.MarkerTick), true
	return nil
}

// markerRefused gives the spool directory some time.
func (c *CommandFile) markerRefused(now time.Time, err error) {
	c.marker.due = now.Add(markerRetry)
	if c.marker.refusing.IsZero() {
		c.marker.refusing = now
	}
	if now.Sub(c.marker.refusing) < spoolPatience {
		return
	}
	c.marker.due = now.Add(markerAgain)
	c.stopMarkers(now)
	if now.Sub(c.told) > spoolAgain {
		c.told = now
		c.Log.Warn(c.Feed.o.Target, "no markers").Err(err).Str("sink", c.Feed.o.Target).
			Msg("the core cannot be passed a file, and so does not tell what it has worked on: what it has read counts, and is lost if it is killed while it hangs")
	}
}

// stopMarkers has what the core has read count as worked on until it proves that
// it removes markers, but not before another window is over.
func (c *CommandFile) stopMarkers(now time.Time) {
	if !c.unproven {
		c.unproven, c.marker.holdUntil = true, now.Add(c.Window)
	}
}

// leaveProbe leaves the core a marker that nothing waits for, in the place of the
// last one: its command may have been lost.
func (c *CommandFile) leaveProbe(now time.Time, file string) {
	c.spool.remove(c.marker.probe)
	c.marker.probe, c.marker.due = file, now.Add(c.probeTick())
}

func (c *CommandFile) probeTick() time.Duration {
	if c.filesSeen {
		return markerAgain // it hung
	}
	return spoolAgain
}

// proved is called when the core was seen to have removed a file.
func (c *CommandFile) proved() {
	c.filesSeen, c.leftFor, c.files.ignored = true, 0, time.Time{}
	if !c.unproven {
		return
	}
	c.unproven, c.marker.due = false, time.Time{}
	c.Log.Info(c.Feed.o.Target, "markers").Str("sink", c.Feed.o.Target).Msg("the core removes the files again by which it tells what it has worked on")
}

// blind tells whether the core may be one that does not see the files.
func (c *CommandFile) blind() bool { return !c.filesSeen && !c.watch.seen() }

// passFileCommand has the core read a file, and remove it.
func passFileCommand(at time.Time, file string) []byte {
	return []byte("[" + strconv.FormatInt(at.Unix(), 10) + "] PROCESS_FILE;" + file + ";1\n")
}

// patience is how long the core may leave a file unread.
func (c *CommandFile) patience(f *passed) time.Duration {
	if f.marker && c.blind() {
		return min(c.Unread, markerPatience)
	}
	return c.Unread
}

// giveUpMarker is called when a marker was left unread for as long as may be. The
// file stays: a core that hung removes it when it goes on.
func (c *CommandFile) giveUpMarker(f *passed, now time.Time) {
	c.marker.out, c.leftFor = false, 0
	c.leaveProbe(now, f.path)
	c.stopMarkers(now)
	c.Log.Warn(c.Feed.o.Target, "markers stay").Str("sink", c.Feed.o.Target).Str("spool", c.Spool).Stringer("tried_again_after", c.probeTick()).
		Msg("the core does not remove the files by which it tells what it has worked on: what it has read counts, and is lost if it is killed while it hangs; may its user enter the directory and remove files there?")
}
