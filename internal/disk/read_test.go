package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/disk/disktest"
)

func TestReadFileTakesOrdinaryFilesOnly(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(at("file"), []byte("12345"), 0o600))
	must(os.WriteFile(at("long"), []byte("123456"), 0o600))
	must(os.Symlink("file", at("link")))
	must(os.Mkdir(at("directory"), 0o700))
	must(syscall.Mkfifo(at("pipe"), 0o600))
	socket, err := net.Listen("unix", at("socket"))
	must(err)
	defer socket.Close()
	must(os.Symlink("/dev/zero", at("device")))
	must(os.Symlink("/proc/self/mem", at("broken")))
	must(os.Symlink("loop", at("loop")))
	for name, want := range map[string]struct {
		text    string
		mayPass bool
	}{
		"file": {}, "link": {}, "long": {"more than 5 bytes", false},
		"directory": {"it is a directory, not an ordinary file", false}, "pipe": {"it is a named pipe", false},
		"socket": {"it is a socket", false}, "device": {"it is a device", false},
		"broken": {"input/output error", true}, "loop": {"too many levels", false}, "absent": {"no such file", false},
	} {
		data, err := disk.ReadFile(t.Context(), at(name), 5)
		if want.text == "" {
			if err != nil || string(data) != "12345" {
				t.Errorf("%s: %q, %v", name, data, err)
			}
			continue
		}
		if data != nil || err == nil || !strings.Contains(err.Error(), want.text) || !strings.Contains(err.Error(), at(name)) ||
			disk.MayPass(err) != want.mayPass {
			t.Errorf("%s: %q, %v, may pass: %v", name, data, err, disk.MayPass(err))
		}
	}
}

// What does not answer is left behind, and not asked again until it answers: the
// others are read in the meantime, and no pile of goroutines grows.
func TestReaderLeavesBehindWhatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r disk.Reader
		hang := make(chan struct{})
		var asked atomic.Int32
		silent := func(path string) error {
			_, err := disk.Within(t.Context(), &r, path, func() (int, error) { asked.Add(1); <-hang; return 0, nil })
			return err
		}
		begun := time.Now()
		if err := silent("0"); !errors.Is(err, disk.ErrSilent) || !disk.MayPass(err) || time.Since(begun) != disk.Answer {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		for n := range 100 {
			var path *fs.PathError
			if err := silent(fmt.Sprint(n)); !errors.Is(err, disk.ErrSilent) || !errors.As(err, &path) {
				t.Error(err)
			}
		}
		if took := time.Since(begun); asked.Load() > 16 || took > 3*disk.Answer {
			t.Errorf("%d questions are open after %v", asked.Load(), took)
		}
		close(hang)
		synctest.Wait()
		if n, err := disk.Within(t.Context(), &r, "0", func() (int, error) { return 1, nil }); n != 1 || err != nil {
			t.Errorf("once it answers again: %d, %v", n, err)
		}
	})
}

func TestReaderStopsWaitingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r disk.Reader
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		hang, begun := make(chan struct{}), time.Now()
		_, err := disk.Within(ctx, &r, "file", func() (int, error) { <-hang; return 0, nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		close(hang)
	})
}

// The real thing: a file system whose server is away.
func TestReaderOfAHungFileSystem(t *testing.T) {
	path, release := disktest.Hang(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	r := disk.Reader{Patience: 100 * time.Millisecond}
	for range 3 {
		if _, err := r.ReadFile(t.Context(), link, 10); !errors.Is(err, disk.ErrSilent) {
			t.Error(err)
		}
		if _, err := r.Stat(t.Context(), path); !errors.Is(err, disk.ErrSilent) {
			t.Error(err)
		}
		if _, err := r.ReadDir(t.Context(), filepath.Dir(path)); !errors.Is(err, disk.ErrSilent) {
			t.Error(err)
		}
	}
	stacks := make([]byte, 1<<20)
	if n := bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("disk.Within[")); n > 2*3 {
		t.Errorf("%d lines of stacks are about questions: each of the three is asked once", n)
	}
	release()
	for {
		if _, err := r.Stat(t.Context(), path); !errors.Is(err, disk.ErrSilent) {
			break // what it is does not matter
		}
		time.Sleep(time.Millisecond)
	}
}
