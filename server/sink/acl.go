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

// noList are errors that leave a file with its mode: of a file system without
// access lists, of a sandbox, of a user whom this container has no number for.
var noList = []error{unix.EOPNOTSUPP, unix.EPERM, unix.EINVAL}

// letIn gives a user what mode gives the file's group, and all others what mode
// gives them, where that can be.
func letIn(f *os.File, user uint32, mode fs.FileMode) error {
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
	}{{ofOwner, owner, nobody}, {ofUser, group, user}, {ofGroup, group, nobody}, {ofMask, group, nobody}, {ofOthers, others, nobody}} {
		list = le.AppendUint16(list, entry.tag)
		list = le.AppendUint16(list, entry.may)
		list = le.AppendUint32(list, entry.id)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	if err := raw.Control(func(fd uintptr) { refused = unix.Fsetxattr(int(fd), accessList, list, 0) }); err != nil {
		return err
	}
	if refused == nil || slices.ContainsFunc(noList, func(e error) bool { return errors.Is(refused, e) }) {
		return nil
	}
	return fmt.Errorf("let user %d at %s: %w", user, f.Name(), refused)
}
