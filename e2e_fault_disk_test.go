//go:build e2e

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const smallDisk = "size=64m"

// onSmallDisks puts each state directory on a small file system of its own.
func (w *world) onSmallDisks() {
	w.t.Helper()
	for _, dir := range []string{w.serverDir(), w.clientDir()} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, smallDisk); err != nil {
			w.t.Fatalf("mount a small file system: %v", err)
		}
		w.t.Cleanup(func() { w.unmount(dir) })
		if err := os.Chmod(dir, 0o711); err != nil {
			w.t.Fatal(err)
		}
	}
}

// unmount waits for a child of a killed client that has not become a plugin yet, and so has its files.
func (w *world) unmount(dir string) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, "unmount "+dir, func() error { return unix.Unmount(dir, 0) })
}

// fill takes all room that is left, and returns what gives it back.
func (w *world) fill(dir string) (free func()) {
	w.t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		w.t.Fatalf("fill %s: %v", dir, err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			w.t.Error(err)
		}
	}
}

func diskFaults() []fault {
	return []fault{
		{"client's disk full", true, func(w *world) {
			free := w.fill(w.clientDir())
			w.pause(w.while())
			free()
			w.pause(2 * time.Second) // until then the ledger does not see what is in memory
		}},
		serverDiskFull(),
	}
}

func serverDiskFull() fault {
	return fault{"server's disk full", true, func(w *world) {
		free := w.fill(w.serverDir())
		w.pause(w.while())
		free()
	}}
}

// onRealDisks puts each state directory on an ext4 of its own, from which the power can be taken.
func (w *world) onRealDisks() {
	w.t.Helper()
	for _, dir := range []string{w.serverDir(), w.clientDir()} {
		image := dir + ".image"
		for _, command := range [][]string{
			{"truncate", "--size", "128M", image},
			{"mkfs.ext4", "-q", "-F", image},
			{"mount", "-o", "loop", image, dir},
		} {
			w.command(command...)
		}
		w.t.Cleanup(func() { w.unmount(dir) })
		if err := os.Chmod(dir, 0o711); err != nil {
			w.t.Fatal(err)
		}
		w.command("sync", "--file-system", dir)
	}
}

// command runs a program that must succeed.
func (w *world) command(words ...string) {
	w.t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		w.t.Fatalf("%q: %v\n%s", words, err, out)
	}
}

// shutDown is the request of ext4 and XFS that ends all writing at once. With noLogFlush what was not flushed is
// gone, the journal of the file system included.
const (
	shutDown   = 0x8004587d
	noLogFlush = 2
)

// losePower takes a machine's power: its daemon and all that its disk has not been made to keep.
func (w *world) losePower(d *daemon, dir string, books *copies) {
	w.t.Helper()
	books.mu.Lock() // which could not read the disk meanwhile
	defer books.mu.Unlock()
	books.letGo()
	d.cmd.Process.Signal(syscall.SIGSTOP)
	root, err := os.Open(dir)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(root.Fd()), shutDown, noLogFlush)
		root.Close()
	}
	if err != nil {
		w.t.Fatalf("shut down the file system of %s: %v", dir, err)
	}
	d.kill()
	w.unmount(dir)
	w.command("mount", "-o", "loop", dir+".image", dir)
}

// promised is how long after its append a result is certainly flushed: ten times what the client promises.
const promised = time.Second

func powerFaults() []fault {
	client := func(w *world) {
		w.enter() // all of this must survive
		w.pause(promised + w.moment(time.Second))
		w.losePower(w.client, w.clientDir(), w.clients)
	}
	server := func(w *world) { w.losePower(w.server, w.serverDir(), w.servers) }
	return []fault{
		{"client's power lost", true, func(w *world) { client(w); w.bootClient() }},
		{"server's power lost", false, func(w *world) { server(w); w.bootServer() }},
		{"both powers lost", false, func(w *world) {
			client(w)
			server(w)
			w.bootServer()
			w.bootClient()
		}},
	}
}
