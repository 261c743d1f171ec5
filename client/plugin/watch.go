package plugin

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// exitWatch tells when a process has ended. It does not reap it: as long as the
// process is a zombie, its number and that of its group belong to nobody else,
// and a signal to the group cannot hit a stranger.
type exitWatch interface {
	// expire sets when await gives up: a time that has passed ends one that
	// runs, the zero time means never. Any goroutine may call it.
	expire(at time.Time)
	// await returns true when the process has ended, false when it gave up.
	await() bool
	// close gives back what the watch holds, not the process.
	close()
}

// newExitWatch watches a child through a process descriptor where the kernel
// can do that and has one left, and else with a thread. Only as long as the
// child is not reaped is it certain that pid means it.
func newExitWatch(pid int) exitWatch {
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		if w, err := newPidfdWatch(fd); err == nil {
			return w
		}
		_ = unix.Close(fd)
	}
	return newThreadWatch(pid)
}

// pidfdWatch waits in the runtime's poller, which costs no thread.
type pidfdWatch struct {
	file *os.File
	raw  syscall.RawConn
}

// newPidfdWatch fails, and leaves pidfd open, on kernels that have process
// descriptors but cannot wait for them (Linux 5.3, some sandboxes).
func newPidfdWatch(pidfd int) (*pidfdWatch, error) {
	if _, err := ended(unix.P_PIDFD, pidfd, unix.WNOHANG); err != nil && err != unix.ECHILD {
		return nil, err
	}
	if err := unix.SetNonblock(pidfd, true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(pidfd), "pidfd")
	raw, err := file.SyscallConn()
	return &pidfdWatch{file: file, raw: raw}, err
}

func (w *pidfdWatch) expire(at time.Time) { _ = w.file.SetReadDeadline(at) }

func (w *pidfdWatch) await() bool {
	gone := false
	look := func(fd uintptr) bool {
		var err error
		gone, err = ended(unix.P_PIDFD, int(fd), unix.WNOHANG)
		return gone || err != nil
	}
	if err := w.raw.Read(look); errors.Is(err, os.ErrDeadlineExceeded) {
		// It may have ended in the same moment.
		_ = w.raw.Control(func(fd uintptr) { look(fd) })
	}
	return gone
}

func (w *pidfdWatch) close() { _ = w.file.Close() }

// threadWatch has a goroutine in a system call, and so a thread, for the whole
// life of the process.
type threadWatch struct {
	gone  chan struct{}
	timer *time.Timer
}

func newThreadWatch(pid int) *threadWatch {
	w := &threadWatch{gone: make(chan struct{}), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	go func() {
		defer close(w.gone)
		_, _ = ended(unix.P_PID, pid, 0)
	}()
	return w
}

func (w *threadWatch) expire(at time.Time) {
	if at.IsZero() {
		w.timer.Stop()
		return
	}
	w.timer.Reset(time.Until(at))
}

func (w *threadWatch) await() bool {
	select {
	case <-w.gone:
		return true
	case <-w.timer.C:
	}
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// close waits for nothing: where the process has ended the goroutine has too,
// and where it has not the goroutine cannot be called back from the kernel.
func (w *threadWatch) close() { w.timer.Stop() }

// ended asks the kernel whether a process has ended, without reaping it. With
// the option WNOHANG it does not wait for that.
func ended(kind, id, option int) (bool, error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOWAIT|option, nil)
		if err == unix.EINTR {
			continue
		}
		// ECHILD: it is gone, and something else in this process took its status.
		return err == unix.ECHILD || err == nil && info.Signo != 0, err
	}
}
