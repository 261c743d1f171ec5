package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

func TestWhatIsTheDisksTrouble(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&fs.PathError{Op: "mkdir", Path: "x", Err: syscall.ENOSPC}, true},
		{fmt.Errorf("open: %w", &journal.DiskError{Op: "write", Path: "x", Err: syscall.EROFS}), true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false},
		{&journal.LockedError{Dir: "x", PID: 7}, false},
		{errors.New("another"), false},
	} {
		if got := isDiskTrouble(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A journal in the way of which a file stands, or that another process has
// open, is a mistake that must be mended; results in memory would hide it.
func TestAnOutboxThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	o := DefaultOptions()
	o.StateDir = filepath.Join(dir, "used")
	first, err := openOutbox(o, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer first.journal.Close()
	if _, err := openOutbox(o, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second one: %v", err)
	}
	o.StateDir = filepath.Join(dir, "file")
	if err := os.WriteFile(o.StateDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openOutbox(o, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), o.StateDir) {
		t.Errorf("a file in its place: %v", err)
	}
}
