package plugin

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runs tells whether a process is there and no zombie.
func runs(pid int) bool { return syscall.Kill(pid, 0) == nil && !isZombie(pid) }

// pidIn waits for a file with the number of a process.
func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	eventually(t, "a number in "+path, func() bool {
		text, _ := os.ReadFile(path)
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		pid = n
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return pid
}

// At a time-out everything ends that the run started, wherever it went, and
// nothing that another run left behind or still runs.
func TestATimeoutEndsWhatLeftTheGroup(t *testing.T) {
	if !canTag() {
		t.Skip("this process has a limit of its own")
	}
	if _, err := unix.PidfdOpen(os.Getpid(), 0); err != nil {
		t.Skipf("process descriptors: %v", err)
	}
	const daemon = ` sh -c 'echo $$ >FILE; exec sleep 1000' >/dev/null 2>&1 </dev/null `
	for _, c := range []struct{ name, script string }{
		{"with its parent there", "setsid" + daemon + "& sleep 1000"},
		{"with its parent gone", "(setsid" + daemon + "&); sleep 1000"},
		{"twice over", "(setsid sh -c \"(setsid" + strings.ReplaceAll(daemon, "$$", "\\$\\$") + "&)\" &); sleep 1000"},
		{"holding the output", "(setsid sh -c 'echo $$ >FILE; exec sleep 1000' &); sleep 1000"},
		{"deaf to SIGTERM", "(setsid sh -c 'trap \"\" TERM; echo $$ >FILE; while :; do sleep 1; done' >/dev/null 2>&1 &); sleep 1000"},
		{"of a plugin that ends on SIGTERM", "trap 'exit 0' TERM; (setsid" + daemon + "&); sleep 1000 & wait"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, shortGrace)
			file := filepath.Join(t.TempDir(), "pid")
			// What an earlier run left behind on purpose, as ssh does its master.
			kept := filepath.Join(t.TempDir(), "kept")
			if o := r.Run(t.Context(), Spec{Command: script(t, "(setsid"+strings.ReplaceAll(daemon, "FILE", kept)+"&)"), Timeout: time.Minute}); o.Trouble != None {
				t.Fatalf("%s", o.Output)
			}
			left := pidIn(t, kept)
			defer syscall.Kill(left, syscall.SIGKILL)
			o := r.Run(t.Context(), Spec{Command: script(t, strings.ReplaceAll(c.script, "FILE", file)), Timeout: time.Second})
			if !o.TimedOut() {
				t.Fatalf("%v: %s", o.Trouble, o.Output)
			}
			escaped := pidIn(t, file)
			defer func() {
				if t.Failed() {
					_ = syscall.Kill(escaped, syscall.SIGKILL)
				}
			}()
			eventually(t, "the end of what left the group", func() bool { return !runs(escaped) })
			if !runs(left) {
				t.Error("what an earlier run left behind was ended")
			}
		})
	}
}

// A limit that somebody set is left alone.
func TestNoTagOverALimit(t *testing.T) {
	r := newRunner(t, shortGrace)
	r.tags = false
	o := r.Run(t.Context(), Spec{Command: script(t, "grep -i 'realtime timeout' /proc/self/limits"), Timeout: time.Minute})
	if o.Trouble != None {
		t.Skipf("%s", o.Output)
	}
	p, err := r.launch("/bin/sleep", []string{"sleep", "60"}, nil, "/", DefaultMaxOutput)
	if err != nil {
		t.Fatal(err)
	}
	if p.tag != 0 || p.tag.of(p.pid) || p.tag.signalEscaped(p.pid, 0) != 0 {
		t.Errorf("tag %d", p.tag)
	}
	p.signalGroup(syscall.SIGKILL)
	p.finishOutput(time.Now())
	if _, err := syscall.Wait4(p.pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
}

// Each run has its own tag, and its children bear it.
func TestTags(t *testing.T) {
	if !canTag() {
		t.Skip("this process has a limit of its own")
	}
	r := newRunner(t, shortGrace)
	seen := map[string]bool{}
	for range 20 {
		o := r.Run(t.Context(), Spec{Command: script(t, "ulimit -a >/dev/null; grep 'realtime timeout' /proc/self/limits; true"), Timeout: time.Minute})
		fields := strings.Fields(string(o.Output))
		if len(fields) < 5 || seen[fields[3]] || len(fields[3]) < 19 || fields[4] != "unlimited" {
			t.Fatalf("limits %q", o.Output)
		}
		seen[fields[3]] = true
	}
}
