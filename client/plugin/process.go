package plugin

import (
	"bytes"
	"os"
	"sync"
	"syscall"
	"time"
)

// process is a plugin that was started, the leader of its own process group.
type process struct {
	pid            int
	watch          exitWatch
	stdout, stderr capture
	readers        sync.WaitGroup
}

// launch starts a program. dir is where it runs, and what a relative name of
// the program is relative to. The readers of its output run from then on until
// their pipe ends or expireOutput says so.
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
	pidfd := -1
	pid, err := syscall.ForkExec(program, words, &syscall.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []uintptr{r.null.Fd(), uintptr(pipes[0][1]), uintptr(pipes[1][1])},
		Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd},
	})
	if err != nil {
		closePipes(pipes[:])
		return nil, err
	}
	_ = syscall.Close(pipes[0][1])
	_ = syscall.Close(pipes[1][1])
	p := &process{pid: pid, watch: newExitWatch(pid, pidfd)}
	p.stdout = capture{pipe: os.NewFile(uintptr(pipes[0][0]), "stdout"), buffers: r.buffers, limit: limit}
	p.stderr = capture{pipe: os.NewFile(uintptr(pipes[1][0]), "stderr"), buffers: r.buffers, limit: limit}
	p.readers.Go(p.stdout.read)
	p.readers.Go(p.stderr.read)
	return p, nil
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

// finishOutput waits for the readers until the pipes end, at the longest until
// that time, and closes the pipes.
func (p *process) finishOutput(until time.Time) {
	p.stdout.expire(until)
	p.stderr.expire(until)
	p.readers.Wait()
	_ = p.stdout.pipe.Close()
	_ = p.stderr.pipe.Close()
}

// terminate asks the group to end, makes it end when the grace is over, and
// takes the output until then. It returns false where the plugin survives even
// that, because it hangs inside the kernel.
func (p *process) terminate(grace time.Duration) bool {
	over := time.Now().Add(grace)
	p.signalGroup(syscall.SIGTERM)
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
	p.watch.close()
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
		if err != syscall.EINTR {
			return status, os.NewSyscallError("wait", err)
		}
	}
}
