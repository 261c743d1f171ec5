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
	// markerAgain is how long none are written where the spool directory refused one
	// for spoolPatience, or that a core which had removed others left unread.
	markerAgain = time.Minute
	markerRetry = time.Second // while the spool directory refuses
)

// marksWork tells whether markers say what the core has worked on. Else what it has
// read has to do.
func (c *CommandFile) marksWork(now time.Time) bool {
	return c.MarkerTick > 0 && c.Dialect.queues() && now.After(c.unmarkedUntil)
}

// holdsUnmarked tells whether results without a marker behind them stay in the
// journal, although the core has read them.
func (c *CommandFile) holdsUnmarked(now time.Time) bool {
	return c.unmarked > 0 && (c.marksWork(now) || now.Before(c.holdUntil))
}

// addMarker writes a marker behind results that none is behind yet, one at a time.
func (c *CommandFile) addMarker(ctx context.Context) error {
	now := time.Now()
	if c.unmarked == 0 || c.markerOut || now.Before(c.markerDue) || !c.marksWork(now) {
		return nil
	}
	file, err := c.writeSpool(markerPrefix, nil)
	if err != nil {
		c.markerRefused(now, err)
		return nil
	}
	c.refusing = time.Time{}
	if err := c.write(ctx, passFileCommand(now, file)); err != nil {
		c.removeFile(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	c.files = append(c.files, passed{it: item{seq: c.unmarked}, path: file, end: c.wrote, marker: true})
	c.unmarked, c.markerDue, c.markerOut = 0, time.Now().Add(c.MarkerTick), true
	return nil
}

// markerRefused gives the spool directory some time.
func (c *CommandFile) markerRefused(now time.Time, err error) {
	c.markerDue = now.Add(markerRetry)
	if c.refusing.IsZero() {
		c.refusing = now
	}
	if now.Sub(c.refusing) < spoolPatience {
		return
	}
	c.refusing = time.Time{}
	c.stopMarkers(now, markerAgain)
	if now.Sub(c.refusalTold) > spoolAgain {
		c.refusalTold = now
		c.Log.Warn().Err(err).Str("sink", c.Feed.o.Target).
			Msg("the core cannot be passed a file, and so does not tell what it has worked on: what it has read counts, and is lost if it is killed while it hangs")
	}
}

// stopMarkers has what the core has read count as worked on for a while, but not
// before another window is over.
func (c *CommandFile) stopMarkers(now time.Time, d time.Duration) {
	c.unmarkedUntil, c.holdUntil = now.Add(d), now.Add(c.Window)
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

// giveUpMarker is called when a marker was left unread for as long as may be.
func (c *CommandFile) giveUpMarker(now time.Time) {
	again := spoolAgain
	if c.filesSeen {
		again = markerAgain // it hung
	}
	c.markerOut, c.filesSeen = false, false
	c.stopMarkers(now, again)
	c.Log.Warn().Str("sink", c.Feed.o.Target).Str("spool", c.Spool).Stringer("tried_again_after", again).
		Msg("the core does not remove the files by which it tells what it has worked on: what it has read counts, and is lost if it is killed while it hangs; may its user enter the directory and remove files there?")
}
