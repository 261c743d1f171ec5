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
)

// spoolPrefix begins the names of our files in the spool directory.
const spoolPrefix = "massive-passive-"

// passFile hands a line that is too long for one write to the core in a file.
func (c *CommandFile) passFile(ctx context.Context, line []byte, seconds int64) error {
	file, err := c.writeSpool(line)
	if err != nil {
		return fmt.Errorf("pass a line of %d bytes in a file: %w", len(line), err)
	}
	command := "[" + strconv.FormatInt(seconds, 10) + "] PROCESS_FILE;" + file + ";1\n"
	if err := c.write(ctx, []byte(command)); err != nil {
		c.removeFile(file)
		return err
	}
	c.marks = append(c.marks, mark{seq: c.last, end: c.wrote, file: file})
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
	err = errors.Join(err, c.give(f.Name(), 0o640), f.Close())
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
	return c.give(c.Spool, 0o770)
}

// give lets the core at a file of ours: the pipe belongs to the core's user,
// to whom root can give it; others can give it to the pipe's group, which the
// server must be in to write to the pipe.
func (c *CommandFile) give(path string, mode fs.FileMode) error {
	owner, ok := c.opened.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s has no owner", c.Path)
	}
	uid := -1
	if os.Geteuid() == 0 {
		uid = int(owner.Uid)
	}
	if err := os.Lchown(path, uid, int(owner.Gid)); err != nil {
		return err
	}
	return os.Chmod(path, mode)
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
