// Package disktest is for tests of what becomes of state that a disk does not
// give.
package disktest

import (
	"errors"
	"os"
	"time"
)

// TB is what this needs of a testing.TB.
type TB interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// TakeAway has the reading of a file fail with an input/output error until putBack
// is called.
func TakeAway(t TB, file string) (putBack func()) {
	t.Helper()
	away := file + ".away"
	// Nothing lies at the beginning of a process's memory.
	if err := errors.Join(os.Rename(file, away), os.Symlink("/proc/self/mem", file)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(away, file); err != nil {
			t.Errorf("put a file back: %v", err)
		}
	}
}

// TakeAwayFor is TakeAway for a time.
func TakeAwayFor(t TB, d time.Duration, file string) {
	t.Helper()
	time.AfterFunc(d, TakeAway(t, file))
}
