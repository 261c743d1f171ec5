package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// swapFile is a file that is replaced as a whole and needs no room on the disk
// for that: beside it lies another one, whose blocks are written over, and the
// two change names. A file made anew for each change would be refused on a full
// disk, which only the change can help to empty. Both are as long as they ever
// had to be: blanks stand behind what they hold.
type swapFile struct{ file string }

const (
	swapSuffix   = ".spare"
	swapMinBytes = 64 << 10 // bytes that a file has
)

func (s swapFile) other() string { return s.file + swapSuffix }

// replace leaves the old content or the new one, whatever happens, and
// returns when the new one is durable.
func (s swapFile) replace(data []byte) error {
	f, err := os.OpenFile(s.other(), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		blanks := max(info.Size(), swapMinBytes) - int64(len(data))
		_, err = f.WriteAt(append(data, bytes.Repeat([]byte(" "), int(max(blanks, 0)))...), 0)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.swap(); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(s.file))
}

// swap exchanges the names of the file and of the other one beside it.
func (s swapFile) swap() error {
	err := unix.Renameat2(unix.AT_FDCWD, s.other(), unix.AT_FDCWD, s.file, unix.RENAME_EXCHANGE)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// There is no file yet, or the file system cannot exchange names, as NFS:
		// there is no other file then, and the next change needs room.
		return os.Rename(s.other(), s.file)
	}
	if err != nil {
		return fmt.Errorf("have %s and %s change names: %w", s.other(), s.file, err)
	}
	return nil
}

// reserve makes room for data of so many bytes, in both files, while the disk
// has some. rewrite replaces the file with what it holds already.
func (s swapFile) reserve(need int, rewrite func() error) error {
	ample := max(2*need, swapMinBytes) // so that it is not needed again soon
	if sizeOfFile(s.file) < int64(need) {
		if err := s.extend(ample); err != nil {
			return err
		}
		if err := rewrite(); err != nil {
			return err
		}
	}
	if sizeOfFile(s.other()) < int64(need) {
		return s.extend(ample)
	}
	return nil
}

// extend makes the other file at least so many bytes long.
func (s swapFile) extend(size int) error {
	f, err := os.OpenFile(s.other(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		// Written, not allocated: blocks that were never written may need more
		// when they are.
		_, err = f.Write(bytes.Repeat([]byte(" "), max(size-int(info.Size()), 0)))
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// sizeOfFile is -1 where there is none.
func sizeOfFile(file string) int64 {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}
