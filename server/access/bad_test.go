package access

import (
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/disk/disktest"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// fleet is an allowed directory with web1, which is narrowed to its own host, and
// web2.
type fleet struct {
	*testing.T
	dir        string
	web1, web2 *x509.Certificate
}

func newFleet(t *testing.T) fleet {
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{T: t, dir: t.TempDir()}
	for name, cert := range map[string]**x509.Certificate{"web1": &f.web1, "web2": &f.web2} {
		var file string
		*cert, file = issue(t, authority, name)
		list(t, f.dir, name+".pem", file)
	}
	f.must(os.WriteFile(f.file("web1.json"), []byte(`{"hosts": ["web1"]}`), 0o644))
	return f
}

func (f fleet) file(name string) string { return filepath.Join(f.dir, name) }

func (f fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f fleet) open() *Directory {
	f.Helper()
	d, problems, err := Open(f.Context(), f.dir, Commands{})
	f.must(err)
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	return d
}

// bad is what may lie in the place of a file, and is there but bad.
var bad = map[string]func(path string) error{
	"a named pipe": func(path string) error { return syscall.Mkfifo(path, 0o644) },
	"a socket": func(path string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err == nil {
			l.SetUnlinkOnClose(false)
			err = l.Close()
		}
		return err
	},
	"a directory":          func(path string) error { return os.Mkdir(path, 0o755) },
	"a device without end": func(path string) error { return os.Symlink("/dev/zero", path) },
	"a terminal":           func(path string) error { return os.Symlink("/dev/ptmx", path) },
	"a link to itself":     func(path string) error { return os.Symlink(filepath.Base(path), path) },
	"a link to nowhere":    func(path string) error { return os.Symlink("nowhere", path) },
	"nothing in it":        func(path string) error { return os.WriteFile(path, nil, 0o644) },
	"anything":             func(path string) error { return os.WriteFile(path, []byte("anything"), 0o644) },
	"a hole of a terabyte": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) },
}

// A file that is there but bad refuses its client, and no other, at a start and
// at a reload: whoever puts it in the place of a stolen certificate wants the
// thief out.
func TestWhatIsThereButBadRefusesTheClient(t *testing.T) {
	for name, put := range bad {
		for _, file := range []string{"web1.pem", "web1.json"} {
			t.Run(name+" as "+file, func(t *testing.T) {
				f := newFleet(t)
				before := f.open()
				f.must(os.Remove(f.file(file)))
				f.must(put(f.file(file)))
				reloaded, err := before.Reload(t.Context())
				f.must(err)
				after, started, err := Open(t.Context(), f.dir, Commands{})
				f.must(err)
				for _, d := range []*Directory{before, after} {
					if name, err := d.Client(f.web1); err == nil {
						t.Errorf("it counts as %q still", name)
					}
					if _, err := d.Client(f.web2); err != nil || d.Incomplete() {
						t.Errorf("the other is refused: %v; incomplete: %v", err, d.Incomplete())
					}
				}
				for _, problems := range [][]Problem{reloaded, started} {
					if len(problems) == 0 || problems[0].Refused != "web1" || problems[0].File != f.file(file) || !strings.Contains(problems[0].Err.Error(), f.file(file)) {
						t.Errorf("problems: %v", problems)
					}
				}
			})
		}
	}
}

// A certificate that lies under two names counts as that of the narrowed one, and
// not as the other's while the narrowed one's file is bad.
func TestABadFileGivesItsCertificateToNobodyElse(t *testing.T) {
	for name, put := range bad {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			data, err := os.ReadFile(f.file("web1.pem"))
			f.must(err)
			f.must(os.WriteFile(f.file("all.pem"), data, 0o644))
			before, _, err := Open(t.Context(), f.dir, Commands{})
			f.must(err)
			if name, err := before.Client(f.web1); name != "web1" {
				t.Fatalf("it counts as %q, %v", name, err)
			}
			f.must(os.Remove(f.file("web1.pem")))
			f.must(put(f.file("web1.pem")))
			for range 2 {
				_, err = before.Reload(t.Context())
				f.must(err)
			}
			started, problems, err := Open(t.Context(), f.dir, Commands{})
			f.must(err)
			for _, d := range []*Directory{before, started} {
				if name, err := d.Client(f.web1); err == nil {
					t.Errorf("it counts as %q, who is not narrowed", name)
				}
				if _, err := d.Client(f.web2); err != nil {
					t.Errorf("another is refused: %v", err)
				}
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Refused == "all" && p.File == f.file("all.pem") }) {
				t.Errorf("nothing tells of it: %v", problems)
			}
			f.must(os.RemoveAll(f.file("web1.pem")))
			f.must(os.WriteFile(f.file("web1.pem"), data, 0o644))
			_, err = before.Reload(t.Context())
			f.must(err)
			if name, err := before.Client(f.web1); name != "web1" || err != nil {
				t.Errorf("once mended: %q, %v", name, err)
			}
		})
	}
}

// What hangs in the kernel leaves in force what was, holds up no other client's
// lock-out, and counts as soon as it answers.
func TestWhatHangsHoldsUpNobodyElse(t *testing.T) {
	for _, file := range []string{"web1.pem", "web1.json"} {
		t.Run(file, func(t *testing.T) {
			f := newFleet(t)
			d := f.open()
			hung, release := disktest.Hang(t)
			f.must(os.Remove(f.file(file)))
			f.must(os.Symlink(hung, f.file(file)))
			f.must(os.Remove(f.file("web2.pem")))
			problems, err := d.Reload(t.Context())
			if err != nil || len(problems) != 1 || problems[0].Refused != "" || !errors.Is(problems[0].Err, disk.ErrSilent) ||
				!strings.Contains(problems[0].Err.Error(), f.file(file)) || !d.Incomplete() {
				t.Errorf("problems %v, %v, incomplete: %v", problems, err, d.Incomplete())
			}
			if _, err := d.Client(f.web2); !errors.Is(err, ErrNotListed) {
				t.Errorf("the lock-out of the other does not count: %v", err)
			}
			if name, err := d.Client(f.web1); err != nil || name != "web1" {
				t.Errorf("its own leave is gone: %q, %v", name, err)
			}
			if err := d.Judge("web1", &check.Result{Kind: check.Host, Host: "web2"}); err == nil {
				t.Error("its policy is gone")
			}
			if d.Changed(t.Context()) {
				t.Error("what does not answer counts as a change each time")
			}
			release()
			for deadline := time.Now().Add(time.Minute); !d.Changed(t.Context()); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("that it answers again is not seen") // what was left behind returns when the kernel has it
				}
			}
		})
	}
}

// A byte order mark before a policy is passed over.
func TestPolicyWithAByteOrderMark(t *testing.T) {
	d, problems := listed(t, "", "\xef\xbb\xbf{\"hosts\": [\"web1\"]}")
	if len(problems) > 0 || d.Judge("web1", &check.Result{Kind: check.Host, Host: "web1"}) != nil {
		t.Errorf("problems: %v", problems)
	}
	if _, problems := listed(t, "", "\xef\xbb\xbf\n  x"); len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), "web1.json:2:3: ") {
		t.Errorf("problems: %v", problems)
	}
}
