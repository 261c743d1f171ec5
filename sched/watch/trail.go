package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many symlinks a path may lead through, as in the kernel.
const maxLinks = 40

// step is an entry that was looked up on the way along a path.
type step struct {
	dir, name string
	info      fs.FileInfo // of the entry itself; nil if it is not there
	link      string      // where it points, if it is a symlink
}

// trail is all that decides where a path leads. target is the directory that it
// leads to, with no symlink in it, or "".
type trail struct {
	steps  []step
	target string
}

// follow looks up an absolute path, entry by entry.
func follow(path string) trail {
	var t trail
	dir := string(filepath.Separator)
	rest := split(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		here := filepath.Join(dir, name)
		s := step{dir: dir, name: name}
		s.info, _ = os.Lstat(here) // whatever the reason, it is not there for us
		if s.info != nil && s.info.Mode()&fs.ModeSymlink != 0 {
			s.link, _ = os.Readlink(here)
		}
		t.steps = append(t.steps, s)
		switch {
		case s.info != nil && s.info.IsDir():
			dir = here
		case s.link != "" && links < maxLinks:
			links++
			if filepath.IsAbs(s.link) {
				dir = string(filepath.Separator)
			}
			rest = append(split(s.link), rest...)
		default:
			return t
		}
	}
	t.target = dir
	return t
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, string(filepath.Separator)),
		func(name string) bool { return name == "" || name == "." })
}

// same tells whether both lead along the same entries.
func (t trail) same(other trail) bool {
	return t.target == other.target && slices.EqualFunc(t.steps, other.steps, func(a, b step) bool {
		if a.dir != b.dir || a.name != b.name || a.link != b.link || (a.info == nil) != (b.info == nil) {
			return false
		}
		return a.info == nil || os.SameFile(a.info, b.info)
	})
}

// dirs returns the directories that must be watched, the outer ones first.
func (t trail) dirs() []string {
	var dirs []string
	for _, s := range t.steps {
		if !slices.Contains(dirs, s.dir) {
			dirs = append(dirs, s.dir)
		}
	}
	if t.target != "" && !slices.Contains(dirs, t.target) {
		dirs = append(dirs, t.target)
	}
	return dirs
}

type concern int

const (
	nothing  concern = iota
	inside           // an entry of the directory
	onTheWay         // something that decides where the path leads
)

// concerns tells what an event of that path means.
func (t trail) concerns(path string) concern {
	for _, s := range t.steps {
		if path == filepath.Join(s.dir, s.name) || path == s.dir {
			return onTheWay
		}
	}
	switch {
	case t.target == "":
		return nothing
	case path == t.target:
		return onTheWay
	case filepath.Dir(path) == t.target:
		return inside
	}
	return nothing
}
