package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary runs itself again for what needs a process of its own.
const (
	childEnv    = "JOURNAL_TEST_CHILD"
	childDirEnv = "JOURNAL_TEST_DIR"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "open":
		os.Exit(childOpen(os.Getenv(childDirEnv)))
	case "file size limit":
		os.Exit(childLimit(m))
	}
	os.Exit(m.Run())
}

func child(t *testing.T, mode, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), childEnv+"="+mode, childDirEnv+"="+dir)
	return cmd
}

// childReport is what a child found when it opened a journal.
type childReport struct {
	Error   string
	Numbers []string
	Damages []Damage
}

func childOpen(dir string) int {
	var report childReport
	j, err := Open(Options{
		Dir:     dir,
		Damaged: func(d Damage) { report.Damages = append(report.Damages, d) },
		Recovered: func(r Record) {
			n, _, _ := strings.Cut(string(r.Payload), ":")
			report.Numbers = append(report.Numbers, n)
		},
	})
	if err != nil {
		report.Error = err.Error()
	} else if _, err := j.Append([]byte("by the child")); err != nil {
		report.Error = err.Error()
	} else if err := j.Close(); err != nil {
		report.Error = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(report) != nil {
		return 1
	}
	return 0
}

func runChild(t *testing.T, cmd *exec.Cmd) (report childReport) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v, %s", err, out)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("child said %q: %v", out, err)
	}
	return report
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	h.put(0, 5, 5)
	report := runChild(t, child(t, "open", dir))
	if want := fmt.Sprintf("in use by process %d:", os.Getpid()); !strings.Contains(report.Error, want) {
		t.Fatalf("second process got %q, want %q in it", report.Error, want)
	}
	var locked *LockedError
	if _, err := Open(Options{Dir: dir}); !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Dir != dir {
		t.Fatalf("second Open in this process: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if report := runChild(t, child(t, "open", dir)); report.Error != "" || len(report.Numbers) != 5 {
		t.Fatalf("after Close the second process got %+v", report)
	}
}

// TestUnreadableSegment opens a journal with a segment that belongs to another
// user. Root may read everything, so that its child is somebody else.
func TestUnreadableSegment(t *testing.T) {
	for _, which := range []int{0, 1, -1} {
		dir := fixture(t)
		all := segments(t, dir)
		if which < 0 {
			which = len(all) - 1
		}
		cmd := child(t, "open", dir)
		if os.Getuid() == 0 {
			const nobody = 65534
			for _, d := range []string{filepath.Dir(dir), dir} {
				if err := os.Chmod(d, 0o711); err != nil {
					t.Fatal(err)
				}
			}
			entries, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range append(entries, dir) {
				if path == all[which] {
					continue
				}
				if err := os.Chown(path, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		} else if err := os.Chmod(all[which], 0); err != nil {
			t.Fatal(err)
		}
		report := runChild(t, cmd)
		from, to := firstOf(t, all[which])-1, fixtureRecords
		if which+1 < len(all) {
			to = firstOf(t, all[which+1]) - 1
		}
		var want []string
		for _, n := range append(numbers(0, from), numbers(to, fixtureRecords)...) {
			want = append(want, fmt.Sprint(n))
		}
		if report.Error != "" || !slices.Equal(report.Numbers, want) {
			t.Fatalf("segment %d unreadable: %q, got %v", which, report.Error, report.Numbers)
		}
		if d := report.Damages; len(d) != 1 || d[0].File != all[which] || !strings.Contains(d[0].What, "permission denied") || d[0].Lost != int64(to-from) {
			t.Fatalf("segment %d unreadable: told %v", which, d)
		}
		if _, err := os.Stat(all[which]); err != nil {
			t.Fatal(err)
		}
	}
}

// full is a way to fill a disk and to make room again.
type full struct {
	dir        string
	fill, free func(t *testing.T)
	want       error
}

// TestDiskFull fills a small file system of its own, if the user may mount one,
// and, in any case, runs a child whose files may not grow.
func TestDiskFull(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		refuseAndHeal(t, sizeLimit(filepath.Join(os.Getenv(childDirEnv), "journal")))
		return
	}
	cmd := child(t, "file size limit", t.TempDir(), "-test.run=^TestDiskFull$", "-test.count=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("child with a file size limit: %v\n%s", err, out)
	}
	onSmallDisk(t, refuseAndHeal)
}

// onSmallDisk runs test in a small file system of its own, if the user may
// mount one.
func onSmallDisk(t *testing.T, test func(*testing.T, full)) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Logf("no small file system here (%v)", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	filler := filepath.Join(dir, "filler")
	// A subtest, so that its journals are closed before the unmount.
	t.Run("tmpfs", func(t *testing.T) {
		test(t, full{dir: filepath.Join(dir, "journal"), want: unix.ENOSPC,
			fill: func(t *testing.T) {
				f, err := os.Create(filler)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				for err == nil {
					_, err = f.Write(make([]byte, 4096))
				}
				if !errors.Is(err, unix.ENOSPC) {
					t.Fatal(err)
				}
			},
			free: func(t *testing.T) {
				if err := os.Remove(filler); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// TestAcksHealAFullDisk: nobody makes room but the readers, with what they
// acknowledge. One of them is new, so that there is no room for its cursor; all
// records are in the segment that is written to, and both have that open.
func TestAcksHealAFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, disk full) {
		h := open(t, Options{Dir: disk.dir})
		a := h.reader("a", Oldest)
		h.put(0, 300, 10)
		disk.fill(t)
		b := h.reader("b", Oldest)
		h.add(300, 330)
		if err := h.Flush(); !errors.Is(err, disk.want) {
			t.Fatalf("flush on a full disk: %v", err)
		}
		var waiting sync.WaitGroup
		defer waiting.Wait()
		for _, r := range []*Reader{a, b} {
			if err := h.Trim(); !errors.Is(err, disk.want) || h.Stats().Segments != 1 {
				t.Fatalf("%d segments while %s needs them, %v", h.Stats().Segments, r.Name(), err)
			}
			r.Ack(uint64(len(drain(t, r))))
			waiting.Go(func() {
				if records, err := r.Next(t.Context(), nil, 1, 1<<20); err != nil || number(t, records[0]) != 300 {
					t.Errorf("%s got %d records, %v", r.Name(), len(records), err)
				}
			})
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if err := errors.Join(h.Trim(), h.Flush(), h.Trim()); err == nil {
				break
			} else if time.Now().After(deadline) {
				h.Close()
				t.Fatalf("after all was acknowledged: %v", err)
			}
		}
		waiting.Wait()
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h = open(t, Options{Dir: disk.dir})
		h.wantDamages(0)
		for _, name := range []string{"a", "b"} {
			if got := drain(t, h.reader(name, Newest)); !slices.Equal(got, numbers(300, 330)) {
				t.Errorf("%s got %v", name, got)
			}
		}
	})
}

func childLimit(m *testing.M) int {
	signal.Ignore(syscall.SIGXFSZ)
	return m.Run()
}

// sizeLimit fills the disk by keeping every file of this process small.
func sizeLimit(dir string) full {
	setLimit := func(t *testing.T, soft uint64) {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
		l.Cur = min(soft, l.Max)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	return full{dir: dir, want: unix.EFBIG,
		fill: func(t *testing.T) { setLimit(t, headerBlock+4000) },
		free: func(t *testing.T) { setLimit(t, unix.RLIM_INFINITY) },
	}
}

// refuseAndHeal goes through a full disk: what is appended meanwhile is readable
// from memory, keeps its sequences, and is stored when there is room again.
func refuseAndHeal(t *testing.T, disk full) {
	o := Options{Dir: disk.dir, SegmentBytes: 64 << 10, TailBytes: 64 << 10, ReadUnflushed: true}
	h := open(t, o)
	r := h.reader("a", Oldest)
	h.put(0, 10, 1)
	disk.fill(t)
	for n := 10; n < 200; n += 10 {
		h.add(n, n+10)
		err := h.Flush()
		var de *DiskError
		if err == nil && n < 150 {
			continue // the last blocks took it
		}
		if !errors.As(err, &de) || !errors.Is(err, disk.want) || de.Path == "" || h.Stats().Failing == nil {
			t.Fatalf("flush on a full disk: %v", err)
		}
	}
	got := drain(t, r)
	if !slices.Equal(got, numbers(0, 200)) {
		t.Fatalf("while the disk is full got %v", got)
	}
	for n := 200; ; n++ {
		if _, err := h.Append([]byte(payload(n))); errors.Is(err, ErrTailFull) {
			break
		} else if err != nil || n > 10000 {
			t.Fatalf("append %d: %v", n, err)
		}
	}
	last := h.Stats().Last
	if lost := h.DropTailOldest(int(last - 200)); lost["a"] != int(last-200) || len(lost) != 1 {
		t.Fatalf("lost %v, dropped %d", lost, last-200)
	}
	first := h.Stats().Durable
	disk.free(t)
	if err := h.Flush(); err != nil {
		t.Fatalf("flush when there is room again: %v", err)
	}
	if s := h.Stats(); s.Failing != nil || s.DiskErrors == 0 || s.Durable != last || s.TailBytes != 0 {
		t.Fatalf("healed: %+v", s)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = open(t, o)
	got = drain(t, h.reader("b", Oldest))
	if int(first) > len(got) || !slices.Equal(got[:first], numbers(0, int(first))) || got[len(got)-1] != int(last)-1 || !slices.IsSorted(got) {
		t.Fatalf("after a restart got %v, %d were stored before, last is %d", got, first, last)
	}
	h.wantDamages(0)
	if h.Stats().Last != last {
		t.Fatalf("last sequence %d, want %d", h.Stats().Last, last)
	}
}
