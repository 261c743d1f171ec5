package status

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func clientPage() *Page {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Page{Role: "client", Version: "1.2", PID: 77, StateDir: "/state", Started: at.Add(-26 * time.Hour), At: at, Uptime: 26 * 3600,
		Journal: Journal{Depth: 9, Bytes: 5 << 20, MaxBytes: 1 << 30, OldestAge: 123},
		Destinations: []Destination{
			{Name: "core", Target: "10.0.0.1:5678", Delivered: 1000, Dropped: map[string]uint64{}, Rejected: map[string]uint64{"denied": 3}},
			{Name: "two", Target: "10.0.0.2:5678", Waiting: "10.0.0.2:5678 refused the connection", Depth: 9, OldestAge: 123,
				GivenUp: map[string]uint64{"over --journal-max-age": 4}, Rejected: map[string]uint64{}},
		},
		Client: &Client{Checks: 12, Running: 2, Started: 5000, Late: 1, Latest: 3.2, TimedOut: 6,
			Skipped: map[string]uint64{"max_instances": 5, "misfire_grace_time": 2}, BadFiles: []string{}},
	}
}

// keeping answers in dir until the test ends or stop is called.
func keeping(t *testing.T, dir string, failed func(error)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		keep(ctx, dir, clientPage, func() {}, failed)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// await fetches until somebody answers.
func await(t *testing.T, dir string) *Page {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		page, err := Fetch(t.Context(), dir)
		if err == nil {
			return page
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func noFailure(t *testing.T) func(error) {
	return func(err error) { t.Errorf("the socket failed: %v", err) }
}

func TestAPageTravelsWhole(t *testing.T) {
	dir := t.TempDir()
	stop := keeping(t, dir, noFailure(t))
	if got := await(t, dir); !reflect.DeepEqual(got, clientPage()) {
		t.Errorf("got %+v", got)
	}
	info, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	stop()
	if _, err := os.Lstat(filepath.Join(dir, SocketName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end the socket is still there: %v", err)
	}
}

func TestWhoAsksAndGoesAwayHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	keeping(t, dir, noFailure(t))
	await(t, dir)
	for range 10 {
		conn, err := net.Dial("unix", filepath.Join(dir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	await(t, dir)
}

func TestASocketLeftByAKilledProcessIsReplaced(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	_, err = Fetch(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "killed") || !strings.Contains(err.Error(), SocketName) {
		t.Errorf("before: %v", err)
	}
	keeping(t, dir, noFailure(t))
	await(t, dir)
}

func TestAPathTooLongForASocketWorks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop := keeping(t, dir, noFailure(t))
	await(t, dir)
	stop()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var silent *SilentError
	if _, err := Fetch(t.Context(), dir); !errors.As(err, &silent) || !silent.Absent() {
		t.Errorf("after the end: %v", err)
	}
}

// What is in the way of the socket is named once and left alone.
func TestWhatIsNoSocketStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 10)
	stop := keeping(t, dir, func(err error) { failed <- err })
	if err := <-failed; !strings.Contains(err.Error(), "no socket") {
		t.Errorf("said: %v", err)
	}
	stop()
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("the file: %q, %v", data, err)
	}
}

func TestWhyNobodyAnswers(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fs.ErrNotExist, "no client or server is running"},
		{syscall.ECONNREFUSED, "no process is running behind"},
		{syscall.EACCES, "no permission"},
		{context.DeadlineExceeded, "no answer from"},
	} {
		err := &SilentError{"/state/status.sock", &net.OpError{Op: "dial", Err: c.err}}
		if text := err.Error(); !strings.Contains(text, c.want) || !strings.Contains(text, "/state/status.sock") {
			t.Errorf("%v: %s", c.err, text)
		}
	}
}

func TestASignalWritesThePage(t *testing.T) {
	asked := make(chan os.Signal)
	lines := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	r := &Reporter{Dir: t.TempDir(), Asked: asked, Page: clientPage, Line: func(s string) { lines <- s }, Failed: noFailure(t)}
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	asked <- syscall.SIGUSR1
	if first := <-lines; !strings.Contains(first, "massive-passive client") {
		t.Errorf("the first line is %q", first)
	}
	cancel()
	<-done
	close(lines)
	for line := range lines {
		if strings.TrimSpace(line) == "" || strings.Contains(line, "\n") {
			t.Errorf("a line of the log is %q", line)
		}
	}
}
