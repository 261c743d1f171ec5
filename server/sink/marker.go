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
	// markerPatience is for the first marker of a core, which may not see the
	// file: it may run in a container of its own.
	markerPatience = time.Minute
)

// marksWork tells whether markers say what the core has worked on. Else what it has
// read has to do.
func (c *CommandFile) marksWork(now time.Time) bool {
	return c.MarkerTick > 0 && c.Dialect.queues() && now.After(c.unmarkedUntil)
}

// addMarker writes a marker behind results that none is behind yet, one at a time.
func (c *CommandFile) addMarker(ctx context.Context) error {
	now := time.Now()
	if c.unmarked == 0 || c.markerOut || now.Sub(c.marked) < c.MarkerTick || !c.marksWork(now) {
		return nil
	}
	file, err := c.writeSpool(markerPrefix, nil)
	if err != nil {
		c.unmarkedUntil = now.Add(time.Minute)
		c.Log.Warn().Err(err).Str("sink", c.Feed.o.Target).
			Msg("the core cannot be passed a file, and so does not tell what it has worked on: what it has read counts, and is lost if it is killed while it hangs")
		return nil
	}
	if err := c.write(ctx, passFileCommand(now, file)); err != nil {
		c.removeFile(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	c.files = append(c.files, passed{it: item{seq: c.unmarked}, path: file, end: c.wrote, marker: true})
	c.unmarked, c.marked, c.markerOut = 0, now, true
	return nil
}

// passFileCommand has the core read a file, and remove it.
func passFileCommand(at time.Time, file string) []byte {
	return []byte("[" + strconv.FormatInt(at.Unix(), 10) + "] PROCESS_FILE;" + file + ";1\n")
}

// patience is how long the core may leave a file unread.
func (c *CommandFile) patience(f *passed) time.Duration {
	if f.marker && !c.markersSeen {
		return min(c.Unread, markerPatience)
	}
	return c.Unread
}

// markerGone notes that the core has worked on all before a marker.
func (c *CommandFile) markerGone() { c.markerOut, c.markersSeen = false, true }

// giveUpMarker has what the core has read count as worked on for a while.
func (c *CommandFile) giveUpMarker(now time.Time) {
	c.markerOut, c.unmarkedUntil = false, now.Add(spoolAgain)
	c.Log.Warn().Str("sink", c.Feed.o.Target).Str("spool", c.Spool).Stringer("tried_again_after", spoolAgain).
		Msg("the core does not remove the files by which it tells what it has worked on: what it has read counts, and is lost if it is killed while it hangs; may its user enter the directory and remove files there?")
}
