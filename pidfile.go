package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxPidfile is more than a process number takes.
const maxPidfile = 64

// pidfile holds the number of the process that has it locked. One that nobody
// has locked is stale, whatever number is in it.
type pidfile struct {
	path string
	file *os.File
}

// lockPidfile makes the file, or takes over a stale one.
func lockPidfile(path string) (*pidfile, error) {
	p, err := tryPidfile(path)
	if err != nil {
		return nil, fmt.Errorf("pidfile %s: %w (--pidfile names another)", path, err)
	}
	return p, nil
}

func tryPidfile(path string) (*pidfile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
		if errors.Is(err, syscall.ELOOP) {
			return nil, errors.New("it is a symbolic link: root would write to wherever it points")
		}
		var there *os.PathError
		if errors.As(err, &there) {
			return nil, there.Err // the path is said already
		}
		if err != nil {
			return nil, err
		}
		switch ours, err := claim(f, path); {
		case err != nil:
			f.Close()
			return nil, err
		case ours:
			return &pidfile{path, f}, nil
		}
		f.Close() // its owner removed it as it ended: again
	}
}

// claim locks f and writes this process's number to it. It is not ours if path
// is another file by now.
func claim(f *os.File, path string) (ours bool, err error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !opened.Mode().IsRegular() || opened.Sys().(*syscall.Stat_t).Nlink > 1 {
		return false, errors.New("it is no ordinary file of its own")
	}
	content, err := io.ReadAll(io.LimitReader(f, maxPidfile))
	if err != nil {
		return false, err
	}
	number := strings.TrimSpace(string(content))
	pid, err := strconv.ParseUint(number, 10, 31)
	if err != nil && number != "" {
		return false, errors.New("it holds something else than a process's number")
	}
	if err := lockFrom(f, int(pid)); errors.Is(err, syscall.EWOULDBLOCK) {
		return false, fmt.Errorf("already running as process %s", number)
	} else if err != nil {
		return false, err
	}
	if there, err := os.Lstat(path); err != nil || !os.SameFile(opened, there) {
		return false, nil
	}
	if err := f.Truncate(0); err != nil {
		return false, err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err == nil, err
}

// leftoverLimit is far longer than a child takes from its start to its program.
const leftoverLimit = 5 * time.Second

// lockFrom locks a file that pid had locked, 0 for nobody. A client that is
// killed while it starts a plugin leaves a child behind that has the lock too
// until it becomes the plugin: for such a child it waits.
func lockFrom(f *os.File, pid int) error {
	for since := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		gone := errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		if !errors.Is(err, syscall.EWOULDBLOCK) || !gone || time.Since(since) > leftoverLimit {
			return err
		}
	}
}

// remove removes the file, or empties it where its directory is no longer
// writable for the user that this process became.
func (p *pidfile) remove() {
	if os.Remove(p.path) != nil {
		p.file.Truncate(0)
	}
	p.file.Close()
}
