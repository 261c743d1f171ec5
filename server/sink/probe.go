package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probe finds out whether this process may write to the pipe, without writing.
func (c *CommandFile) Probe(context.Context) (found string, err error) {
	info, err := os.Stat(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s does not exist: start the core, or switch its external commands on", c.Path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", noEntry(c.Path)
	}
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeNamedPipe == 0 {
		return "", fmt.Errorf("%s is no named pipe but %s: remove it and restart the core", c.Path, info.Mode())
	}
	pipe, err := os.OpenFile(c.Path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", permission(c.Path, info)
	case errors.Is(err, syscall.ENXIO):
		return "the core is not running; it may be written to", nil
	case err != nil:
		return "", err
	}
	pipe.Close()
	return "the core reads it; it may be written to", nil
}

// Probe finds out whether this process may put files into the directory that
// the core can read, with one that the core passes over.
func (c *CheckResults) Probe(context.Context) (found string, err error) {
	info, err := os.Stat(c.Dir)
	if errors.Is(err, fs.ErrPermission) {
		return "", noEntry(c.Dir)
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is no directory: name the check_result_path of the core's configuration", c.Dir)
	}
	f, err := os.CreateTemp(c.Dir, c.temporary()+"*")
	if errors.Is(err, fs.ErrPermission) {
		return "", permission(c.Dir, info)
	}
	if err != nil {
		return "", err
	}
	sure, err := give(f, info, 0o640)
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return "", fmt.Errorf("let the core read a file of ours: %w", err)
	}
	if !sure {
		return "files may be put there, and the core reads them if its user is in the directory's group: there are no access lists here", nil
	}
	return "files may be put there", nil
}

// permission says who could give a missing permission.
func permission(path string, info fs.FileInfo) error {
	me := userName(os.Geteuid())
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("user %s may not write to %s", me, path)
	}
	if group := groupName(int(owner.Gid)); info.Mode()&writableByGroup != 0 && owner.Gid != 0 {
		return fmt.Errorf("user %s may not write to %s: put it into the group %s, which may (`usermod -aG %s %s`, then start the server anew)",
			me, path, group, group, me)
	}
	return fmt.Errorf("user %s may not write to %s, which belongs to %s:%s with mode %04o: give it to a group that is not root's and may write "+
		"(`chgrp GROUP` and `chmod g+w`; where the core makes it anew, by the core's own group), and put user %s into that group",
		me, path, userName(int(owner.Uid)), groupName(int(owner.Gid)), info.Mode().Perm(), me)
}

// noEntry says which directory above a path cannot be entered, and who could.
func noEntry(path string) error {
	dir := filepath.Dir(path)
	for unix.Faccessat(unix.AT_FDCWD, filepath.Dir(dir), unix.X_OK, unix.AT_EACCESS) != nil {
		dir = filepath.Dir(dir)
	}
	me := userName(os.Geteuid())
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && info.Mode()&enterableByGroup != 0 && owner.Gid != 0 {
		group := groupName(int(owner.Gid))
		return fmt.Errorf("user %s may not enter %s: put it into the group %s, which may (`usermod -aG %s %s`, then start the server anew)", me, dir, group, group, me)
	}
	return fmt.Errorf("user %s may not enter %s: give that to a group that is not root's and may (`chgrp GROUP` and `chmod g+x`), and put user %s into it", me, dir, me)
}

const (
	writableByGroup  fs.FileMode = 0o020
	enterableByGroup fs.FileMode = 0o010
)

func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

func groupName(gid int) string {
	number := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(number); err == nil {
		return g.Name
	}
	return number
}

// noHost is a host that no Icinga has: the name is one that it refuses.
const noHost = "massive-passive!probe"

// Probe asks each endpoint whether the user may hand in results, with one for
// a host that is not there.
func (c *IcingaAPI) Probe(ctx context.Context) (found string, err error) {
	someOnly, blind := false, false
	for _, base := range c.Endpoints {
		api := newIcingaAPI(base, c.User, c.Access)
		defer api.close()
		if err := api.meet(ctx); err != nil {
			return "", err
		}
		said, err := api.results.submit(ctx, []byte(`{"type":"Host","host":"`+noHost+`","exit_status":0,"plugin_output":""}`))
		if err != nil {
			return "", err
		}
		if outcome, final := said.verdict(); !final || outcome != RejectedNoObject {
			return "", fmt.Errorf("%s answers %d to a result: %s", base, said.code, said.message)
		}
		someOnly, blind = someOnly || api.someOnly, blind || api.process == ""
	}
	found = "results may be handed in"
	if someOnly {
		found += ", but for the objects that the filter on the user's permission leaves out: results of those are rejected"
	}
	if blind {
		found += "; " + c.blindness()
	}
	return found, nil
}

// Probe finds out whether the output is open for writing.
func (c *Stream) Probe(context.Context) (found string, err error) {
	flags, err := unix.FcntlInt(c.Out.Fd(), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY {
		err = fmt.Errorf("%s is open for reading only", c.Out.Name())
	}
	return "a line of JSON for each result", err
}
