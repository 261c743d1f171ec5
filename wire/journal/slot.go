package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// slot is the value of a two-slot file.
type slot struct {
	generation uint64
	seq        uint64
	ordinal    uint64
}

var errBadSlots = errors.New("both copies are damaged or of another version")

func encodeSlot(s slot) []byte {
	b := make([]byte, slotSize)
	copy(b, slotMagic)
	le := binary.LittleEndian
	le.PutUint32(b[4:], formatVersion)
	le.PutUint64(b[8:], s.generation)
	le.PutUint64(b[16:], s.seq)
	le.PutUint64(b[24:], s.ordinal)
	le.PutUint32(b[36:], crc32.Checksum(b[:36], castagnoli()))
	return b
}

func decodeSlot(b []byte) (slot, bool) {
	le := binary.LittleEndian
	if len(b) < slotSize || string(b[:4]) != slotMagic || le.Uint32(b[4:]) != formatVersion ||
		le.Uint32(b[36:]) != crc32.Checksum(b[:36], castagnoli()) {
		return slot{}, false
	}
	s := slot{le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])}
	return s, s.seq < maxSeq
}

// readSlots returns the newest good slot; fs.ErrNotExist if there is no file,
// errBadSlots if it holds no good one.
func readSlots(path string) (slot, error) {
	// Not the asker of the segments: a bad sector there must not cost a cursor.
	b, err := new(disk.Asker).ReadFile(path)
	if err != nil {
		return slot{}, err
	}
	b = b[:min(len(b), slotSecond+slotSize)]
	best, ok := decodeSlot(b)
	if len(b) > slotSecond {
		if s, good := decodeSlot(b[slotSecond:]); good && (!ok || s.generation > best.generation) {
			best, ok = s, true
		}
	}
	if !ok {
		return slot{}, errBadSlots
	}
	return best, nil
}

// writeSlot stores s under the next generation, over the older of the two slots,
// and returns it as stored. A file that is not there, or empty because it was
// made on a full disk, gets both.
func writeSlot(path string, s slot, sync bool) (slot, error) {
	s.generation++
	return s, writeTwoSlots(path, encodeSlot(s), s.generation, sync)
}

// writeTwoSlots writes what of a two-slot file is of that generation.
func writeTwoSlots(path string, b []byte, generation uint64, sync bool) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return &DiskError{"open", path, err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return &DiskError{"look at", path, err}
	}
	fresh := info.Size() < slotSecond+int64(len(b))
	places := []int64{int64(generation%2) * slotSecond}
	if fresh {
		places = []int64{0, slotSecond}
	}
	for _, at := range places {
		if _, err := f.WriteAt(b, at); err != nil {
			return &DiskError{"write", path, err}
		}
	}
	if !sync {
		return nil
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return &DiskError{"flush", path, err}
	}
	if fresh {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// syncDir makes new and removed names of dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return &DiskError{"open directory", dir, err}
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return &DiskError{"flush directory", dir, err}
	}
	return nil
}
