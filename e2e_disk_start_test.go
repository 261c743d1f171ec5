//go:build e2e

package main

import (
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
			c := newCore(t)
			p := newPair(t, c.path, "nagios")
			disk := filepath.Join(p.dir, "client")
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
			p.addCheck("disk", map[string]any{"check_description": "disk", "check_hostname": "h", "check_type": "service_check",
				"interval": 0.5, "command": "/bin/sh -c 'echo DISK CRITICAL; exit 2'"})
			p.startServer()
			p.startClient()
			for range 3 {
				c.await(";h;disk;2;DISK CRITICAL")
			}
			if name == "read-only" { // no socket can be made there
				if !strings.Contains(p.client.words(), "results are kept in memory only") {
					t.Errorf("the log says\n%s", p.client.words())
				}
				return
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				code, stdout, stderr := program(t, "", "massive-passive-status", "--state-dir", disk, "--critical", "1h")
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
