package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/internal/disk"
	"massive-passive/sched"

	"github.com/rs/zerolog"
)

// checks are the check files in force. Only the goroutine that loads uses
// them.
type checks struct {
	dirs     []string
	defaults checkfile.Defaults
	log      zerolog.Logger
	good     map[string]checkfile.Check // the last good version of each file
	logged   map[string]bool            // what the last load said
	unread   bool                       // the disk did not give all at the last load

	// What other goroutines may know.
	count atomic.Int64             // of good
	bad   atomic.Pointer[[]string] // the files that are not as they should be
}

// change is what a load found different.
type change struct {
	set    []checkfile.Check
	remove []string // file names
}

// load reads the directories. A file that became invalid keeps its last good
// version; a directory that cannot be read keeps all. What is wrong is said at
// each load, but if it only makes sure of what was just read.
func (c *checks) load(again bool) (change, error) {
	files, warnings, err := checkfile.ReadDirs(c.dirs, c.defaults)
	c.unread = disk.MayPass(err) || slices.ContainsFunc(files, func(f checkfile.File) bool { return f.Unread })
	if err != nil {
		return change{}, err
	}
	said := c.logged
	c.logged = map[string]bool{}
	isNews := func(text string) bool {
		c.logged[text] = true
		return !again || !said[text]
	}
	for _, w := range warnings {
		if isNews(w.String()) {
			c.log.Warn().Str("file", w.Place.String()).Msg(w.String())
		}
	}
	if text := nothingIn(c.dirs); len(files) == 0 && isNews(text) {
		c.log.Warn().Msg(text)
	}
	var found change
	var bad []string
	now := map[string]checkfile.Check{}
	for _, f := range files {
		before, known := c.good[f.Name]
		if f.Err != nil {
			bad = append(bad, f.Name)
			if isNews(f.Err.Error()) {
				c.logBad(f, known)
			}
			if known {
				now[f.Name] = before
			}
			continue
		}
		now[f.Name] = f.Check
		if !known || !checkfile.Same(before, f.Check) {
			found.set = append(found.set, f.Check)
			c.logNeverAgain(f)
		}
	}
	for name := range c.good {
		if _, there := now[name]; !there {
			found.remove = append(found.remove, name)
		}
	}
	c.good = now
	c.count.Store(int64(len(now)))
	c.bad.Store(&bad)
	return found, nil
}

// nothingIn is what is said of directories without check files.
func nothingIn(dirs []string) string {
	return fmt.Sprintf("no *.cfg in %s: nothing to do", strings.Join(dirs, " and "))
}

func (c *checks) logBad(f checkfile.File, known bool) {
	event, message := c.log.Error(), "a check file was passed over"
	if known {
		message = "a check file became invalid: its last good version stays in force"
	}
	var bad *checkfile.Error
	if errors.As(f.Err, &bad) {
		event = event.Str("file", bad.Place.String())
	}
	event.Err(f.Err).Msg(message)
}

func (c *checks) logNeverAgain(f checkfile.File) {
	if neverAgain(f.Check, time.Now()) {
		c.log.Warn().Str("file", f.Name).Msg("the calendar of this check never fires again")
	}
}

func neverAgain(c checkfile.Check, from time.Time) bool {
	if c.Calendar == nil {
		return false
	}
	_, again := c.Calendar.Next(from)
	return !again
}

// job makes the scheduler's job of a check.
func job(c checkfile.Check, run func(checkfile.Check)) sched.Job {
	return sched.Job{
		Key:          c.File,
		Every:        c.Every,
		Calendar:     c.Calendar,
		Jitter:       c.Jitter,
		MaxInstances: c.MaxInstances,
		MisfireGrace: c.MisfireGrace,
		Run:          func(time.Time) { run(c) },
	}
}
