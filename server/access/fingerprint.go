package access

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// fileFingerprint changes when some files do, as far as that can be told without
// reading them. The zero one is that of none.
type fileFingerprint struct {
	files int
	sum   uint64 // of the hashes of all, in whatever order they come
}

// dirFingerprint is what stat tells of the directory at one moment. The zero one is
// that of a directory that is not there.
type dirFingerprint struct {
	all    fileFingerprint // of the directory and all its files that count
	dir    fileFingerprint // of the directory, which changes when a name in it does
	links  []string        // those of the files that are symlinks
	linked fileFingerprint // of what these lead to
	events bool            // whether a change of another file makes an event
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

// look sees the whole directory and returns its entries. It follows symlinks.
func (d *Directory) look(ctx context.Context) (dirFingerprint, []fs.DirEntry, error) {
	now := dirFingerprint{all: fileFingerprint{files: 1}} // itself, if it is there
	d.see(ctx, &now.dir, "", false)                       // before its names: what is added from here on is seen next time
	entries, err := d.plain.ReadDir(ctx, d.path)
	if err != nil {
		return dirFingerprint{}, nil, err
	}
	now.events = d.eventful(ctx)
	for _, e := range entries {
		_, isCert := clientFile(e.Name(), ".pem")
		if _, isPolicy := clientFile(e.Name(), ".json"); !isCert && !isPolicy {
			continue
		}
		link := e.Type()&fs.ModeSymlink != 0
		one := d.see(ctx, &now.all, e.Name(), link)
		if link {
			now.links = append(now.links, e.Name())
			now.linked.sum += one
			now.linked.files++
		}
	}
	return now, entries, ctx.Err()
}

// eventful tells whether the directory's file system tells of each change.
func (d *Directory) eventful(ctx context.Context) bool {
	system, err := disk.Within(ctx, &d.plain, d.path, func() (kind unix.Statfs_t, err error) {
		return kind, unix.Statfs(d.path, &kind)
	})
	return err == nil && ownFileSystems[uint32(system.Type)]
}

// unanswered stands in a fingerprint for what the disk does not answer about. It is the
// same until it does.
const unanswered = -1

// see adds to s what is to be seen of a file of the directory, or with no name of
// the directory itself, and returns what it added to the sum.
func (d *Directory) see(ctx context.Context, s *fileFingerprint, name string, link bool) uint64 {
	path := filepath.Join(d.path, name)
	is, err := disk.Within(ctx, d.reader(link), path, func() (is unix.Stat_t, err error) {
		return is, unix.Stat(path, &is)
	})
	why, known := err.(syscall.Errno)
	if err != nil && !known {
		why = 0
		is = unix.Stat_t{Size: unanswered}
	}
	var numbers [6 * 8]byte
	for i, n := range [...]int64{int64(why), int64(is.Dev), int64(is.Ino), is.Size, is.Mtim.Nano(), is.Ctim.Nano()} {
		binary.LittleEndian.PutUint64(numbers[8*i:], uint64(n))
	}
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(name)
	h.Write(numbers[:])
	s.files++
	s.sum += h.Sum64()
	return h.Sum64()
}

// reader is who to ask about a file. Those that links lead to have one of their
// own: where all of them lie on a file server that is away, the others are read
// all the same.
func (d *Directory) reader(link bool) *disk.Reader {
	if link {
		return &d.linked
	}
	return &d.plain
}

// gone tells an error that means that something is not there from one that
// means that nobody knows.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// unreadable tells that a file cannot be read for now: it is the disk, the file
// server, or this process's limit of open files that fails, not the file.
func unreadable(err error) bool {
	return disk.MayPass(err) && !gone(err) || errors.Is(err, context.Canceled)
}

// Changed tells whether the directory may say something else than when it was
// last read. It reads no file.
func (d *Directory) Changed(ctx context.Context) bool {
	now, _, err := d.look(ctx)
	if gone(err) {
		now, err = dirFingerprint{}, nil
	}
	return err != nil || now.all != d.current.Load().fingerprint.all
}

// ChangedUnseen is for who watches the directory. It tells at once of what makes
// no event there: what changes behind a symlink, or on a network file system,
// where another machine may have done it.
func (d *Directory) ChangedUnseen(ctx context.Context) bool {
	before := d.current.Load().fingerprint
	if !before.events {
		return d.Changed(ctx)
	}
	var itself, linked fileFingerprint
	if d.see(ctx, &itself, "", false); itself != before.dir {
		return d.Changed(ctx)
	}
	for _, name := range before.links {
		d.see(ctx, &linked, name, true)
	}
	return linked != before.linked
}
