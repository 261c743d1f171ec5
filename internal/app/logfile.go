package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// logFile is a log that may be rotated under the process's hands.
type logFile struct {
	path string

	mu      sync.Mutex
	file    *os.File
	problem string // why it could not be opened anew, so that it is told once
}

// toldError is a problem that was told before.
type toldError struct{ error }

// openLogFile opens the file, or makes it, readable for its group. It follows
// no symbolic link: root would write to wherever another user points it.
func openLogFile(path string) (*logFile, error) {
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, file: f}, nil
}

func appendTo(path string) (*os.File, error) {
	// Without O_NONBLOCK a pipe there would hold the start until somebody reads.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("open the log file %s: it is a symbolic link: name the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the log file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0 {
		err = fmt.Errorf("open the log file %s: it is no ordinary file", path)
	}
	if err == nil && info.Mode().IsRegular() && info.Sys().(*syscall.Stat_t).Nlink > 1 {
		err = fmt.Errorf("open the log file %s: it has another name as well (a hard link), and may be another's file: name one of its own", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Write writes one or more whole lines.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}

// Close gives the file up.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}

// reopen opens the path anew. The old file stays in use where that fails.
func (l *logFile) reopen() error {
	f, err := appendTo(l.path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if err.Error() == l.problem {
			return &toldError{err}
		}
		l.problem = err.Error()
		return err
	}
	old := l.file
	l.file, l.problem = f, ""
	return old.Close()
}

// follow reopens the path if another file, or none, is there now.
func (l *logFile) follow() error {
	l.mu.Lock()
	open, err := l.file.Stat()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(l.path); err == nil && os.SameFile(open, there) {
		return nil
	}
	return l.reopen()
}

// give makes the file the user's, who must be able to open it again. One that
// does not belong to this process stays whose it is.
func (l *logFile) give(to *identity) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || int(owner.Uid) != os.Geteuid() || owner.Nlink != 1 {
		return nil
	}
	if err := l.file.Chown(to.uid, -1); err != nil {
		return fmt.Errorf("give the log file to %s: %w", to.name, err)
	}
	return nil
}
