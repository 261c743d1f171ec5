package journal

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// Who owns what is in the way, and what to do, stands in the message.
func TestARefusedPermissionNamesTheOwner(t *testing.T) {
	dir := t.TempDir()
	refused := &fs.PathError{Op: "open", Path: filepath.Join(dir, "journal", "lock"), Err: fs.ErrPermission}
	err := withOwner(refused, filepath.Join(dir, "journal"))
	me := account(strconv.Itoa(os.Getuid()))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir+" belongs to user "+me) || !strings.Contains(err.Error(), "chown") {
		t.Errorf("said %v", err)
	}
	if other := errors.New("another"); withOwner(other, dir) != other {
		t.Error("an error of another kind was changed")
	}
	if got := account("4000000000"); got != "4000000000" {
		t.Errorf("a user without a name is %q", got)
	}
}

// leaveLocked leaves a journal as a killed process does that was just starting
// a program: locked by a child of its own. letGo ends the child.
func leaveLocked(t *testing.T, dir string) (pid int, letGo func()) {
	t.Helper()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(gone.Process.Pid) + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{f}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return gone.Process.Pid, func() {
		child.Process.Kill()
		child.Wait()
	}
}

func TestTheChildOfAKilledProcessIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	_, letGo := leaveLocked(t, dir)
	const held = 100 * time.Millisecond
	defer time.AfterFunc(held, letGo).Stop()
	begun := time.Now()
	j, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("after %v: %v", time.Since(begun), err)
	}
	if took := time.Since(begun); took < held {
		t.Errorf("opened after %v, while it was locked", took)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheChildOfAKilledProcessThatStays(t *testing.T) {
	dir := t.TempDir()
	pid, letGo := leaveLocked(t, dir)
	defer letGo()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := Open(Options{Dir: dir})
		var locked *LockedError
		if !errors.As(err, &locked) || locked.PID != pid {
			t.Errorf("got %v, want one that names process %d", err, pid)
		}
		if took := time.Since(begun); took < lockPatience {
			t.Errorf("gave up after %v", took)
		}
	})
}
