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

// stamp stands for what decides what the files of a directory say, as far as
// that can be told without reading them. The zero one is that of a directory
// that is not there.
type stamp struct {
	files int
	sum   uint64 // of the hashes of all, in whatever order they come
}

// clientFile tells whose file this is, of those that count.
func clientFile(name, suffix string) (client string, ok bool) {
	client, ok = strings.CutSuffix(name, suffix)
	return client, ok && client != "" && !strings.HasPrefix(name, ".")
}

// look stamps the directory. It follows symlinks: what changes behind one makes
// no event here, nor does what another machine changes on a network file system.
func (d *Directory) look() (stamp, error) {
	dir, err := os.Open(d.path)
	if err != nil {
		return stamp{}, err
	}
	defer dir.Close()
	sum, fd := stamp{files: 1}, int(dir.Fd()) // itself
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			sum.add(fd, name, d.seed)
		}
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return stamp{}, err
		}
	}
}

func (s *stamp) add(dir int, name string, seed maphash.Seed) {
	_, isCert := clientFile(name, ".pem")
	if _, isPolicy := clientFile(name, ".json"); !isCert && !isPolicy {
		return
	}
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
		now, err = stamp{}, nil
	}
	return err != nil || now != d.current.Load().stamp
}
