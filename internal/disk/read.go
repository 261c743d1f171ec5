package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// Answer is how long a Reader waits for a disk unless told otherwise.
	Answer = 2 * time.Second
	// mostSilent is how many questions a Reader leaves open. Each holds a thread
	// until the kernel returns, which with a hung file server may be never.
	mostSilent = 16
)

var (
	// ErrSilent says that a disk or a file server does not answer.
	ErrSilent = errors.New("the disk or file server does not answer")
	errOther  = fmt.Errorf("%w for %d other files: this one is not asked for until it does", ErrSilent, mostSilent)
)

// ErrNoFile says that something is there that is no ordinary file.
var ErrNoFile = errors.New("not an ordinary file: put one in its place")

// Reader reads files and directories which may lie on a disk or file server that
// does not answer, in places where somebody may have put something else: a named
// pipe, a device, a file without end. Each question to the kernel is asked in a
// goroutine of its own, which is left behind when no answer comes. What was not
// answered is not asked again until it is, so that no pile of goroutines grows.
//
// The zero value is ready. Any goroutine may use it.
type Reader struct {
	// Patience is how long to wait for the answer about one file; 0 means Answer.
	// While another file is waited for, it is a tenth of it.
	Patience time.Duration

	mu     sync.Mutex
	silent map[*question]struct{} // those left behind
}

// question is one that was put to the kernel.
type question struct {
	path     string
	answered bool // under Reader.mu
}

var shared Reader

// ReadFile returns what is in an ordinary file of at most limit bytes, and an
// error that names the file otherwise. It waits for no writer of a pipe and for
// no disk longer than Answer. Of an error MayPass tells whether it may be
// another one soon.
func ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	return shared.ReadFile(ctx, path, limit)
}

// Stat is os.Stat that waits for no disk longer than Answer.
func Stat(ctx context.Context, path string) (fs.FileInfo, error) { return shared.Stat(ctx, path) }

// ReadDir is os.ReadDir that waits for no disk longer than Answer.
func ReadDir(ctx context.Context, path string) ([]fs.DirEntry, error) {
	entries, err := shared.ReadDir(ctx, path)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// ReadFile is the function of this name, with the reader's patience.
func (r *Reader) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	return Within(ctx, r, path, func() ([]byte, error) { return ReadNow(path, limit) })
}

// ReadNow is ReadFile without its patience: it waits for the disk. It is for commands
// that end at once where all is well, and that somebody can end where it is not.
func ReadNow(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: &TooLongError{limit}}
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// TooLongError says that a file has more bytes than anybody needs.
type TooLongError struct{ Limit int64 }

func (e *TooLongError) Error() string { return fmt.Sprintf("it has more than %d bytes", e.Limit) }

// ReadDir is os.ReadDir within the reader's patience, but with the entries in the
// order of the directory.
func (r *Reader) ReadDir(ctx context.Context, path string) ([]fs.DirEntry, error) {
	return Within(ctx, r, path, func() ([]fs.DirEntry, error) {
		d, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.ReadDir(-1)
	})
}

// Stat is os.Stat within the reader's patience.
func (r *Reader) Stat(ctx context.Context, path string) (fs.FileInfo, error) {
	return Within(ctx, r, path, func() (fs.FileInfo, error) { return os.Stat(path) })
}

// Open opens an ordinary file for reading, following links. It does not wait for
// a writer of a pipe, and does not touch a device. It may wait for a disk.
func Open(path string) (*os.File, error) {
	// Before it is opened: to open a tape rewinds it, and to open a pipe wakes its
	// writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := ordinary(path, info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = ordinary(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func ordinary(path string, info fs.FileInfo) error {
	kind := "it is something else"
	switch t := info.Mode().Type(); {
	case t == 0:
		return nil
	case t == fs.ModeDir:
		kind = "it is a directory"
	case t == fs.ModeNamedPipe:
		kind = "it is a named pipe"
	case t == fs.ModeSocket:
		kind = "it is a socket"
	case t&fs.ModeDevice != 0:
		kind = "it is a device"
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%s, %w", kind, ErrNoFile)}
}

// Within asks the kernel about path by get and returns its answer. Where none
// comes within the reader's patience, or ctx ends, get is left behind: what it
// returns later is lost, and what it opened it must close itself.
func Within[T any](ctx context.Context, r *Reader, path string, get func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	patience, err := r.ask(path)
	if err != nil {
		return none, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	q := &question{path: path}
	answers := make(chan answer, 1)
	go func() {
		value, err := get()
		answers <- answer{value, err}
		r.answer(q)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	err = ErrSilent
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	if r.leave(q) {
		return none, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	a := <-answers
	return a.value, a.err
}

// ask tells how long to wait for an answer about a file, or why not to ask.
func (r *Reader) ask(path string) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	patience := r.Patience
	if patience == 0 {
		patience = Answer
	}
	for q := range r.silent {
		if q.path == path {
			return 0, ErrSilent
		}
	}
	switch {
	case len(r.silent) >= mostSilent:
		return 0, errOther
	case len(r.silent) > 0:
		return patience / 10, nil
	}
	return patience, nil
}

func (r *Reader) answer(q *question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.answered = true
	delete(r.silent, q)
}

// leave leaves a question behind, unless it was answered.
func (r *Reader) leave(q *question) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.answered {
		return false
	}
	if r.silent == nil {
		r.silent = map[*question]struct{}{}
	}
	r.silent[q] = struct{}{}
	return true
}
