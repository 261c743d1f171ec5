package plugin

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Trouble is the kind of what went wrong with a run, for counters and logs.
type Trouble uint8

// What can go wrong. All but None go with the state UNKNOWN.
const (
	None          Trouble = iota // the plugin ran and said 0 to 3
	Timeout                      // its time was over
	Stopped                      // the context of the run ended
	Signal                       // a signal killed it
	NotFound                     // there is no such program, or its interpreter is missing
	NotExecutable                // there is one, but it cannot be executed
	BadDirectory                 // the directory to run it in is missing or closed
	BadCode                      // its exit code is over 3
	StartFailure                 // the system could not start it
	Stuck                        // earlier runs cannot be killed
)

var troubleNames = [...]string{
	"none", "timeout", "stopped", "signal", "not found", "not executable", "bad directory", "bad code", "start failure", "stuck",
}

// String returns the name used in logs and counters.
func (t Trouble) String() string {
	if int(t) >= len(troubleNames) {
		return fmt.Sprintf("trouble %d", uint8(t))
	}
	return troubleNames[t]
}

// unknown is the exit code and state of that name.
const unknown = 3

// verdict is the state of a run and, where something went wrong, a line that
// says what.
type verdict struct {
	code    int
	trouble Trouble
	text    string
	busy    bool // somebody writes to the program
}

func fault(t Trouble, format string, args ...any) verdict {
	return verdict{code: unknown, trouble: t, text: "UNKNOWN: " + fmt.Sprintf(format, args...)}
}

// judge turns how a plugin ended by itself into a verdict.
func judge(c Command, status syscall.WaitStatus, err error) verdict {
	if err != nil {
		return fault(StartFailure, "the exit code of %s was lost: %v", c.subject(), err)
	}
	if status.Signaled() {
		return fault(Signal, "%s was killed by %s", c.subject(), signalText(status.Signal()))
	}
	code := status.ExitStatus()
	switch {
	case code <= unknown:
		return verdict{code: code}
	case c.byShell && code == 127:
		return fault(NotFound, "exit code 127: the shell did not find a program of %s", c.subject())
	case c.byShell && code == 126:
		return fault(NotExecutable, "exit code 126: the shell could not execute a program of %s", c.subject())
	case c.byShell && code > 128 && unix.SignalName(syscall.Signal(code-128)) != "":
		return fault(Signal, "exit code %d: in %s a program was killed by %s", code, c.subject(), signalText(syscall.Signal(code-128)))
	}
	kind := BadCode
	switch code { // as env ends where a script's first line names it
	case 127:
		kind = NotFound
	case 126:
		kind = NotExecutable
	}
	return fault(kind, "%s ended with exit code %d, plugins end with 0 to 3", c.subject(), code)
}

func signalText(s syscall.Signal) string {
	name := unix.SignalName(s)
	if name == "" {
		return fmt.Sprintf("signal %d", int(s))
	}
	return fmt.Sprintf("signal %d (%s)", int(s), name)
}

// overrun is the verdict on a plugin that did not end by itself.
func overrun(ctx context.Context, s Spec, elapsed time.Duration) verdict {
	if s.Timeout > 0 && elapsed >= s.Timeout || ctx.Err() == nil {
		return fault(Timeout, "%s did not end within its time limit of %s", s.Command.subject(), s.Timeout)
	}
	return fault(Stopped, "%s was stopped after %s, before it ended", s.Command.subject(), elapsed.Round(time.Millisecond))
}
