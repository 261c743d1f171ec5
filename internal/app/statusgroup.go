package app

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"syscall"
)

const (
	groupPasses = 0o010
	modeBits    = 0o7777
)

// noGroup stands for the group of no --status-group.
const noGroup = -1

// findStatusGroup looks up the group, a name or a number, that may ask how the
// daemon is doing.
func findStatusGroup(name string) (gid int, err error) {
	if name == "" {
		return noGroup, nil
	}
	id, err := lookupGroup(name)
	if err != nil {
		return noGroup, misuse{fmt.Errorf("--status-group: %w", err)}
	}
	if gid, err = strconv.Atoi(id); err != nil || os.Geteuid() == 0 {
		return gid, err
	}
	groups, err := os.Getgroups()
	if err == nil && gid != os.Getegid() && !slices.Contains(groups, gid) {
		err = misuse{fmt.Errorf("--status-group: the daemon's user is not in group %s and cannot give it the socket: add the user to it, or start as root, with --user", name)}
	}
	return gid, err
}

// letPass has the group reach the socket in the state directory and nothing else
// there: it may pass through, and the socket takes its group from the directory.
func letPass(gid int, dir string, mode fs.FileMode, who *identity) error {
	if gid == noGroup {
		return nil
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("--status-group: %w", err)
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil {
		return fmt.Errorf("--status-group: %w", err)
	}
	// What is the directory of somebody else is not ours to open.
	is, uid := info.Sys().(*syscall.Stat_t), os.Geteuid()
	if who != nil {
		uid = who.uid
	}
	if int(is.Uid) != uid {
		return misuse{fmt.Errorf("--status-group: the state directory %s belongs to user %d, and not to the daemon's user %d: give it to that one", dir, is.Uid, uid)}
	}
	want := is.Mode&modeBits&^syscall.S_ISGID | groupPasses
	if os.Geteuid() == 0 && who != nil && !slices.Contains(who.groups, gid) {
		want |= syscall.S_ISGID // who then is not in the group cannot give it the socket: the kernel does
	}
	if int(is.Gid) != gid {
		if err := d.Chown(-1, gid); err != nil {
			return fmt.Errorf("--status-group: %w", err)
		}
	} else if want == is.Mode&modeBits {
		return nil
	}
	if err := syscall.Fchmod(int(d.Fd()), want); err != nil {
		return fmt.Errorf("--status-group: let the group pass through %s: %w", dir, err)
	}
	return nil
}
