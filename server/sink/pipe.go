package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// strangerPatience is how long a pipe is not written to that has a reader,
// while no process of the core is seen where one was before.
const strangerPatience = time.Minute

// open opens the pipe, which only succeeds while a core reads from it.
func (c *CommandFile) open() error {
	info, err := os.Stat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: the core is not running, or external commands are switched off", c.Path)
	case err != nil:
		return err
	case info.Mode()&fs.ModeNamedPipe == 0:
		return fmt.Errorf("%s is no named pipe but %s: remove it and restart the core", c.Path, info.Mode())
	}
	pipe, err := os.OpenFile(c.Path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("nobody reads from %s: the core is not running", c.Path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("no permission to write to %s: the server's user must be in the group that owns it", c.Path)
	}
	if err != nil {
		return err
	}
	if info, err = pipe.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		pipe.Close()
		return fmt.Errorf("%s changed while it was opened: %w", c.Path, err)
	}
	c.openPipe = openPipe{pipe: pipe, opened: info, looked: time.Now(),
		watch: coreWatch{user: ownerOf(info), name: c.Dialect.watchName(), config: c.Config, pipe: info},
		spool: spoolDir{path: c.Spool, owner: info, log: c.Log}}
	c.widen()
	c.watch.begin(c.looked)
	if c.watch.seen() {
		c.coreSeen = c.looked
	} else if !c.coreSeen.IsZero() && c.looked.Sub(c.coreSeen) < strangerPatience {
		pipe.Close()
		return fmt.Errorf("%s is held open by a program that is not the core: the core is not running", c.Path)
	}
	return nil
}

// pipeRoom lets the core and us work on without waiting for each other at
// every group, and keeps other writers' commands waiting for less than a second.
const pipeRoom = 256 << 10

// widen gives the pipe more room. Where the system refuses, it stays as it is.
func (c *CommandFile) widen() {
	c.control(func(fd int) {
		if room, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil && room < pipeRoom {
			unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeRoom)
		}
	})
}

// look finds out whether the core that opened the pipe is still there.
func (c *CommandFile) look() error {
	if time.Since(c.looked) < busyTick {
		return nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.Path)
	// What its file system cannot tell now is no news of the core.
	if errors.Is(err, fs.ErrNotExist) || err == nil && !sameCores(info, c.opened) {
		return fmt.Errorf("%s was removed, made anew or given to another user: the core restarted", c.Path)
	}
	gone := false
	c.control(func(fd int) {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(poll, 0)
		gone = err == nil && n > 0 && poll[0].Revents&unix.POLLERR != 0
	})
	if gone {
		return fmt.Errorf("the core closed %s", c.Path)
	}
	if c.spool.lost {
		return fmt.Errorf("%s was removed or replaced: what the core may not have read of it is written again", c.Spool)
	}
	if err := c.ended(); err != nil {
		return err
	}
	return c.lookForCore()
}

// ended tells at once of a core that is seen. Nothing is to be written to the one
// that takes its place before what the old one may have dropped.
func (c *CommandFile) ended() error {
	if c.watch.over() {
		return fmt.Errorf("the core that read from %s ended: what it may have dropped is written again", c.Path)
	}
	return nil
}

// lookForCore looks again for a core that was not seen when the pipe was
// opened. What was written before it was there may have had another reader.
func (c *CommandFile) lookForCore() error {
	if c.watch.seen() {
		c.coreSeen = c.looked
		return nil
	}
	if c.looked.Sub(c.watch.scanned) < watchTick {
		return nil
	}
	if c.watch.begin(c.looked); c.watch.seen() {
		return fmt.Errorf("the core that reads from %s is a new one: what another may have dropped is written again", c.Path)
	}
	return nil
}
