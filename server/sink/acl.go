package sink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// accessList is the attribute that holds a file's POSIX access list, in the form
// of the kernel's linux/posix_acl_xattr.h.
const accessList = "system.posix_acl_access"

// diskSays are errors of a disk. All others mean that there are no access lists: of
// its file system, of a sandbox, of a user whom this container has no number for.
var diskSays = []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS}

// overflowUser is whom a container sees that has no number for a user.
const overflowUser = 65534

// letIn gives a user what mode gives the file's group, and all others what mode
// gives them, and tells whether it could.
func letIn(f *os.File, uid uint32, mode fs.FileMode) (done bool, err error) {
	const (
		version                                    = 2
		nobody                                     = ^uint32(0) // where an entry is for no user or group of its own
		ofOwner, ofUser, ofGroup, ofMask, ofOthers = 0x01, 0x02, 0x04, 0x10, 0x20
	)
	owner, group, others := uint16(mode>>6&7), uint16(mode>>3&7), uint16(mode&7)
	le := binary.LittleEndian
	list := le.AppendUint32(nil, version)
	for _, entry := range []struct {
		tag, may uint16
		id       uint32
	}{{ofOwner, owner, nobody}, {ofUser, group, uid}, {ofGroup, group, nobody}, {ofMask, group, nobody}, {ofOthers, others, nobody}} {
		list = le.AppendUint16(list, entry.tag)
		list = le.AppendUint16(list, entry.may)
		list = le.AppendUint32(list, entry.id)
	}
	if uid == overflowUser {
		return false, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var refused error
	if err := raw.Control(func(fd uintptr) { refused = unix.Fsetxattr(int(fd), accessList, list, 0) }); err != nil {
		return false, err
	}
	if !slices.ContainsFunc(diskSays, func(e error) bool { return errors.Is(refused, e) }) {
		return refused == nil, nil
	}
	return false, fmt.Errorf("let user %d at %s: %w", uid, f.Name(), refused)
}
