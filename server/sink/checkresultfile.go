package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

const (
	okSuffix     = ".ok" // the empty file beside one that is complete
	resultLetter = "c"   // begins the name of a file of check results
	resultName   = len(resultLetter) + 6
)

const resultAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// header begins each of our files. The cores take it for a comment.
func (c *CheckResults) header() string { return "# massive-passive " + c.Owner + "\n" }

// temporary begins the names of files that are being written. The cores pass
// them over.
func (c *CheckResults) temporary() string { return spoolPrefix + c.Owner + "-" }

// moveIn completes the next file and hands it to the core: from its other name
// to its own, and then the mark that it is complete.
func (c *CheckResults) moveIn() error {
	path, err := c.freeName()
	if err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	if _, err := give(c.file, c.opened, 0o640); err != nil {
		return fmt.Errorf("let the core read a file of check results: %w", err)
	}
	now := time.Now()
	if err := touch(c.file.Name(), now.Add(c.ahead())); err != nil { // all of it may have been written long ago
		return fmt.Errorf("renew a file of check results: %w", err)
	}
	if err := os.Rename(c.file.Name(), path); err != nil {
		return fmt.Errorf("move a file of check results in: %w", err)
	}
	if err := markComplete(path); err != nil {
		return errors.Join(err, os.Rename(path, c.file.Name()))
	}
	c.file.Close()
	c.file, c.size = nil, 0
	c.out = &spooled{path: path, seq: c.last, since: now, renewed: now.Round(0)}
	return nil
}

// markComplete makes the mark without which the core passes a file over.
func markComplete(path string) error {
	ok, err := os.OpenFile(path+okSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("mark a file of check results as complete: %w", err)
	}
	return ok.Close()
}

// keepMark keeps the mark of a file as young as the file, and makes it anew where
// somebody removed it: the core removes the file first.
func (c *CheckResults) keepMark(now time.Time) error {
	err := touch(c.out.path+okSuffix, now)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := markComplete(c.out.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(c.out.path); errors.Is(err, fs.ErrNotExist) { // the core was at it
		if err := os.Remove(c.out.path + okSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// touch has the core take a file for written now. Whoever may write to the
// directory could put a link in the place of its name.
func touch(path string, now time.Time) error {
	at := unix.NsecToTimespec(now.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// freeName returns a path that no file has, as the core expects it.
func (c *CheckResults) freeName() (string, error) {
	for {
		name := []byte(resultLetter)
		for len(name) < resultName {
			name = append(name, resultAlphabet[rand.IntN(len(resultAlphabet))])
		}
		path := filepath.Join(c.Dir, string(name))
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// flush writes the buffer to the next file. After an error it can be called
// again: what was half written is written over.
func (c *CheckResults) flush() error {
	if c.file == nil {
		f, err := os.CreateTemp(c.Dir, c.temporary()+"*")
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: the server's user must be in the group that owns the directory, and the group may write there", err)
		}
		if errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("%w: where a unit shuts the server in, it names the directory with ReadWritePaths= (`systemctl edit massive-passive-server`)", err)
		}
		if err != nil {
			return err
		}
		c.file = f
	}
	if _, err := c.file.WriteAt(c.buffer, c.size); err != nil {
		return fmt.Errorf("write a file of check results: %w", err)
	}
	c.size += int64(len(c.buffer))
	c.buffer = c.buffer[:0]
	return nil
}

// dropFile gives up the next file.
func (c *CheckResults) dropFile() {
	if c.file != nil {
		c.file.Close()
		os.Remove(c.file.Name())
	}
	c.file, c.size = nil, 0
}

// give lets the core at a file or directory of ours. What the core owns (its
// pipe, its directory) tells its user, to whom root can give the file and anybody
// else can open it by an access list, and a group, which any other server must be
// in and the core need not. It goes by the open file: whoever may write to the
// directory could put a link in the place of its name. It is not sure where it
// depends on whether the core's user is in that group.
func give(ours *os.File, cores fs.FileInfo, mode fs.FileMode) (sure bool, err error) {
	owner, ok := cores.Sys().(*syscall.Stat_t)
	if !ok {
		return false, fmt.Errorf("%s has no owner", cores.Name())
	}
	uid := -1
	if os.Geteuid() == 0 {
		uid = int(owner.Uid)
	}
	if err := ours.Chown(uid, int(owner.Gid)); err != nil {
		return false, err
	}
	if err := ours.Chmod(mode); err != nil {
		return false, err
	}
	if uid >= 0 || int(owner.Uid) == os.Geteuid() {
		return true, nil
	}
	return letIn(ours, owner.Uid, mode)
}

// withdraw takes a file back that the core has not taken. One that it is just
// reading, it reads to the end.
func (c *CheckResults) withdraw(path string) error {
	for _, file := range []string{path + okSuffix, path} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take a file of check results back, which the core could read beside a newer one: %w", err)
		}
	}
	return nil
}

// clean removes what an earlier life of this server left in the directory.
func (c *CheckResults) clean() error {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: the server's user must be in the group that owns the directory", err)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(c.Dir, e.Name())
		if strings.HasPrefix(e.Name(), c.temporary()) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if len(e.Name()) == resultName && strings.HasPrefix(e.Name(), resultLetter) && c.isOurs(path) {
			if err := c.withdraw(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOurs tells by its first line whether a file is ours. One that the disk does
// not give may be anybody's.
func (c *CheckResults) isOurs(path string) bool {
	var first []byte
	err := new(disk.Asker).Ask(func() (err error) {
		first, err = beginning(path, len(c.header()))
		return err
	})
	if disk.MayPass(err) {
		c.Log.Warn(c.Feed.o.Target, "unseen file").Err(err).Msg("cannot see whether a file of check results is of an earlier run: it stays, and the core may get its results late")
	}
	return err == nil && bytes.Equal(first, []byte(c.header()))
}

// beginning returns the first n bytes of a file that is no link.
func beginning(path string, n int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	_, err = io.ReadFull(f, b)
	return b, err
}
