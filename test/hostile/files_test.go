package hostile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/disk/disktest"
	"massive-passive/test/rig"
)

// A file server that hangs behind a client's file, and a named pipe in the place
// of another, keep a server neither from its start, nor from locking out another
// client, nor from its end.
func TestFilesThatNeverAnswer(t *testing.T) {
	hung, _ := disktest.Hang(t)
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "pipe"), "nagios")
	in := func(name string) string { return filepath.Join(p.Set.AllowedDir, name) }
	err := errors.Join(os.Symlink(hung, in("hung.pem")), syscall.Mkfifo(in("fifo.pem"), 0o644), os.Symlink(hung, in("client-1.json")))
	if err != nil {
		t.Fatal(err)
	}
	p.StartServer()
	p.AwaitPort()
	await := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.Server.Words(), what); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %s", what, p.Server.Words())
			}
		}
	}
	await("does not answer")
	await("it is a named pipe, not an ordinary file")
	if err := os.Remove(in("client-1.pem")); err != nil {
		t.Fatal(err)
	}
	await(`"certificates":0`)
	p.Server.Stop() // fails where it does not end
}
