package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Asker asks a disk again for what it refuses, as one does that is away for a
// moment. It is for starts, where nobody comes back later for what is not read.
// The zero value is one that was not refused anything yet.
type Asker struct{ spent time.Duration }

const (
	// Patience is how long an Asker asks again, in all, so that a dead disk does
	// not keep a program from starting.
	Patience = 10 * time.Second
	tick     = 100 * time.Millisecond
)

// stays is what asking again does not change.
var stays = []error{io.EOF, fs.ErrNotExist, fs.ErrPermission, unix.EISDIR, unix.ENOTDIR, unix.ELOOP}

// Ask calls get until the disk does not refuse any more, or the time is over,
// and returns its last error.
func (a *Asker) Ask(get func() error) error {
	for {
		err := get()
		if err == nil || slices.ContainsFunc(stays, func(e error) bool { return errors.Is(err, e) }) || a.spent >= Patience {
			return err
		}
		time.Sleep(tick)
		a.spent += tick
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

// ReadFile is os.ReadFile, asked for.
func (a *Asker) ReadFile(path string) (data []byte, err error) {
	err = a.Ask(func() error {
		data, err = os.ReadFile(path)
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
