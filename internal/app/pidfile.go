package app

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

const (
	maxPidfile  = 64 // more than a process number takes
	pidfileMode = 0o600
)

// pidfile holds the number of the process that has it locked. One that nobody
// has locked is stale, whatever number is in it. Nobody but its owner can open
// it: whoever can read a file can lock it, by any kind of lock, and would keep
// the daemon from starting.
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
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, pidfileMode)
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
	pid, err := readPidfile(f)
	if err != nil {
		return false, err
	}
	if opened.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid()) { // one that was made with another mode
		if err := f.Chmod(pidfileMode); err != nil {
			return false, err
		}
	}
	if err := lockFrom(f, pid); errors.Is(err, syscall.EWOULDBLOCK) {
		if pid, err = readPidfile(f); err == nil && pid == 0 {
			err = errors.New("another process has it locked, and has not put its number there")
		} else if err == nil {
			err = fmt.Errorf("already running as process %d", pid)
		}
		return false, err
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

// readPidfile returns the number in the file, 0 if there is none.
func readPidfile(f *os.File) (pid int, err error) {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, maxPidfile))
	if err != nil {
		return 0, err
	}
	number := strings.TrimSpace(string(content))
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil && number != "" {
		return 0, errors.New("it holds something else than a process's number")
	}
	return int(n), nil
}

// leftoverLimit is far longer than a child takes from its start to its program.
const leftoverLimit = 5 * time.Second

// lockFrom locks a file that pid had locked, 0 for nobody. A client that is
// killed while it starts a plugin leaves a child behind that has the lock too
// until it becomes the plugin: for such a child it waits, as it does for who only
// asks whether the file is locked.
func lockFrom(f *os.File, pid int) error {
	for since := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		gone := pid == 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
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
