package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// identity is a user to become.
type identity struct {
	name     string
	uid, gid int
	groups   []int // gid among them
}

// findIdentity looks up the user and the group, each a name or a number. It is
// nil if neither is asked for.
func findIdentity(userName, groupName string) (*identity, error) {
	if userName == "" && groupName == "" {
		return nil, nil
	}
	u, err := lookupUser(userName)
	if err != nil {
		return nil, misuse{fmt.Errorf("--user: %w", err)}
	}
	who := &identity{name: u.Username}
	if who.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	gid := u.Gid
	if groupName != "" {
		if gid, err = lookupGroup(groupName); err != nil {
			return nil, misuse{fmt.Errorf("--group: %w", err)}
		}
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("find the groups of user %s: %w", u.Username, err)
	}
	for _, id := range append([]string{gid}, groups...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(who.groups, n) {
			who.groups = append(who.groups, n)
		}
	}
	who.gid = who.groups[0]
	if os.Geteuid() != 0 && (who.uid != os.Geteuid() || who.gid != os.Getegid()) {
		return nil, misuse{fmt.Errorf("--user, --group: only root can become %s; start it as root, or leave them out", who.name)}
	}
	return who, nil
}

func lookupUser(name string) (*user.User, error) {
	if name == "" {
		return user.Current()
	}
	u, err := user.Lookup(name)
	if _, number := strconv.Atoi(name); err != nil && number == nil {
		u, err = user.LookupId(name)
	}
	return u, err
}

func lookupGroup(name string) (gid string, err error) {
	g, err := user.LookupGroup(name)
	if _, number := strconv.Atoi(name); err != nil && number == nil {
		g, err = user.LookupGroupId(name)
	}
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// become drops what root may for good, in all threads. The order matters: who
// is no longer root cannot change groups.
func (i *identity) become() error {
	if os.Geteuid() != 0 {
		return nil // it is the user already
	}
	for step, do := range []func() error{
		func() error { return syscall.Setgroups(i.groups) },
		func() error { return syscall.Setgid(i.gid) },
		func() error { return syscall.Setuid(i.uid) },
	} {
		if err := do(); err != nil {
			return fmt.Errorf("become user %s (%s): %w", i.name, [...]string{"setgroups", "setgid", "setuid"}[step], err)
		}
	}
	return nil
}

// own makes a directory for the user. One that is there is given to the user
// only while it is empty and root's: what others put there is not ours to give.
func (i *identity) own(dir string, mode os.FileMode) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		if ours, err := emptyOfRoot(dir); err != nil || !ours {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := os.Lchown(dir, i.uid, i.gid); err != nil {
		return fmt.Errorf("give the state directory to %s: %w", i.name, err)
	}
	return nil
}

func emptyOfRoot(dir string) (bool, error) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != 0 {
		return false, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	return errors.Is(err, io.EOF), nil
}
