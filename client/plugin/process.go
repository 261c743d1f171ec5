package plugin

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a plugin that was started, the leader of its own process group.
//
// Most plugins print a line and end within some milliseconds. Such a one is
// waited for by reading its standard output to the end, in the goroutine of its
// Run. Only for one that takes longer, or leaves a pipe open, attend opens a
// process descriptor and starts a reader for each pipe: they cost as much as the
// rest of what a run does, and each descriptor that is open anywhere delays all
// later starts, because the kernel copies and closes the table of them each time.
type process struct {
	pid            int
	tag            tag
	begun          time.Time // its time counts from here
	stdout, stderr capture

	watch   exitWatch // nil until attend
	readers sync.WaitGroup
}

// launch starts a program. dir is where it runs, and what a relative name of
// the program is relative to. Whoever calls it must call finishOutput and, once the plugin
// has ended, reap.
func (r *Runner) launch(program string, words, env []string, dir string, limit int) (*process, error) {
	var pipes [2][2]int
	for i := range pipes {
		if err := syscall.Pipe2(pipes[i][:], syscall.O_CLOEXEC); err != nil {
			closePipes(pipes[:i])
			return nil, os.NewSyscallError("pipe", err)
		}
	}
	// Only our end: the plugin must find a pipe that blocks when it is full.
	_ = syscall.SetNonblock(pipes[0][0], true)
	_ = syscall.SetNonblock(pipes[1][0], true)
	pid, tag, err := r.fork(program, words, &syscall.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []uintptr{r.null.Fd(), uintptr(pipes[0][1]), uintptr(pipes[1][1])},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		closePipes(pipes[:])
		return nil, err
	}
	_ = syscall.Close(pipes[0][1])
	_ = syscall.Close(pipes[1][1])
	return &process{
		pid:    pid,
		tag:    tag,
		stdout: capture{fd: pipes[0][0], buffers: r.buffers, limit: limit},
		stderr: capture{fd: pipes[1][0], buffers: r.buffers, limit: limit},
	}, nil
}

// fork starts a program with a tag of its own.
func (r *Runner) fork(program string, words []string, attr *syscall.ProcAttr) (pid int, t tag, err error) {
	if r.tags {
		tagging.Lock() // costs nothing: the runtime starts one process at a time
		defer tagging.Unlock()
		t = nextTag()
	}
	pid, err = syscall.ForkExec(program, words, attr)
	return pid, t, err
}

func closePipes(pipes [][2]int) {
	for _, p := range pipes {
		_ = syscall.Close(p[0])
		_ = syscall.Close(p[1])
	}
}

// signalGroup reaches the plugin and whatever it started that did not leave its
// group. The plugin must not be reaped yet, see exitWatch.
func (p *process) signalGroup(sig syscall.Signal) {
	// ESRCH cannot be, EPERM can: a set-uid plugin. Nothing can be done then,
	// and the text of the outcome says that the process is still there.
	_ = syscall.Kill(-p.pid, sig)
}

// endsSoon waits for a plugin that closes its output and ends before that time,
// and then returns true.
func (p *process) endsSoon(before time.Time) bool {
	p.stdout.poll()
	p.stdout.expire(before)
	p.stdout.read()
	p.stderr.drain(readSize)
	if !p.stdout.ended || !p.stderr.ended {
		return false
	}
	// A process that ends closes its files just before it is gone.
	for range 10 {
		if gone, _ := ended(unix.P_PID, p.pid, unix.WNOHANG); gone {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// attend prepares for a longer wait: for the end of the process, with both
// pipes being read meanwhile.
func (p *process) attend(watch exitWatch) {
	p.watch = watch
	for _, c := range []*capture{&p.stdout, &p.stderr} {
		if !c.ended {
			c.poll()
			c.expire(time.Time{})
			p.readers.Go(c.read)
		}
	}
}

// awaitEnd waits until the plugin has ended, and then returns true, or until its
// time is over or ctx ends.
func (p *process) awaitEnd(ctx context.Context, timeout time.Duration, start time.Time) bool {
	if timeout > 0 {
		p.watch.expire(start.Add(timeout))
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		p.watch.expire(time.Unix(1, 0))
	})
	gone := p.watch.await()
	if !stop() {
		<-interrupted // so that it cannot cut short the waits that follow
	}
	return gone
}

// finishOutput waits for the readers until the pipes end, at the longest until
// that time, and closes the pipes. Only then the output is complete.
func (p *process) finishOutput(until time.Time) {
	p.stdout.expire(until)
	p.stderr.expire(until)
	p.readers.Wait()
	p.stdout.close()
	p.stderr.close()
}

// terminate asks the group, and what left it, to end, makes it end when the grace
// is over, and takes the output until then. It returns false where the plugin survives even
// that, because it hangs inside the kernel.
func (p *process) terminate(grace time.Duration) bool {
	over := time.Now().Add(grace)
	p.signalGroup(syscall.SIGTERM)
	p.tag.signalEscaped(p.pid, syscall.SIGTERM)
	p.watch.expire(over)
	gone := p.watch.await()
	if !gone {
		p.signalGroup(syscall.SIGKILL)
		over = time.Now().Add(killWait)
		p.watch.expire(over)
		gone = p.watch.await()
		over = time.Now().Add(min(grace, linger))
	}
	// What the plugin started has the rest of the grace to end on its own; that
	// it has ended shows by the end of the pipes.
	p.finishOutput(over)
	p.signalGroup(syscall.SIGKILL)
	p.tag.endEscaped(p.pid, over)
	return gone
}

// output is what the plugin says: standard error counts only where standard
// output has nothing but newlines. The readers must have ended.
func (p *process) output() *capture {
	if p.stdout.truncated() || len(bytes.Trim(p.stdout.kept, "\n")) > 0 {
		return &p.stdout
	}
	return &p.stderr
}

// reap takes the exit status of a plugin that has ended, and ends the watch.
func (p *process) reap() (syscall.WaitStatus, error) {
	if p.watch != nil {
		p.watch.close()
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
		if err != syscall.EINTR {
			return status, os.NewSyscallError("wait", err)
		}
	}
}
