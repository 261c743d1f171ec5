package plugin

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultGrace is the time between SIGTERM and SIGKILL.
	DefaultGrace = 2 * time.Second
	// DefaultMaxOutput is how much of a plugin's output is kept: 1 MiB.
	DefaultMaxOutput = 1 << 20

	// linger is how long a run waits for the end of the output when the plugin
	// has ended and something that it started holds the pipe open. All that the
	// plugin itself wrote is in the pipe by then.
	linger = 200 * time.Millisecond
	// killWait is how long a plugin may take to vanish after SIGKILL.
	killWait = time.Second
	// brief is how long a plugin may take before it is attended, see process.
	// The end of a Run's context is not noticed earlier, and a plugin that fills
	// the pipe of its standard error stands still until then.
	brief = 100 * time.Millisecond
)

// Spec is one run of a plugin.
type Spec struct {
	Command Command
	// Dir is where the plugin runs; empty means /.
	Dir string
	// Timeout is how long the plugin may take; 0 means without limit.
	Timeout time.Duration
	// MaxOutput is how many bytes of output are kept, the note about what was
	// cut included; 0 means DefaultMaxOutput.
	MaxOutput int
	// Key names what is run, and MaxStuck is how many of it may be there that
	// could not be killed: with more it is not started. 0 means without limit.
	Key      string
	MaxStuck int
}

// Outcome is what became of a run.
type Outcome struct {
	// Code is the state: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
	Code int
	// Output is what the plugin printed on standard output, or, where that is
	// empty, on standard error, without the newlines at its end and otherwise
	// byte for byte. Where Trouble is not None a line before it says what went
	// wrong.
	Output []byte
	// Stderr is what was kept of standard error, whatever Output is.
	Stderr        []byte
	Start, Finish time.Time
	// Truncated says that some output is not in Output.
	Truncated bool
	Trouble   Trouble
}

// TimedOut says that the plugin was ended because its time was over.
func (o Outcome) TimedOut() bool { return o.Trouble == Timeout }

// Runner runs plugins, any number at once. It holds what they share.
type Runner struct {
	grace   time.Duration
	null    *os.File
	buffers *readBuffers

	ask func(path string) // has its file system answer; a test may have it take long

	tags bool // runs have one each

	// Programs that ran when they were last to, see beingReplaced.
	thereMu sync.Mutex
	there   map[string]bool

	// Plugins that SIGKILL did not end are waited for here.
	mu      sync.Mutex
	stuck   map[*process]string // to the Key of its run
	silent  map[string]int      // runs, by their Key, that a file system has not answered
	waiters sync.WaitGroup
}

// New makes a Runner. grace is the time that a plugin has between SIGTERM and
// SIGKILL; 0 means DefaultGrace. It fails where /dev/null cannot be opened.
func New(grace time.Duration) (*Runner, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open standard input for plugins: %w", err)
	}
	if grace == 0 {
		grace = DefaultGrace
	}
	return &Runner{grace: grace, null: null, buffers: newReadBuffers(), ask: ask, stuck: map[*process]string{}, silent: map[string]int{}, there: map[string]bool{}, tags: canTag()}, nil
}

// Close ends the waiting for plugins that could not be killed and gives back
// what the Runner holds. No Run may be under way or follow.
func (r *Runner) Close() error {
	r.mu.Lock()
	for p := range r.stuck {
		p.watch.expire(time.Unix(1, 0))
	}
	r.mu.Unlock()
	r.waiters.Wait()
	return r.null.Close()
}

// Stuck returns how many plugins outlived SIGKILL and are still there: held in
// the kernel by a disk, a network file system or a driver, or, where the client
// is not root, running as another user.
func (r *Runner) Stuck() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.stuck)
}

// heldUp is the verdict on a run that others which cannot be killed leave no
// room for.
func (r *Runner) heldUp(s Spec) verdict {
	if s.MaxStuck == 0 {
		return verdict{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var pids []int
	for p, key := range r.stuck {
		if key == s.Key {
			pids = append(pids, p.pid)
		}
	}
	switch {
	case len(pids)+r.silent[s.Key] < s.MaxStuck:
		return verdict{}
	case len(pids) == 0:
		return fault(Stuck, "not started: the file system of its program or directory still does not answer")
	}
	slices.Sort(pids)
	return fault(Stuck, "not started: an earlier run cannot be killed and is still there (held in the kernel, or running as another user): process %s",
		strings.Trim(fmt.Sprint(pids), "[]"))
}

// Run runs a plugin and waits for it. It does not fail: whatever happens is an
// Outcome, with a text for whoever looks at the state of the check. When ctx
// ends first the plugin is ended as by a time-out, and Trouble is Stopped.
func (r *Runner) Run(ctx context.Context, s Spec) Outcome {
	if s.Dir == "" {
		s.Dir = "/"
	}
	if s.MaxOutput <= 0 {
		s.MaxOutput = DefaultMaxOutput
	}
	o := Outcome{Start: time.Now()}
	p, v := r.start(ctx, s)
	var output *capture
	if v.trouble == None {
		v = r.supervise(ctx, p, s, p.begun)
		output = p.output()
		o.Stderr = p.stderr.kept
	} else {
		output = &capture{}
	}
	o.Finish = time.Now()
	o.Code, o.Trouble = v.code, v.trouble
	o.Output, o.Truncated = compose(v.text, output.kept, s.MaxOutput, output.truncated())
	return o
}

// supervise waits for the end of a plugin, or brings it about.
func (r *Runner) supervise(ctx context.Context, p *process, s Spec, start time.Time) verdict {
	within := brief
	if s.Timeout > 0 {
		within = min(within, s.Timeout)
	}
	gone := p.endsSoon(start.Add(within))
	if !gone {
		p.attend(newExitWatch(p.pid))
		gone = p.awaitEnd(ctx, s.Timeout, start)
	}
	return r.conclude(ctx, p, s, start, gone)
}

// conclude takes the verdict on a plugin that has ended, or ends it.
func (r *Runner) conclude(ctx context.Context, p *process, s Spec, start time.Time, gone bool) verdict {
	if gone {
		p.finishOutput(time.Now().Add(linger))
		status, err := p.reap()
		return judge(s.Command, status, err)
	}
	v := overrun(ctx, s, time.Since(start))
	if p.terminate(r.grace) {
		_, _ = p.reap() // how it died is our doing
		return v
	}
	r.keepStuck(p, s.Key)
	v.text += fmt.Sprintf(", and cannot be killed: process %d is still there (held in the kernel, or running as another user)", p.pid)
	return v
}

// keepStuck waits in the background for a plugin that could not be killed.
func (r *Runner) keepStuck(p *process, key string) {
	r.mu.Lock()
	r.stuck[p] = key
	r.mu.Unlock()
	p.watch.expire(time.Time{})
	r.waiters.Go(func() {
		if p.watch.await() {
			_, _ = p.reap()
		} else {
			p.watch.close()
		}
		r.mu.Lock()
		delete(r.stuck, p)
		r.mu.Unlock()
	})
}
