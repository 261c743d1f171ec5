package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// What makes no event in the directory is seen by looking at it; on a file
// system of this machine's own, what makes one costs no look.
func TestChangesAreSeen(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, elsewhere := filepath.Join(t.TempDir(), "allowed"), t.TempDir()
	must(os.Mkdir(dir, 0o755))
	target, plain := filepath.Join(elsewhere, "web1"), filepath.Join(dir, "web2.pem")
	must(os.WriteFile(target, []byte("one"), 0o644))
	must(os.WriteFile(plain, []byte("one"), 0o644))
	must(os.Symlink(target, filepath.Join(dir, "web1.pem")))
	d, _, err := Open(t.Context(), dir, Commands{})
	must(err)
	for _, step := range []struct {
		name            string
		do              func() error
		changed, unseen bool
	}{
		{"nothing", func() error { return nil }, false, false},
		{"a file of another kind", func() error { return os.WriteFile(filepath.Join(dir, "README"), nil, 0o644) }, false, false},
		{"what a symlink leads to, changed", func() error { return os.WriteFile(target, []byte("other"), 0o644) }, true, true},
		{"the same, by its time alone", func() error { return os.Chtimes(target, time.Time{}, time.Unix(1, 0)) }, true, true},
		{"what a symlink leads to, removed", func() error { return os.Remove(target) }, true, true},
		{"and made again", func() error { return os.WriteFile(target, []byte("other"), 0o644) }, true, true},
		{"a file in it", func() error { return os.WriteFile(plain, []byte("other"), 0o644) }, true, false},
		{"a policy", func() error { return os.WriteFile(filepath.Join(dir, "web1.json"), []byte("{}"), 0o644) }, true, true},
		{"another directory in its place", func() error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o755))
		}, true, true},
		{"the directory gone", func() error { return os.Rename(dir, dir+".away") }, true, true},
	} {
		for _, own := range []bool{true, false} {
			d.current.Load().fingerprint.events = own
			if own {
				must(step.do())
			}
			if got := d.Changed(t.Context()); got != step.changed {
				t.Errorf("%s: changed is %v", step.name, got)
			}
			want := step.changed
			if own {
				want = step.unseen
			}
			if got := d.ChangedUnseen(t.Context()); got != want {
				t.Errorf("%s: changed unseen is %v with file systems whose changes make events: %v", step.name, got, own)
			}
		}
		if _, err := d.Reload(t.Context()); err == nil && (d.Changed(t.Context()) || d.ChangedUnseen(t.Context())) {
			t.Errorf("%s: changed again after it was read", step.name)
		}
	}
}

// A disk or a file server that does not answer takes nobody's leave away, and
// widens nobody's.
func TestWhatCannotBeReadStaysAsItWas(t *testing.T) {
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "allowed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cert, file := issue(t, authority, "web1")
	list(t, dir, "web1.pem", file)
	policy := filepath.Join(dir, "web1.json")
	if err := os.WriteFile(policy, []byte(`{"hosts": ["web1"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	d, _, err := Open(t.Context(), dir, Commands{})
	if err != nil {
		t.Fatal(err)
	}
	const broken = "/proc/self/mem" // reading it where nothing is mapped is EIO
	for _, name := range []string{"web1.pem", "web1.json"} {
		link := filepath.Join(dir, name)
		if err := errors.Join(os.Remove(link), os.Symlink(broken, link)); err != nil {
			t.Fatal(err)
		}
	}
	problems, err := d.Reload(t.Context())
	if err != nil || len(problems) != 2 || !strings.Contains(fmt.Sprint(problems), "stay as they were") || !d.Incomplete() {
		t.Errorf("problems %v, %v", problems, err)
	}
	if name, err := d.Client(cert); err != nil || name != "web1" {
		t.Errorf("got %q, %v", name, err)
	}
	var denied *DeniedError
	if err := d.Judge("web1", &check.Result{Kind: check.Host, Host: "web2"}); !errors.As(err, &denied) {
		t.Errorf("the policy is gone: %v", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Symlink(strings.Repeat("x", 300), dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(t.Context()); err == nil || gone(err) {
		t.Errorf("a directory that cannot be looked up gave %v", err)
	}
	if _, err := d.Client(cert); err != nil {
		t.Errorf("a directory that cannot be looked up took the leave away: %v", err)
	}
}

// BenchmarkChanged is the cost of a look at a large fleet's directory.
func BenchmarkChanged(b *testing.B) {
	const clients = 20000
	dir := b.TempDir()
	for n := range clients {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("client%05d.pem", n)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	d, _, err := Open(b.Context(), dir, Commands{})
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []struct {
		name    string
		changed func(context.Context) bool
	}{{"all", d.Changed}, {"unseen", d.ChangedUnseen}} {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				if kind.changed(b.Context()) {
					b.Fatal("nothing changed")
				}
			}
		})
	}
}
