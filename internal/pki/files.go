package pki

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"massive-passive/internal/disk"
	"massive-passive/internal/option"
)

const (
	public  fs.FileMode = 0o644
	private fs.FileMode = 0o600 // keys, and archives that hold one
)

// file is one to be written.
type file struct {
	path    string
	data    []byte
	mode    fs.FileMode
	owner   *owner // nil: whoever runs the command
	replace bool   // what is there is meant to be replaced
}

// ExistsError names files that were not overwritten.
type ExistsError struct{ Paths []string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s: there already, and nothing was written; --force replaces it", strings.Join(e.Paths, ", "))
}

// writeAll writes all files durably, or none if one of them is there already
// with another content and may not be replaced.
func writeAll(files []file, force bool) error {
	var taken []string
	var missing []file
	for _, f := range files {
		old, err := os.ReadFile(f.path)
		switch {
		case err == nil && bytes.Equal(old, f.data):
			continue
		case err == nil && !force && !f.replace:
			taken = append(taken, f.path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		missing = append(missing, f)
	}
	if len(taken) > 0 {
		return &ExistsError{taken}
	}
	var dirs []string
	for _, f := range missing {
		if err := f.write(); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		dirs = append(dirs, filepath.Dir(f.path))
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := disk.SyncDir(dir); err != nil {
			return fmt.Errorf("make the files in %s durable: %w", dir, err)
		}
	}
	return nil
}

// admit has a daemon's key be readable to the group that was named with its owner.
// A key that takes another's place belongs to whom that did, and its group reads it
// if it could: somebody may have let scripts at it. One that is root's alone may be
// older than the daemon's user.
func (f *file) admit() {
	name := filepath.Base(f.path)
	if name != client.keyName() && name != server.keyName() {
		return
	}
	if f.owner != nil && f.owner.group {
		f.mode |= 0o040
	}
	if os.Geteuid() != 0 || f.owner != nil && !f.owner.usual {
		return
	}
	old, err := os.Stat(f.path)
	if err != nil {
		return
	}
	if st, ok := old.Sys().(*syscall.Stat_t); ok && (st.Uid != 0 || old.Mode()&0o040 != 0) {
		f.owner = &owner{uid: int(st.Uid), gid: int(st.Gid)}
		f.mode |= old.Mode() & 0o040
	}
}

// write puts a whole file in place of what was there, never a part of it.
func (f file) write() error {
	f.admit()
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // gone already, unless a step failed
	if f.owner != nil {
		err = temporary.Chown(f.owner.uid, f.owner.gid)
	}
	if err == nil {
		_, err = temporary.Write(f.data)
	}
	if err = errors.Join(err, temporary.Chmod(f.mode), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), f.path)
}

// owner is who a daemon runs as, and must be able to read its key.
type owner struct {
	uid, gid int
	usual    bool // nobody named it
	group    bool // a group was named: it is to read the key
}

// packagedUser is who daemons run as where they came as a package.
const packagedUser = "massive-passive"

// parseOwner reads USER or USER:GROUP, each a name or a number. For "" it is
// the packaged user where there is one and root asks, else nil.
func parseOwner(text string) (*owner, error) {
	usual := text == ""
	if usual {
		if _, err := user.Lookup(packagedUser); err != nil || os.Geteuid() != 0 {
			return nil, nil
		}
		text = packagedUser
	}
	name, group, named := strings.Cut(text, ":")
	o := &owner{usual: usual}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err == nil {
		o.uid, err = strconv.Atoi(u.Uid)
		o.gid, _ = strconv.Atoi(u.Gid)
	} else if o.uid, err = strconv.Atoi(name); err == nil {
		o.gid = -1 // a number that only a container knows: the group stays
	}
	if err != nil || o.uid < 0 {
		return nil, option.Wrong("--owner", fmt.Sprintf("there is no user %q", name))
	}
	if !named {
		return o, nil
	}
	if g, err := user.LookupGroup(group); err == nil {
		group = g.Gid
	}
	if o.gid, err = strconv.Atoi(group); err != nil || o.gid < 0 {
		return nil, option.Wrong("--owner", fmt.Sprintf("there is no group %q", group))
	}
	o.group = true
	return o, nil
}
