package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"massive-passive/wire/check"
)

// spoolPrefix begins the names of our files in the spool directory.
const spoolPrefix = "massive-passive-"

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

	marker bool // it holds nothing
	it     item // else this, with the beginning of its output
}

// passFile hands a line that is too long for one write to the core in a file.
func (c *CommandFile) passFile(ctx context.Context, it *item, line []byte) error {
	if !c.ignored.IsZero() && time.Since(c.ignored) < spoolAgain && it.result.Kind != check.Command {
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
		c.removeFile(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote})
	f := passed{from: it.seq, it: *it, path: file, size: int64(len(line)), end: c.wrote}
	f.it.result.Output = append([]byte(nil), it.result.Output[:min(rejectsClip, len(it.result.Output))]...)
	c.files, c.held = append(c.files, f), c.held+f.size
	return nil
}

// errUnread is why a core is passed no more files.
var errUnread = errors.New("it did not read those that it was passed")

// errHeld tells that the core has as many files to read as may wait for it.
var errHeld = errors.New("the core has yet to read")

// settleFiles finds out which files the core has read, gives up those that it
// leaves unread, and drops those from the first that are out of their window.
func (c *CommandFile) settleFiles(now time.Time) {
	if len(c.files) == 0 && c.probe == "" {
		return
	}
	if now.Sub(c.searched) >= busyTick {
		c.searched = now
		c.search(now)
	}
	done := 0
	for done < c.gone && now.Sub(c.files[done].gone) >= c.Window {
		done++
	}
	c.files, c.gone = c.files[done:], c.gone-done
}

// search looks which files are gone. The core reads them in their order.
func (c *CommandFile) search(now time.Time) {
	for i := c.gone; i < len(c.files) && c.files[i].end <= c.read; i++ {
		if f := &c.files[i]; f.told.IsZero() {
			f.told = now
		}
	}
	for ; c.gone < len(c.files); c.gone++ {
		f := &c.files[c.gone]
		if f.told.IsZero() {
			break
		}
		if c.removed(f.path) {
			c.proved()
			c.markerOut = c.markerOut && !f.marker
		} else {
			patience, left := c.patience(f), now.Sub(f.told)
			if left < patience/10 || c.leftFor+left < patience { // a new life has some time of its own
				break
			}
			c.giveUp(f, now)
		}
		f.gone, c.held = now, c.held-f.size
	}
	if c.probe != "" && c.removed(c.probe) {
		c.probe = ""
		c.proved()
	}
	c.tellLate(now)
}

// removed tells whether the core has removed a file. One that is gone with its
// directory says nothing of the core, and nor does any other from then on.
func (c *CommandFile) removed(file string) bool {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	there, err := c.spoolThere()
	c.spoolLost = c.spoolLost || err == nil && !there
	return there && !c.spoolLost
}

// spoolThere tells whether the spool directory is the one that it was. An error is
// no news of it.
func (c *CommandFile) spoolThere() (bool, error) {
	ours, err := c.spool.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(c.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, there), err
}

// giveUp takes back a file that the core leaves unread.
func (c *CommandFile) giveUp(f *passed, now time.Time) {
	if c.late {
		c.late = false
		c.Feed.setState("")
	}
	if f.marker {
		c.giveUpMarker(f, now)
		return
	}
	c.removeFile(f.path)
	c.ignored, c.leftFor = now, 0
	c.Feed.reject(&f.it, CountUnread, fmt.Sprintf("the core did not remove %s, as it does once it has read it, for %v", f.path, c.Unread))
}

// tellLate says that the core has not read a file, as long as that is so.
func (c *CommandFile) tellLate(now time.Time) {
	if c.gone == len(c.files) || c.files[c.gone].told.IsZero() || now.Sub(c.files[c.gone].told) < spoolOverdue || c.files[c.gone].marker && c.blind() {
		if c.late {
			c.late = false
			c.Feed.setState("")
			c.Log.Info().Str("sink", c.Feed.o.Target).Msg("the core has read the files that it was passed")
		}
		return
	}
	f := &c.files[c.gone]
	c.late = true
	c.Feed.setState(fmt.Sprintf("the core has not read %s since %s", f.path, f.told.Format(time.TimeOnly)))
	if now.Sub(c.lateTold) < time.Minute {
		return
	}
	c.lateTold = now
	c.Log.Warn().Str("sink", c.Feed.o.Target).Str("file", f.path).Int("unread", len(c.files)-c.gone).Stringer("given_up_after", c.Unread).
		Msg("the core has not read a file that it was passed, and the journal keeps all from there on: is the core held up, and may its user read and remove files there?")
}

// passCut writes a result with as much of its output as fits the pipe.
func (c *CommandFile) passCut(ctx context.Context, it *item, why error) error {
	c.Feed.count(CountCut, 1)
	if now := time.Now(); now.Sub(c.cutTold) > time.Minute {
		c.cutTold = now
		c.Log.Error().Err(why).Str("spool", c.Spool).Msg("long outputs are cut to fit the pipe: the core cannot be passed a file")
	}
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
	c.Feed.reject(it, CountTooLong, fmt.Sprintf("its %d bytes do not fit the pipe, and the core cannot be passed a file: %v", length, why))
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

// writeSpool writes a file that the core, and nobody else, can read and remove.
func (c *CommandFile) writeSpool(prefix string, line []byte) (string, error) {
	if c.held > 0 && c.held+int64(len(line)) > spoolHeld {
		return "", fmt.Errorf("%w %d files of together %d MiB in %s", errHeld, len(c.files)-c.gone, c.held>>20, c.Spool)
	}
	if err := c.prepareSpool(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(c.Spool, prefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(line)
	_, refused := give(f, c.opened, 0o640)
	err = errors.Join(err, refused, f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// prepareSpool makes the spool directory and gives it to the core.
func (c *CommandFile) prepareSpool() error {
	if c.spool == nil {
		if err := os.MkdirAll(c.Spool, 0o770); err != nil {
			return err
		}
		dir, err := os.OpenFile(c.Spool, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		c.spool = dir // open, so that no other gets its number
	} else if there, err := c.spoolThere(); err != nil {
		return err
	} else if !there {
		c.spoolLost = true
		return fmt.Errorf("%s is not the directory any more that it was", c.Spool)
	}
	_, err := give(c.spool, c.opened, 0o770)
	return err
}

func (c *CommandFile) removeFile(file string) {
	if file == "" {
		return
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Warn().Err(err).Msg("cannot remove a file that the core was passed")
	}
}

// cleanSpool removes what a crash left behind.
func (c *CommandFile) cleanSpool() error {
	entries, err := os.ReadDir(c.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean the spool directory: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), spoolPrefix) {
			c.removeFile(filepath.Join(c.Spool, e.Name()))
		}
	}
	return nil
}
