package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	settle = 30 * time.Millisecond
	// deadline is for what is bound to happen.
	deadline = 10 * time.Second
)

// state is what changed found when it was called.
type state struct {
	at      time.Time
	entries int
}

// start watches path until the test ends. The result gets a value at each call
// of changed; the first call has been received.
func start(t *testing.T, path string, settle time.Duration) <-chan state {
	t.Helper()
	calls := make(chan state, 10000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Dir(ctx, path, settle, func() {
			entries, _ := os.ReadDir(path) // it need not be there
			calls <- state{time.Now(), len(entries)}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Dir: %v", err)
		}
	})
	wantCall(t, calls)
	return calls
}

func wantCall(t *testing.T, calls <-chan state) state {
	t.Helper()
	select {
	case s := <-calls:
		return s
	case <-time.After(deadline):
		t.Fatal("changed was not called")
		return state{}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestEachKindOfChangeInTheDirectory(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, filepath.Join(other, "outside"), "x")
	calls := start(t, dir, settle)
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"added", func() error { return os.WriteFile(in("a"), nil, 0o600) }},
		{"changed", func() error { return os.WriteFile(in("a"), []byte("longer"), 0o600) }},
		{"made unreadable", func() error { return os.Chmod(in("a"), 0) }},
		{"renamed", func() error { return os.Rename(in("a"), in("b")) }},
		{"renamed into it", func() error { return os.Rename(filepath.Join(other, "outside"), in("c")) }},
		{"linked", func() error { return os.Link(in("b"), in("d")) }},
		{"symlinked", func() error { return os.Symlink("b", in("e")) }},
		{"renamed out of it", func() error { return os.Rename(in("c"), filepath.Join(other, "outside")) }},
		{"removed", func() error { return os.Remove(in("e")) }},
		{"directory made", func() error { return os.Mkdir(in("f"), 0o700) }},
	} {
		must(t, change.do())
		after := time.Now()
		for wantCall(t, calls).at.Before(after) { // told of the half of it
		}
		t.Log(change.name)
	}
}

// TestStorm makes 1,000 changes at once: they end in few calls, and the last one
// finds all of them.
func TestStorm(t *testing.T) {
	dir := t.TempDir()
	calls := start(t, dir, 100*time.Millisecond)
	begin := time.Now()
	for i := range 1000 {
		path := filepath.Join(dir, fmt.Sprint(i))
		write(t, path+".tmp", "x")
		must(t, os.Rename(path+".tmp", path))
	}
	took := time.Since(begin)
	n := 1
	for wantCall(t, calls).entries != 1000 {
		n++
	}
	if limit := 2 + int(took/(100*time.Millisecond)); n > limit {
		t.Errorf("%d calls for changes that took %v, want %d at most", n, took, limit)
	}
}

// TestSteadyStream: changes that do not end do not keep changed from being called.
func TestSteadyStream(t *testing.T) {
	dir := t.TempDir()
	calls := start(t, dir, settle)
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		for i := 0; !stop.Load(); i++ {
			if err := os.WriteFile(filepath.Join(dir, "a"), []byte(fmt.Sprint(i)), 0o600); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 3 {
		wantCall(t, calls)
	}
	stop.Store(true)
	must(t, <-done)
}

// TestPatience is the same by the clock: how long is waited.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &settling{settle: time.Second, timer: time.NewTimer(time.Second)}
		begin := time.Now()
		q.note()
		<-q.timer.C
		if took := time.Since(begin); took != time.Second {
			t.Errorf("one change settles after %v, want 1 s", took)
		}
		q.pending, begin = false, time.Now()
		stream := time.NewTicker(300 * time.Millisecond)
		defer stream.Stop()
		for settled := false; !settled; {
			q.note()
			select {
			case <-stream.C:
			case <-q.timer.C:
				settled = true
			}
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("a stream of changes is waited for for %v, want 10 s", took)
		}
	})
}

// TestOverflow blocks changed while more happens than the kernel keeps events
// for, and then moves the directory: it must be found out.
func TestOverflow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	must(t, os.Mkdir(dir, 0o700))
	enter, leave := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Dir(ctx, dir, settle, func() { enter <- struct{}{}; <-leave }) }()
	<-enter
	flood(t, dir)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Mkdir(dir, 0o700))
	leave <- struct{}{}
	for range 3 { // for what was missed, and then for each change
		select {
		case <-enter:
			leave <- struct{}{}
		case <-time.After(deadline):
			t.Fatal("changed was not called")
		}
		write(t, filepath.Join(dir, "new"), "x")
	}
	cancel()
	for end := false; !end; {
		select {
		case <-enter:
			leave <- struct{}{}
		case err := <-done:
			must(t, err)
			end = true
		}
	}
}

// flood makes more events than the kernel and the watcher keep.
func flood(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	must(t, err)
	kept, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	const read = 4096 // at once, by the watcher
	for range (kept+read)/2 + 1000 {
		must(t, os.Symlink("x", filepath.Join(dir, "a")))
		must(t, os.Remove(filepath.Join(dir, "a")))
	}
}

func TestNothingStaysBehind(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		called := make(chan struct{}, 100)
		done := make(chan error, 1)
		go func() { done <- Dir(ctx, t.TempDir(), time.Millisecond, func() { called <- struct{}{} }) }()
		<-called
		cancel()
		must(t, <-done)
	}
	for end := time.Now().Add(deadline); runtime.NumGoroutine() > goroutines || openFiles(t) > files; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d files, before %d and %d", runtime.NumGoroutine(), openFiles(t), goroutines, files)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// TestConcerns: a busy directory on the way is not mistaken for the one watched.
func TestConcerns(t *testing.T) {
	s := scene{t, t.TempDir()}
	s.mkdir("real", "conf", "sub")
	s.symlink("real", "link")
	to := follow(s.path("link", "conf"))
	if to.target != s.path("real", "conf") {
		t.Fatalf("leads to %q", to.target)
	}
	for path, want := range map[string]concern{
		s.path("real", "conf", "a.cfg"):    inside,
		s.path("real", "conf", "sub"):      inside,
		s.path("real", "conf", "sub", "x"): nothing,
		s.path("real", "conf"):             onTheWay,
		s.path("real"):                     onTheWay,
		s.path("link"):                     onTheWay,
		s.root:                             onTheWay,
		s.path("real", "other"):            nothing,
		s.path("other"):                    nothing,
		filepath.Dir(s.root) + "/sibling":  nothing,
		"":                                 nothing,
	} {
		if got := to.concerns(path); got != want {
			t.Errorf("%q concerns %d, want %d", path, got, want)
		}
	}
}

func TestEndlessSymlinks(t *testing.T) {
	s := scene{t, t.TempDir()}
	s.symlink("b", "a")
	s.symlink("a", "b")
	if to := follow(s.path("a")); to.target != "" || len(to.steps) > 100 {
		t.Errorf("symlinks in a circle lead to %q in %d steps", to.target, len(to.steps))
	}
	calls := start(t, s.path("a"), settle)
	s.remove("b")
	s.mkdir("b")
	wantCall(t, calls)
}

func TestExplain(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOSPC: "fs.inotify.max_user_watches",
		syscall.EMFILE: "fs.inotify.max_user_instances",
	} {
		got := explain(fmt.Errorf("inotify: %w", err))
		if !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v is explained as %v, want %q in it", err, got, want)
		}
	}
}
