package app

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever can open the pidfile can lock it, and so keep the daemon from starting.
func TestNobodyElseCanOpenThePidfile(t *testing.T) {
	for name, stale := range map[string]bool{"new": false, "stale": true} {
		path := filepath.Join(t.TempDir(), "pid")
		if stale {
			if err := os.WriteFile(path, []byte("999999999\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := lockPidfile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: its mode is %v, %v", name, info.Mode(), err)
		}
		p.remove()
	}
}

// A lock without a number is no running daemon, and is called what it is.
func TestAPidfileThatAStrangerHasLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if _, err := lockPidfile(path); err == nil || !strings.Contains(err.Error(), "another process has it locked") {
		t.Errorf("got %v", err)
	}
}

// Root must not write to another's file by a name that somebody gave it.
func TestALogFileWithAnotherNameIsRefused(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	link := victim + ".log"
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(victim, link); err != nil {
		t.Fatal(err)
	}
	if f, err := openLogFile(link); err == nil {
		f.Close()
		t.Error("a hard link was opened")
	}
	if err := os.Remove(victim); err != nil {
		t.Fatal(err)
	}
	f, err := openLogFile(link)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
