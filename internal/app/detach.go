package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyVariable tells a process that it is one in the background, and which
// descriptor to say on that it started.
const readyVariable = "_MASSIVE_PASSIVE_READY_FD"

// readyDescriptor is the first that os/exec passes on.
const readyDescriptor = 3

// ended is a process that failed after it said why.
type ended struct{ code int }

func (ended) Error() string   { return "" }
func (e ended) ExitCode() int { return e.code }

// detach starts this program again in a session of its own, and returns when
// that one has started or failed. Until then it shares standard error.
func (std streams) detach(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	ready, says, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	// What the caller had open is not for a daemon. Kernels before 5.11 cannot tell; there it stays open.
	unix.CloseRange(readyDescriptor, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	child := &exec.Cmd{
		Path: self, Args: std.args, Env: append(os.Environ(), readyVariable+"="+strconv.Itoa(readyDescriptor)),
		Stdin: null, Stdout: null, Stderr: std.stderr, ExtraFiles: []*os.File{says},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = child.Start()
	says.Close()
	if err != nil {
		return fmt.Errorf("go into the background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { child.Process.Signal(syscall.SIGTERM) })()
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return child.Process.Release()
	}
	err = child.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return ended{exit.ExitCode()}
	case err != nil:
		return fmt.Errorf("the process in the background ended as it started: %w", err)
	}
	return errors.New("the process in the background was stopped as it started")
}

// readiness returns what a detached process says on that it started; nil for
// all others.
func readiness() *os.File {
	mark, ok := os.LookupEnv(readyVariable)
	if !ok {
		return nil
	}
	os.Unsetenv(readyVariable)
	var info syscall.Stat_t
	fd, err := strconv.Atoi(mark)
	if err != nil || fd < readyDescriptor || syscall.Fstat(fd, &info) != nil || info.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil // somebody else set the variable
	}
	syscall.CloseOnExec(fd) // plugins must not keep the caller waiting
	return os.NewFile(uintptr(fd), "ready")
}

// leaveCaller lets go of all that a process in the background has of its
// caller: directory, standard streams, and the caller's wait.
func (d *daemonProcess) leaveCaller() error {
	if d.std.ready == nil {
		return nil
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if _, err := d.std.ready.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("tell the caller of the start: %w", err)
	}
	d.std.ready.Close()
	for fd := range 3 {
		if err := syscall.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("close the standard streams: %w", err)
		}
	}
	return nil
}
