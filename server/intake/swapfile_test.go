package intake

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"

	"golang.org/x/sys/unix"
)

// A disk that the journal itself has filled empties when the core takes what
// waits: nothing on the way needs room.
func TestADiskFilledByTheJournalHeals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Logf("no small file system here (%v): TestAStandbyNeedsNoRoom stands for it", err)
		return
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	p := newPost(t, dir, 1<<30)
	defer p.end()
	var disk unix.Statfs_t
	for unix.Statfs(dir, &disk); disk.Bavail >= 200; unix.Statfs(dir, &disk) {
		if err := p.submit(100, 1000, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for p.Waiting("c") != "the server is busy" || p.submit(1, 100, time.Second) == nil { // as on a quiet server
	}
	p.await("a full disk", func() bool { return strings.Contains(p.Waiting("c"), "no space left") })
	p.deliver()
	p.await("room", func() bool { return p.trouble.Load() == nil })
	if err := p.submit(100, 1000, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// inodes are those of the file and of the other one beside it.
func inodes(t *testing.T, s swapFile) (file, spare uint64) {
	t.Helper()
	for name, to := range map[string]*uint64{s.file: &file, s.other(): &spare} {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		*to = st.Ino
	}
	return file, spare
}

// As long as it was reserved for, a change writes over the other file's blocks and
// makes nothing.
func TestAStandbyNeedsNoRoom(t *testing.T) {
	s := swapFile{filepath.Join(t.TempDir(), "f")}
	put := func(text string) {
		t.Helper()
		if err := s.replace([]byte(text)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(s.file)
		if err != nil || strings.TrimRight(string(data), " ") != text {
			t.Fatalf("of %d bytes %d came back, %v", len(text), len(strings.TrimRight(string(data), " ")), err)
		}
	}
	last := strings.Repeat("x", 3*swapMinBytes)
	rewrite := func() error { return s.replace([]byte("first")) }
	if err := s.reserve(len(last), rewrite); err != nil {
		t.Fatal(err)
	}
	file, spare := inodes(t, s)
	for i, text := range []string{last, "short", "", last} {
		put(text)
		if err := s.reserve(len(last), rewrite); err != nil {
			t.Fatal(err)
		}
		if f, sp := inodes(t, s); f != spare || sp != file {
			t.Errorf("change %d: inodes %d and %d became %d and %d", i, file, spare, f, sp)
		}
		file, spare = spare, file
		for _, name := range []string{s.file, s.other()} {
			if size := sizeOfFile(name); size < int64(len(last)) {
				t.Errorf("change %d: %s has %d bytes, reserved were %d", i, name, size, len(last))
			}
		}
	}
	put(strings.Repeat("y", 20*swapMinBytes)) // more than that only asks the disk
	if err := os.RemoveAll(s.other()); err != nil {
		t.Fatal(err)
	}
	put("without a spare")
}

// A change that fails leaves what was there.
func TestAStandbyThatCannotBeReplaced(t *testing.T) {
	s := swapFile{filepath.Join(t.TempDir(), "f")}
	if err := errors.Join(s.replace([]byte("old")), os.Mkdir(s.other(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := s.replace([]byte("new")); err == nil {
		t.Error("replaced with a directory in the spare's place")
	}
	if data, err := os.ReadFile(s.file); err != nil || !strings.HasPrefix(string(data), "old ") {
		t.Errorf("%.10q, %v", data, err)
	}
}

// What is reserved is enough for the checkpoint, however long its clients' names
// are when they are escaped.
func TestACheckpointFitsWhatIsReserved(t *testing.T) {
	d := newDuplicates()
	for i := range 1000 {
		name := strings.Repeat([]string{"w", "\"", "ü", "<", "\xff"}[i%5], i%50+1)
		o := record.Origin{Client: name, Instance: wire.Instance{byte(i), byte(i >> 8)}, Sequence: 1 << 62, Received: 1 << 62, Remember: 1 << 31}
		d.add(&o)
	}
	d.flushed()
	file := filepath.Join(t.TempDir(), checkpointFile)
	if err := errors.Join(d.reserve(file), d.save(file)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.TrimRight(string(data), " ")); n > d.checkpointBytes() {
		t.Errorf("%d bytes, reserved were %d", n, d.checkpointBytes())
	}
	e := newDuplicates()
	if err := e.load(file); err != nil || len(e.clients) != len(d.clients) {
		t.Errorf("%d clients of %d came back, %v", len(e.clients), len(d.clients), err)
	}
}
