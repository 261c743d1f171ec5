package disktest

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"syscall"
)

// MountTB is what Hang needs of a testing.TB.
type MountTB interface {
	TB
	TempDir() string
	Cleanup(func())
	Skipf(format string, args ...any)
}

// Hang mounts a file system that never answers, as one of a file server that is
// away, and returns a path in it: whoever looks it up hangs in the kernel. release
// has all who hang get an error from then on. It needs root and FUSE, or skips
// the test.
func Hang(t MountTB) (path string, release func()) {
	t.Helper()
	// Without package os, whose files want to be polled: this one cannot be, before
	// it is mounted.
	device, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	dir := t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := syscall.Mount("hang", dir, "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		syscall.Close(device)
		t.Skipf("FUSE cannot be mounted here: %v", err)
	}
	released := false
	release = func() {
		if !released {
			released = true
			syscall.Close(device) // which ends the session, and so all that waits for it
			syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	}
	t.Cleanup(release)
	if err := greet(device); err != nil {
		t.Fatal("begin a FUSE session: ", err)
	}
	return filepath.Join(dir, "file"), release
}

// greet answers the kernel's first message, the only one that is answered.
func greet(device int) error {
	request := make([]byte, 1<<17)
	if _, err := syscall.Read(device, request); err != nil {
		return err
	}
	const header, body = 16, 64
	reply := make([]byte, header+body)
	binary.NativeEndian.PutUint32(reply, uint32(len(reply)))
	copy(reply[8:16], request[8:16]) // which message this answers
	for at, value := range map[int]uint32{0: 7, 4: 31, 20: 4096} {
		binary.NativeEndian.PutUint32(reply[header+at:], value) // protocol 7.31, writes of a page
	}
	_, err := syscall.Write(device, reply)
	return err
}
