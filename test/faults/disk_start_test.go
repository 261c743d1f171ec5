//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A disk that is full or read-only at the start silences no check, not even
// the one that reports it: results go from memory, and status says so.
func TestE2EAClientStartsOnABadDisk(t *testing.T) {
	for name, spoil := range map[string]func(disk string) error{
		"full": func(disk string) error {
			err := os.WriteFile(filepath.Join(disk, "fill"), make([]byte, 1<<20), 0o600)
			if err == nil {
				t.Error("the small file system took more than it has")
			}
			return nil
		},
		"read-only": func(disk string) error { return unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, "") },
	} {
		t.Run(name, func(t *testing.T) {
			c := rig.NewCore(t)
			p := rig.NewPair(t, c.Path, "nagios")
			disk := filepath.Join(p.Dir, "client")
			if err := os.Mkdir(disk, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
				t.Fatalf("mount a small file system (this test needs root): %v", err)
			}
			t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
			if err := spoil(disk); err != nil {
				t.Fatal(err)
			}
			p.AddCheck("disk", map[string]any{"check_description": "disk", "check_hostname": "h", "check_type": "service_check",
				"interval": 0.5, "command": "/bin/sh -c 'echo DISK CRITICAL; exit 2'"})
			p.StartServer()
			p.StartClient()
			for range 3 {
				c.Await(";h;disk;2;DISK CRITICAL")
			}
			if name == "read-only" { // no socket can be made there
				if !strings.Contains(p.Client.Words(), "results are kept in memory only") {
					t.Errorf("the log says\n%s", p.Client.Words())
				}
				// When it can be written again, the client goes over to it by itself.
				if err := unix.Mount("", disk, "", unix.MS_REMOUNT, ""); err != nil {
					t.Fatal(err)
				}
				segments := func() int {
					files, _ := filepath.Glob(filepath.Join(disk, "journal", "*.seg"))
					return len(files)
				}
				for deadline := time.Now().Add(3 * time.Minute); segments() == 0; time.Sleep(100 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("the client did not go over to the disk:\n%s", p.Client.Words())
					}
				}
				if !strings.Contains(p.Client.Words(), "results are kept on its disk") {
					t.Errorf("the log says\n%s", p.Client.Words())
				}
				for range 3 {
					c.Await(";h;disk;2;DISK CRITICAL")
				}
				return
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				code, stdout, stderr := rig.Program(t, "", "massive-passive-status", "--state-dir", disk, "--critical", "1h")
				if code == 2 && strings.Contains(stdout, "kept in memory only") {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("status: %d %s%s", code, stdout, stderr)
				}
			}
		})
	}
}
