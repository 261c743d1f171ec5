package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// lockDir makes dir if it is not there and takes its lock. The kernel lets go of
// it when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	var asker disk.Asker
	if err := makeDir(dir, &asker); err != nil {
		return nil, withOwner(fmt.Errorf("make journal directory: %w", err), dir)
	}
	path := filepath.Join(dir, lockName)
	var f *os.File
	err := asker.Ask(func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		return err
	})
	if err != nil {
		return nil, withOwner(fmt.Errorf("open journal lock: %w", err), dir)
	}
	err = takeLock(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer f.Close()
		return nil, &LockedError{Dir: dir, PID: readPID(f)}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock journal %q: %w", dir, err)
	}
	// The pid is only for the message of the next one; a full disk must not
	// keep this one from starting.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

const (
	lockPatience = 5 * time.Second // far longer than a child takes from its start to its program
	lockTick     = 5 * time.Millisecond
)

// takeLock locks the file. A process that is killed while it starts a program
// leaves a child behind that has the lock too until it becomes that program:
// for such a child it waits.
func takeLock(f *os.File) error {
	for since := time.Now(); ; time.Sleep(lockTick) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || alive(readPID(f)) || time.Since(since) > lockPatience {
			return err
		}
	}
}

// alive tells whether a process runs. One whose number is not known, 0, does.
func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

// withOwner adds to a refused permission who owns what lies in the way, and
// what would help.
func withOwner(err error, dir string) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	here := account(strconv.Itoa(os.Getuid()))
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		var st unix.Stat_t
		if unix.Stat(d, &st) == nil {
			return fmt.Errorf("%w: %s belongs to user %s, and this process runs as user %s: give it to that user (chown -R), or name another state directory",
				err, d, account(strconv.Itoa(int(st.Uid))), here)
		}
		if d == filepath.Dir(d) {
			return err
		}
	}
}

// account is a user's name, or else the number.
func account(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// makeDir makes dir and what it lies in, and makes their names durable: a lost
// directory takes all that was flushed into it along.
func makeDir(dir string, asker *disk.Asker) error {
	var parents []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		err := asker.Ask(func() error {
			_, err := os.Stat(d)
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parents = append(parents, filepath.Dir(d))
	}
	if err := asker.Ask(func() error { return os.MkdirAll(dir, 0o700) }); err != nil {
		return err
	}
	for _, d := range parents {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func readPID(f *os.File) int {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
