//go:build e2e

package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/status"
	"massive-passive/test/rig"

	"golang.org/x/sys/unix"
)

const smallDiskSize = "size=64m"

// smallDisk puts a state directory on a small file system of its own.
func smallDisk(t testing.TB, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, smallDiskSize); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
}

// unmount waits for a child of a killed client that has not become a plugin yet, and so has its files.
func unmount(t testing.TB, dir string) {
	t.Helper()
	rig.Eventually(t, 10*time.Second, "unmount "+dir, func() error { return unix.Unmount(dir, 0) })
}

// fill takes all room that is left, and returns what gives it back. Most of it is taken without writing: what would
// then go to the disk for long could hold up a flush for longer than is promised.
func fill(t testing.TB, dir string) (free func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var room unix.Statfs_t
	if err = unix.Statfs(dir, &room); err == nil {
		err = unix.Fallocate(int(f.Fd()), 0, 0, int64(room.Bfree)*room.Bsize*9/10)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill %s: %v", dir, err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
}

func serverDiskFull() fault {
	return fault{"server's disk full", true, func(s *site) {
		free := fill(s.t, s.dir)
		s.pause(s.while())
		free()
	}}
}

// realDisk puts a state directory on an ext4 of its own, from which the power can be taken.
func realDisk(t testing.TB, dir string) {
	t.Helper()
	image := dir + ".image"
	mustRun(t, "truncate", "--size", "128M", image)
	mustRun(t, "mkfs.ext4", "-q", "-F", image)
	mustRun(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { unmount(t, dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "sync", "--file-system", dir)
}

// shareMounts lets what is unmounted below dir go everywhere: who runs in a network namespace by way of ip has a list of
// mounts of its own, and would keep a disk in use whose power is lost.
func shareMounts(t testing.TB, dir string) {
	t.Helper()
	mustRun(t, "mount", "--bind", dir, dir)
	t.Cleanup(func() { unmount(t, dir) })
	mustRun(t, "mount", "--make-shared", dir)
}

// mustRun runs a program that must succeed.
func mustRun(t testing.TB, words ...string) {
	t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
}

// shutDown is the request of ext4 and XFS that ends all writing at once. With noLogFlush what was not flushed is
// gone, the journal of the file system included.
const (
	shutDown   = 0x8004587d
	noLogFlush = 2
)

// losePower takes a machine's power: its daemon and all that its disk has not been made to keep.
func losePower(t testing.TB, d *rig.Daemon, dir string, books *copies) {
	t.Helper()
	books.mu.Lock() // which could not read the disk meanwhile
	defer books.mu.Unlock()
	books.letGo()
	// Nothing of it may run beyond the power: a flush that the shutdown cuts off can return as if it had succeeded.
	d.Cmd.Process.Signal(syscall.SIGSTOP)
	if err := unix.Waitid(unix.P_PID, d.Cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatalf("wait until %s has stopped: %v", d.Cmd.Path, err)
	}
	root, err := os.Open(dir)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(root.Fd()), shutDown, noLogFlush)
		root.Close()
	}
	if err != nil {
		t.Fatalf("shut down the file system of %s: %v", dir, err)
	}
	d.Kill()
	unmount(t, dir)
	mustRun(t, "mount", "-o", "loop", dir+".image", dir)
}

// A server that is killed may have written what it did not flush. The next one tells the clients that it has that, and
// so has to flush it.
func TestE2EWhatAKilledServerWroteOutlivesThePower(t *testing.T) {
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "no core"), "nagios")
	state := filepath.Join(p.Dir, "server")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	realDisk(t, state)
	flushes := p.ServerArgs
	p.ServerArgs = append(slices.Clone(flushes), "--journal-flush=false") // as if the flush had been about to begin
	p.StartServer()
	p.AwaitPort()
	const results = 20
	p.Send(strings.Repeat("h"+rig.SendFieldDivider+"s"+rig.SendFieldDivider+"0"+rig.SendFieldDivider+"x\x17", results))
	p.Server.Kill()
	p.ServerArgs = flushes
	p.StartServer()
	rig.Eventually(t, 30*time.Second, "the server has read its journal", func() error { // its port is open before
		if !strings.Contains(p.Server.Words(), `"listening"`) {
			return errors.New("it does not say that it listens")
		}
		return nil
	})
	losePower(t, p.Server, state, &copies{t: t})
	p.StartServer()
	p.AwaitPort()
	rig.Eventually(t, 10*time.Second, "all results", func() error {
		page, err := status.Fetch(t.Context(), state)
		if err == nil && page.Journal.Depth+page.Journal.Resting != results {
			err = fmt.Errorf("of %d results %d are there", results, page.Journal.Depth+page.Journal.Resting)
		}
		return err
	})
}

// promised is how long after its append a result is certainly flushed: ten times what the client promises.
const promised = time.Second

func powerFaults() []fault {
	server := func(s *site) { losePower(s.t, s.server, s.dir, s.servers) }
	return []fault{
		{"server's power lost", false, func(s *site) { server(s); s.bootServer() }},
		{"both powers lost", false, func(s *site) {
			s.harmClient(func() {
				s.loseClient()
				server(s)
				s.bootServer()
				s.world.bootClient()
			})
		}},
	}
}
