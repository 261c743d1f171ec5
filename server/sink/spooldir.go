package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"massive-passive/internal/logx"
)

// spoolPrefix begins the names of our files in the spool directory.
const spoolPrefix = "massive-passive-"

// spoolDir is where a core that has the pipe open finds its files. It is
// opened, and if need be made, by the first of them.
type spoolDir struct {
	path  string
	owner fs.FileInfo // of the pipe, who is to read the files
	log   *logx.Throttle

	dir  *os.File // stays open, so that no other directory gets its number
	lost bool     // it is not there any more: what was in it tells nothing
}

// write writes a file that the core, and nobody else, can read and remove.
func (d *spoolDir) write(prefix string, line []byte) (string, error) {
	if err := d.prepare(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(d.path, prefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(line)
	_, refused := give(f, d.owner, 0o640)
	err = errors.Join(err, refused, f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// prepare makes the directory and gives it to the core.
func (d *spoolDir) prepare() error {
	if d.dir == nil {
		if err := os.MkdirAll(d.path, 0o770); err != nil {
			return err
		}
		dir, err := os.OpenFile(d.path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		d.dir = dir
	} else if there, err := d.there(); err != nil {
		return err
	} else if !there {
		d.lost = true
		return fmt.Errorf("%s is not the directory any more that it was", d.path)
	}
	_, err := give(d.dir, d.owner, 0o770)
	return err
}

// removed tells whether the core has removed a file. One that is gone with its
// directory says nothing of the core, and nor does any other from then on.
func (d *spoolDir) removed(file string) bool {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	there, err := d.there()
	d.lost = d.lost || err == nil && !there
	return there && !d.lost
}

// there tells whether the directory is the one that it was. An error is no news
// of it.
func (d *spoolDir) there() (bool, error) {
	ours, err := d.dir.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, now), err
}

// remove takes back a file, "" for none.
func (d *spoolDir) remove(file string) {
	if file == "" {
		return
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn(d.path, "remove").Err(err).Msg("cannot remove a file that the core was passed")
	}
}

// clean removes what a crash left behind.
func (d *spoolDir) clean() error {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean the spool directory: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), spoolPrefix) {
			d.remove(filepath.Join(d.path, e.Name()))
		}
	}
	return nil
}

func (d *spoolDir) close() {
	if d.dir != nil {
		d.dir.Close()
	}
}
