package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// scene is a directory to watch in a place where it can be replaced.
type scene struct {
	t    *testing.T
	root string
}

func (s scene) path(names ...string) string {
	return filepath.Join(append([]string{s.root}, names...)...)
}

func (s scene) mkdir(names ...string) {
	s.t.Helper()
	must(s.t, os.MkdirAll(s.path(names...), 0o700))
}

func (s scene) symlink(target string, names ...string) {
	s.t.Helper()
	must(s.t, os.Symlink(target, s.path(names...)))
}

func (s scene) rename(from, to string) {
	s.t.Helper()
	must(s.t, os.Rename(s.path(from), s.path(to)))
}

func (s scene) remove(names ...string) {
	s.t.Helper()
	must(s.t, os.RemoveAll(s.path(names...)))
}

// TestDirectoryReplaced changes where "conf" leads. After each change the
// watcher must tell, and must tell again when a file is put where conf leads now.
func TestDirectoryReplaced(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(s scene)
		change  func(s scene)
	}{
		{"renamed away and another renamed in",
			func(s scene) { s.mkdir("conf"); s.mkdir("new") },
			func(s scene) { s.rename("conf", "old"); s.rename("new", "conf") }},
		{"removed and made again",
			func(s scene) { s.mkdir("conf") },
			func(s scene) { s.remove("conf"); s.mkdir("conf") }},
		{"not there yet",
			func(scene) {},
			func(s scene) { s.mkdir("conf") }},
		{"a file, then a directory",
			func(s scene) { write(s.t, s.path("conf"), "") },
			func(s scene) { s.remove("conf"); s.mkdir("conf") }},
		{"a symlink that is pointed elsewhere by a rename",
			func(s scene) { s.mkdir("a"); s.mkdir("b"); s.symlink("a", "conf"); s.symlink("b", "next") },
			func(s scene) { s.rename("next", "conf") }},
		{"a symlink that is removed and made again",
			func(s scene) { s.mkdir("a"); s.mkdir("b"); s.symlink(s.path("a"), "conf") },
			func(s scene) { s.remove("conf"); s.symlink(s.path("b"), "conf") }},
		{"a symlink to a directory that is not there yet",
			func(s scene) { s.symlink("a", "conf") },
			func(s scene) { s.mkdir("a") }},
		{"a directory above replaced, through symlinks",
			func(s scene) { s.mkdir("x", "y"); s.mkdir("new", "y"); s.symlink("x/../x/./y", "conf") },
			func(s scene) { s.rename("x", "old"); s.rename("new", "x") }},
		{"a symlink in the middle",
			func(s scene) { s.mkdir("a", "d"); s.mkdir("b", "d"); s.symlink("a", "m"); s.symlink("m/d", "conf") },
			func(s scene) { s.remove("m"); s.symlink("b", "m") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := scene{t, t.TempDir()}
			test.prepare(s)
			calls := start(t, s.path("conf"), settle)
			for round := range 3 {
				if round == 0 {
					test.change(s)
					wantCall(t, calls)
				}
				write(t, s.path("conf", fmt.Sprint(round)), "x")
				for wantCall(t, calls).entries != round+1 { // not of this change yet
				}
			}
		})
	}
}

// TestConfigMap swaps a volume as Kubernetes does: files are symlinks through
// ..data, which a rename points to a new directory.
func TestConfigMap(t *testing.T) {
	s := scene{t, t.TempDir()}
	s.mkdir("..0")
	write(t, s.path("..0", "a.cfg"), "0")
	s.symlink("..0", "..data")
	s.symlink("..data/a.cfg", "a.cfg")
	calls := start(t, s.root, settle)
	for i := 1; i <= 5; i++ {
		next, last := fmt.Sprint("..", i), fmt.Sprint("..", i-1)
		s.mkdir(next)
		write(t, s.path(next, "a.cfg"), fmt.Sprint(i))
		s.symlink(next, "..data_tmp")
		s.rename("..data_tmp", "..data")
		s.remove(last)
		wantCall(t, calls)
		for text := ""; text != fmt.Sprint(i); wantCallUnless(t, calls, text == fmt.Sprint(i)) {
			b, err := os.ReadFile(s.path("a.cfg"))
			must(t, err)
			text = string(b)
		}
	}
}

// wantCallUnless waits for a call unless what was waited for is there.
func wantCallUnless(t *testing.T, calls <-chan state, there bool) {
	t.Helper()
	if !there {
		wantCall(t, calls)
	}
}
