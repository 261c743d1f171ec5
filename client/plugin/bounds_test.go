package plugin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow is what a noisy machine may add to a run.
const slow = 5 * time.Second

// stat is what the tests want to know of /proc/PID/stat.
type stat struct {
	pid, parent, group int
	state              string
}

// processes returns all processes that are in a group or children of a process.
func processes(t testing.TB, match func(stat) bool) []stat {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []stat
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		var s stat
		begin, rest := data[:bytes.IndexByte(data, ' ')], data[bytes.LastIndexByte(data, ')')+1:]
		s.pid, _ = strconv.Atoi(string(begin))
		if _, err := fmt.Sscan(string(rest), &s.state, &s.parent, &s.group); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if match(s) {
			found = append(found, s)
		}
	}
	return found
}

func children(t testing.TB) []stat {
	return processes(t, func(s stat) bool { return s.parent == os.Getpid() })
}

// eventually waits for a state of the system that nothing tells us of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(4 * slow); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", 4*slow, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// wantGroupGone fails the test if a process of the group goes on running.
func wantGroupGone(t testing.TB, group int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the end of process group %d", group), func() bool {
		return len(processes(t, func(s stat) bool { return s.group == group && s.state != "Z" })) == 0
	})
}

// firstNumber is the number in the first line that begins with one.
func firstNumber(t testing.TB, output []byte) int {
	t.Helper()
	for line := range strings.Lines(string(output)) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			return n
		}
	}
	t.Fatalf("no process number in %q", output)
	return 0
}

func TestTimeout(t *testing.T) {
	const limit = time.Second
	for _, c := range []struct {
		name, script string
		atLeast      time.Duration // after the limit
		atMost       time.Duration
		last         string
	}{
		{"ends on SIGTERM", "trap 'echo bye; exit 0' TERM; echo $$; sleep 60 & wait", 0, shortGrace, "\nbye"},
		{"ignores SIGTERM", "trap '' TERM; echo $$; sleep 60", shortGrace, shortGrace + killWait, ""},
		{"child ignores SIGTERM", "(trap '' TERM; sleep 60) & echo $$; sleep 60", shortGrace, shortGrace + killWait, ""},
		{"quiet child ignores SIGTERM", "(trap '' TERM; exec sleep 60 >/dev/null 2>&1) & echo $$; sleep 60", 0, shortGrace, ""},
		{"is stopped", "echo $$; kill -STOP $$", shortGrace, shortGrace + killWait, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, shortGrace)
			o := r.Run(context.Background(), Spec{Command: script(t, c.script), Timeout: limit})
			group := firstNumber(t, o.Output)
			want := fmt.Sprintf("UNKNOWN: plugin \"/bin/sh\" did not end within its time limit of 1s\n%d%s", group, c.last)
			if o.Code != 3 || !o.TimedOut() || string(o.Output) != want {
				t.Errorf("got %d %s %q, want 3 timeout %q", o.Code, o.Trouble, o.Output, want)
			}
			if took := o.Finish.Sub(o.Start); took < limit+c.atLeast || took > limit+c.atMost+slow {
				t.Errorf("took %v, want %v to %v after the limit of %v", took, c.atLeast, c.atMost, limit)
			}
			wantGroupGone(t, group)
		})
	}
}

func TestGrandchildHoldsNothingUp(t *testing.T) {
	for _, c := range []struct {
		name, script, want string
		timeout, atMost    time.Duration
	}{
		{"keeps the pipe", "sleep 61 & echo $!; echo OK", "OK", 0, linger},
		{"keeps writing", "sh -c 'echo $$; while :; do echo noise; done' & echo OK", "noise", 0, linger},
		{"left the group, plugin ends", "setsid sleep 62 & echo $!; echo OK", "OK", 0, linger},
		{"left the group, plugin hangs", "setsid sleep 63 & echo $!; echo OK; sleep 60", "OK", time.Second, time.Second + shortGrace},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, shortGrace)
			o := r.Run(context.Background(), Spec{Command: script(t, c.script), Timeout: c.timeout})
			// After a time-out it is ended, and gone once the system has buried it.
			if pid := firstNumber(t, o.Output); syscall.Kill(pid, syscall.SIGKILL) != nil && c.timeout == 0 {
				t.Errorf("process %d, which the plugin left behind, is gone", pid)
			}
			if took := o.Finish.Sub(o.Start); took > c.atMost+slow {
				t.Errorf("took %v, want at most %v", took, c.atMost)
			}
			if !bytes.Contains(o.Output, []byte("\n"+c.want)) || (o.Code == 0) != (c.timeout == 0) {
				t.Errorf("got %d %s %.200q, want output with %q", o.Code, o.Trouble, o.Output, c.want)
			}
		})
	}
}

func TestStop(t *testing.T) {
	r := newRunner(t, shortGrace)
	ctx, cancel := context.WithCancel(context.Background())
	fifo := filepath.Join(t.TempDir(), "started")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stopper := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(fifo) // ends when the plugin has opened and closed it
		cancel()
		stopper <- err
	}()
	o := r.Run(ctx, Spec{Command: script(t, "echo $$; : > "+fifo+"; sleep 60"), Timeout: time.Minute})
	if err := <-stopper; err != nil {
		t.Fatal(err)
	}
	if o.Code != 3 || o.Trouble != Stopped || !strings.Contains(string(o.Output), "was stopped after") {
		t.Errorf("got %d %s %q, want 3 stopped", o.Code, o.Trouble, o.Output)
	}
	wantGroupGone(t, firstNumber(t, o.Output))
	o = r.Run(ctx, Spec{Command: script(t, "echo ran")})
	if o.Trouble != Stopped || strings.Contains(string(o.Output), "ran") {
		t.Errorf("after the end of its context: %s %q", o.Trouble, o.Output)
	}
}

func TestFlood(t *testing.T) {
	r := newRunner(t, shortGrace)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o := r.Run(context.Background(), Spec{Command: script(t, "head -c 100000000 /dev/zero | tr '\\0' x; exit 1")})
	runtime.ReadMemStats(&after)
	note := "... [output cut at 1048576 bytes]"
	if want := strings.Repeat("x", 1<<20-len(note)) + note; o.Code != 1 || !o.Truncated || string(o.Output) != want {
		t.Errorf("code %d, truncated %v, %d bytes that end in %q", o.Code, o.Truncated, len(o.Output), o.Output[max(0, len(o.Output)-50):])
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 24<<20 {
		t.Errorf("100 MB of output made the heap grow by %d bytes", grown)
	}
	o = r.Run(context.Background(), Spec{Command: script(t, "yes"), Timeout: 300 * time.Millisecond, MaxOutput: 1000})
	if !o.TimedOut() || !o.Truncated || len(o.Output) != 1000 || !bytes.HasSuffix(o.Output, []byte("... [output cut at 1000 bytes]")) {
		t.Errorf("endless output: %s, %d bytes %q", o.Trouble, len(o.Output), o.Output)
	}
	o = r.Run(context.Background(), Spec{Command: script(t, "head -c 10000000 /dev/zero >&2; echo OK")})
	if string(o.Output) != "OK" || o.Truncated || o.Trouble != None {
		t.Errorf("flood on standard error: %s %.100q", o.Trouble, o.Output)
	}
}

func threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// TestThousandAtOnce holds a thousand plugins in a read until all of them run.
func TestThousandAtOnce(t *testing.T) {
	const count = 1000
	r := newRunner(t, 0)
	fifo := filepath.Join(t.TempDir(), "hold")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := list(t, "/bin/cat", fifo)
	before := threads(t)
	var runs sync.WaitGroup
	for range count {
		runs.Go(func() {
			if o := r.Run(context.Background(), Spec{Command: cmd}); o.Code != 0 || len(o.Output) != 0 { // however long it takes to start them all
				t.Errorf("%d %s %q", o.Code, o.Trouble, o.Output)
			}
		})
	}
	for there := 0; there < count; {
		// A busy machine starts some ten in a second: as long as more come, all is well.
		eventually(t, "more plugins at once", func() bool { return len(children(t)) > there })
		there = len(children(t))
	}
	// A thread for each would be a thousand. The runtime starts one for each fork
	// that waits for a processor, and ends none: on a busy machine these were 170.
	if n := threads(t); n > before+count/2 {
		t.Errorf("%d plugins at once take %d threads, %d before", count, n, before)
	}
	if err := hold.Close(); err != nil { // the last writer: each cat comes to its end
		t.Fatal(err)
	}
	runs.Wait()
}

func openFiles(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// TestLeavesNothing goes through every way that a run can end, many times.
func TestLeavesNothing(t *testing.T) {
	r := newRunner(t, 50*time.Millisecond)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	specs := []Spec{
		{Command: script(t, "echo OK")},
		{Command: script(t, "echo $((1/0)); kill -SEGV $$")},
		{Command: script(t, "sleep 60"), Timeout: 20 * time.Millisecond},
		{Command: script(t, "trap '' TERM; sleep 60"), Timeout: 20 * time.Millisecond},
		{Command: list(t, "/no/such/check")},
		{Command: list(t, place(t, "script", "exit 1\n", 0o755))},
		{Command: script(t, "echo"), Dir: "/no/dir"},
		{Command: script(t, "yes"), Timeout: 20 * time.Millisecond, MaxOutput: 100},
	}
	// The first runs open what stays open: the poller, the threads.
	r.Run(context.Background(), specs[0])
	r.Run(cancelled, specs[0])
	files, routines := openFiles(t), runtime.NumGoroutine()
	var runs sync.WaitGroup
	for range 8 {
		runs.Go(func() {
			for range 6 {
				for _, s := range specs {
					r.Run(context.Background(), s)
				}
			}
		})
	}
	runs.Wait()
	if left := children(t); len(left) > 0 {
		t.Errorf("children left: %+v", left)
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d open files, %d before", n, files)
	}
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= routines })
}
