package access

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stamp stands for what decides what some files say, as far as that can be told
// without reading them. The zero one is that of none.
type stamp struct {
	files int
	sum   uint64 // of the hashes of all, in whatever order they come
}

// sight is what there is to be seen of the directory at one moment. The zero
// one is that of a directory that is not there.
type sight struct {
	all    stamp    // of the directory and all its files that count
	dir    stamp    // of the directory, which changes when a name in it does
	links  []string // those of the files that are symlinks
	linked stamp    // of what these lead to
	events bool     // whether a change of another file makes an event
}

// ownFileSystems are those that only this machine's kernel changes, so that it
// can tell of each change.
var ownFileSystems = map[uint32]bool{unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true,
	unix.F2FS_SUPER_MAGIC: true, unix.TMPFS_MAGIC: true, unix.RAMFS_MAGIC: true}

// clientFile tells whose file this is, of those that count.
func clientFile(name, suffix string) (client string, ok bool) {
	client, ok = strings.CutSuffix(name, suffix)
	return client, ok && client != "" && !strings.HasPrefix(name, ".")
}

// look sees the whole directory. It follows symlinks.
func (d *Directory) look() (sight, error) {
	now := sight{all: stamp{files: 1}}         // itself, if it is there
	now.dir.add(unix.AT_FDCWD, d.path, d.seed) // before its names: what is added from here on is seen next time
	dir, err := os.Open(d.path)
	if err != nil {
		return sight{}, err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	var system unix.Statfs_t
	now.events = unix.Fstatfs(fd, &system) == nil && ownFileSystems[uint32(system.Type)]
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			now.add(fd, e, d.seed)
		}
		if errors.Is(err, io.EOF) {
			return now, nil
		}
		if err != nil {
			return sight{}, err
		}
	}
}

func (s *sight) add(dir int, e os.DirEntry, seed maphash.Seed) {
	_, isCert := clientFile(e.Name(), ".pem")
	if _, isPolicy := clientFile(e.Name(), ".json"); !isCert && !isPolicy {
		return
	}
	s.all.add(dir, e.Name(), seed)
	if e.Type()&fs.ModeSymlink != 0 {
		s.links = append(s.links, e.Name())
		s.linked.add(dir, e.Name(), seed)
	}
}

func (s *stamp) add(dir int, name string, seed maphash.Seed) {
	var is unix.Stat_t
	why, _ := unix.Fstatat(dir, name, &is, 0).(syscall.Errno)
	var numbers [6 * 8]byte
	for i, n := range [...]int64{int64(why), int64(is.Dev), int64(is.Ino), is.Size, is.Mtim.Nano(), is.Ctim.Nano()} {
		binary.LittleEndian.PutUint64(numbers[8*i:], uint64(n))
	}
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(name)
	h.Write(numbers[:])
	s.files++
	s.sum += h.Sum64()
}

// gone tells an error that means that something is not there from one that
// means that nobody knows.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// unreadable tells that a file is there and should be readable: it is the disk,
// the file server, or this process's limit of open files that fails.
func unreadable(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && !gone(err) && !errors.Is(err, fs.ErrPermission) && errno != syscall.EISDIR
}

// Changed tells whether the directory may say something else than when it was
// last read. It reads no file.
func (d *Directory) Changed() bool {
	now, err := d.look()
	if gone(err) {
		now, err = sight{}, nil
	}
	return err != nil || now.all != d.current.Load().sight.all
}

// ChangedUnseen is for who watches the directory. It tells at once of what makes
// no event there: what changes behind a symlink, or on a network file system,
// where another machine may have done it.
func (d *Directory) ChangedUnseen() bool {
	before := d.current.Load().sight
	if !before.events {
		return d.Changed()
	}
	var itself, linked stamp
	if itself.add(unix.AT_FDCWD, d.path, d.seed); itself != before.dir {
		return d.Changed()
	}
	dir, err := os.Open(d.path)
	if err != nil {
		return d.Changed()
	}
	defer dir.Close()
	for _, name := range before.links {
		linked.add(int(dir.Fd()), name, d.seed)
	}
	return linked != before.linked
}
