package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	settle = 30 * time.Millisecond
	// deadline is for what is bound to happen.
	deadline = 10 * time.Second
)

// start watches path until the test ends. The result gets a value at each call
// of changed; the first call has been received.
func start(t *testing.T, path string, settle time.Duration) <-chan time.Time {
	t.Helper()
	calls := make(chan time.Time, 10000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Dir(ctx, path, settle, func() { calls <- time.Now() }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Dir: %v", err)
		}
	})
	wantCall(t, calls)
	return calls
}

func wantCall(t *testing.T, calls <-chan time.Time) time.Time {
	t.Helper()
	select {
	case at := <-calls:
		return at
	case <-time.After(deadline):
		t.Fatal("changed was not called")
		return time.Time{}
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
		select {
		case <-calls:
		case <-time.After(deadline):
			t.Errorf("%s: changed was not called", change.name)
		}
	}
}
