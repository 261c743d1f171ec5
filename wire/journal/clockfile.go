package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"time"
)

// The file "clock" is a two-slot file as the others, with slots of its own:
//
//	magic [4] | version u32 | generation u64 | boot id [16] | uptime i64 |
//	age i64 | clock right at: wall i64, age i64 | lapse i64 |
//	16 times: lapse at i64, more i64 | 0 u32 | crc u32 over what is before it
//
// All times are in ns. Releases before it ignore the file, and the ages in headers
// and marks; what they write has age 0 there. So either may follow the other.
const (
	clockName    = "clock"
	clockMagic   = "MPJT"
	clockVersion = 1
	clockSize    = 4 + 4 + 8 + 16 + 5*8 + mostLapses*16 + 8
)

func encodeClock(c clockState, generation uint64) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, clockSize), clockMagic...)
	b = le.AppendUint32(b, clockVersion)
	b = le.AppendUint64(b, generation)
	b = append(b, c.boot[:]...)
	for _, n := range []int64{c.up, c.age, c.right.wall, c.right.age, c.lapse} {
		b = le.AppendUint64(b, uint64(n))
	}
	for i := range mostLapses {
		var l lapse
		if i < len(c.lapses) {
			l = c.lapses[i]
		}
		b = le.AppendUint64(le.AppendUint64(b, uint64(l.at)), uint64(l.more))
	}
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func decodeClock(b []byte) (c clockState, generation uint64, ok bool) {
	le := binary.LittleEndian
	if len(b) < clockSize || string(b[:4]) != clockMagic || le.Uint32(b[4:]) != clockVersion ||
		le.Uint32(b[clockSize-4:]) != crc32.Checksum(b[:clockSize-4], castagnoli()) {
		return clockState{}, 0, false
	}
	generation = le.Uint64(b[8:])
	copy(c.boot[:], b[16:])
	b = b[32:]
	for _, n := range []*int64{&c.up, &c.age, &c.right.wall, &c.right.age, &c.lapse} {
		*n = int64(le.Uint64(b))
		b = b[8:]
	}
	for range mostLapses {
		l := lapse{int64(le.Uint64(b)), int64(le.Uint64(b[8:]))}
		b = b[16:]
		if l == (lapse{}) {
			break
		}
		c.lapses = append(c.lapses, l)
	}
	return c, generation, c.age > 0
}

// loadClock takes the age that an earlier process stored. Without one, the
// journal is as old as its newest record.
func (r *recovery) loadClock() {
	path := filepath.Join(r.j.o.Dir, clockName)
	t := &r.j.time
	data, err := r.asker.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, at := range []int{0, slotSecond} {
		if len(data) < at {
			break
		}
		if c, generation, ok := decodeClock(data[at:]); ok && generation > t.generation {
			t.clockState, t.generation = c, generation
		}
	}
	if t.generation > 0 {
		t.storedAge = t.age
		return
	}
	if err == nil {
		err = errBadSlots
	}
	r.j.damage(Damage{path, 0, fmt.Sprintf("clock not used (%v), what waits counts as no older than the newest record", err), 0, false})
}

// newestAge is the highest age that is known of a record, in ns.
func (r *recovery) newestAge() (newest int64) {
	for _, s := range r.segs {
		newest = max(newest, s.header.created.age)
	}
	return max(newest, r.newest)
}

// saveClock stores how old the journal is, if that is due. The owner calls it.
func (j *Journal) saveClock(now bool) error {
	j.mu.Lock()
	m := j.time.clock.now()
	j.time.look(m)
	if now || j.time.age-j.time.asked >= int64(askClock) {
		j.time.compare(m)
	}
	state, generation := j.time.clockState, j.time.generation+1
	due := now || j.time.dirty || state.age-j.time.storedAge >= int64(storeClock)
	j.mu.Unlock()
	if !due {
		return nil
	}
	path := filepath.Join(j.o.Dir, clockName)
	if err := writeTwoSlots(path, encodeClock(state, generation), generation, !j.o.NoSync); err != nil {
		return j.note(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.time.generation, j.time.storedAge, j.time.dirty = generation, state.age, false
	return nil
}

// storedSeconds is an age as marks and headers hold it: in whole seconds, so that
// it takes the four bytes that earlier releases left free, and rounded up, so that
// no record is taken for older than it is.
func storedSeconds(age int64) uint32 {
	return uint32(min((age+int64(time.Second)-1)/int64(time.Second), 1<<32-1))
}

func fromSeconds(s uint32) int64 { return int64(s) * int64(time.Second) }
