package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"massive-passive/wire/check"
)

// spoolPrefix begins the names of our files in the spool directory.
const spoolPrefix = "massive-passive-"

// spoolPatience is how long a line waits for a spool directory that refuses
// before its output is cut to what fits the pipe: a full disk must not hold up
// what tells of it.
const spoolPatience = 10 * time.Second

// passFile hands a line that is too long for one write to the core in a file.
func (c *CommandFile) passFile(ctx context.Context, it *item, line []byte) error {
	file, err := c.writeSpool(line)
	for since := time.Now(); err != nil; file, err = c.writeSpool(line) {
		patient := time.Since(since) < spoolPatience && time.Since(c.refused) > time.Minute
		if !patient && it.result.Kind != check.Command {
			c.refused = time.Now()
			return c.passCut(ctx, it, err)
		}
		c.Feed.trouble(fmt.Errorf("pass a line of %d bytes in a file: %w", len(line), err))
		if err := c.idle(ctx); err != nil {
			return err
		}
	}
	c.Feed.well()
	command := "[" + strconv.FormatInt(it.result.Finish/1e6, 10) + "] PROCESS_FILE;" + file + ";1\n"
	if err := c.write(ctx, []byte(command)); err != nil {
		c.removeFile(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote, file: file})
	return nil
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
func (c *CommandFile) writeSpool(line []byte) (string, error) {
	if err := c.prepareSpool(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(c.Spool, spoolPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(line)
	err = errors.Join(err, give(f, c.opened, 0o640), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// prepareSpool makes the spool directory and gives it to the core's group.
func (c *CommandFile) prepareSpool() error {
	if err := os.MkdirAll(c.Spool, 0o770); err != nil {
		return err
	}
	dir, err := os.OpenFile(c.Spool, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return give(dir, c.opened, 0o770)
}

func (c *CommandFile) removeFile(file string) {
	if file == "" {
		return
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Warn().Err(err).Msg("cannot remove a file that the core has read")
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
