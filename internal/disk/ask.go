package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// stays is what the system says of what asking again does not change.
var stays = []error{fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, unix.EISDIR, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG, unix.ENXIO,
	unix.ENOSPC, unix.EDQUOT, unix.EROFS}

// MayPass tells whether an error is the system's word for something that may be
// over soon, as a disk that does not answer, or too many open files.
func MayPass(err error) bool {
	var said unix.Errno
	if errors.Is(err, ErrSilent) {
		return true
	}
	return errors.As(err, &said) && !slices.ContainsFunc(stays, func(e error) bool { return errors.Is(err, e) })
}

// Asker asks a disk again for what it refuses, as one does that is away for a
// moment. It is for starts, where nobody comes back later for what is not read.
// The zero value is one that was not refused anything yet.
type Asker struct{ spent time.Duration }

const (
	// Patience is how long an Asker asks again, in all. What it is asked for
	// later, it asks the disk for once.
	Patience = 10 * time.Second
	tick     = 100 * time.Millisecond
)

// Ask calls get until it succeeds, fails with what does not pass, or Patience is
// over, and returns its last error. How long the disk takes to refuse counts, too.
func (a *Asker) Ask(get func() error) error {
	for {
		begun := time.Now()
		err := get()
		if !MayPass(err) || a.spent >= Patience {
			return err
		}
		time.Sleep(tick)
		a.spent += time.Since(begun)
	}
}

// Open is os.Open, asked for.
func (a *Asker) Open(path string) (f *os.File, err error) {
	err = a.Ask(func() error {
		f, err = os.Open(path)
		return err
	})
	return f, err
}

// stateLimit is far over what any state file has.
const stateLimit = 1 << 30

// ReadFile is the function of this name, asked for.
func (a *Asker) ReadFile(path string) (data []byte, err error) {
	err = a.Ask(func() error {
		data, err = ReadFile(context.Background(), path, stateLimit)
		return err
	})
	return data, err
}

// Reader returns f as it is when each place is asked for.
func (a *Asker) Reader(f io.ReaderAt) io.ReaderAt { return asked{f, a} }

type asked struct {
	file  io.ReaderAt
	asker *Asker
}

func (r asked) ReadAt(b []byte, off int64) (n int, err error) {
	err = r.asker.Ask(func() error {
		n, err = r.file.ReadAt(b, off)
		return err
	})
	return n, err
}
