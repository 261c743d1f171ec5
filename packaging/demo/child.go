package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// grace is how long a child may take to stop before it is killed.
const grace = 5 * time.Second

// child is a server or client that the demo started.
type child struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended; err is set then
	err     error
}

// start starts a child whose log goes to NAME.log in dir.
func start(name, dir, binary string, args []string) (*child, error) {
	c := &child{name: name, logFile: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of the %s: %w", name, err)
	}
	defer log.Close()
	c.cmd = exec.Command(binary, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, log, log
	// In a group of its own, for Ctrl-C must not reach all at once: the demo
	// stops them in order. Should the demo be killed, the children end too.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	go func() { // ended by stop, which waits for it
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop ends the child: SIGTERM, then after the grace SIGKILL. Only a child
// that had to be killed is an error.
func (c *child) stop(grace time.Duration) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has just ended
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-c.done:
		return nil
	case <-patience.C:
	}
	c.kill()
	return errors.Join(fmt.Errorf("the %s did not stop within %s of SIGTERM and was killed", c.name, grace), c.log())
}

// kill ends the child and all that it started as kill -9 does.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // fails only if it has just ended
	<-c.done
}

// failure says how a child ended that should not have ended, with its log.
func (c *child) failure() error {
	how := "without an error"
	if c.err != nil {
		how = c.err.Error()
	}
	return errors.Join(fmt.Errorf("the %s ended: %s", c.name, how), c.log())
}

// logTail is how much of a log is shown.
const logTail = 8 << 10

// log returns the end of what the child said, to be shown with an error.
func (c *child) log() error {
	data, err := os.ReadFile(c.logFile)
	if err != nil {
		return fmt.Errorf("read the log of the %s: %w", c.name, err)
	}
	data = bytes.TrimSpace(data[max(0, len(data)-logTail):])
	if len(data) == 0 {
		return fmt.Errorf("the %s said nothing", c.name)
	}
	return fmt.Errorf("the %s said:\n%s", c.name, data)
}
