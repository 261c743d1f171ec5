package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// asker asks a disk again for what it does not give at a start, where nobody
// comes back for it: what lies behind it is used, and then removed in its turn.
type asker struct{ spent time.Duration }

const (
	startPatience = 10 * time.Second // for all of a start, so that a dead disk does not keep it
	startTick     = 100 * time.Millisecond
)

// stays is what asking again does not change.
var stays = []error{io.EOF, fs.ErrNotExist, fs.ErrPermission, unix.EISDIR, unix.ENOTDIR, unix.ELOOP}

// ask does what get does until the disk no longer refuses, or the time is over.
func (a *asker) ask(get func() error) error {
	for {
		err := get()
		if err == nil || slices.ContainsFunc(stays, func(e error) bool { return errors.Is(err, e) }) || a.spent >= startPatience {
			return err
		}
		time.Sleep(startTick)
		a.spent += startTick
	}
}

// askedFile is a file of which each place is asked for.
type askedFile struct {
	io.ReaderAt
	disk *asker
}

func (f askedFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.disk.ask(func() error {
		n, err = f.ReaderAt.ReadAt(b, off)
		return err
	})
	return n, err
}

// open is os.Open, asked for.
func (a *asker) open(path string) (f *os.File, err error) {
	err = a.ask(func() error {
		f, err = os.Open(path)
		return err
	})
	return f, err
}
