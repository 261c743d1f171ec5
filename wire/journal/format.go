package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// The directory of a journal holds
//
//	lock                 flock'ed by the process that has it open; holds its pid
//	state                a two-slot file: the sequence floor and the record count
//	clock                a two-slot file: how old the journal is, see clockfile.go
//	NAME.cursor          a two-slot file for each reader, NAME path-escaped
//	NNNNNNNNNNNNNNNNNNNN.seg   segments, named by their first sequence in decimal
//
// All numbers are little-endian, all checksums CRC-32C (Castagnoli).
//
// A segment begins with a block of 4096 bytes that holds the same header twice,
// at 0 and at 2048, so that one bad sector does not take a whole segment along:
//
//	magic [8] | version u32 | 0 u32 | first sequence u64 | ordinal u64 |
//	first sequence of the segment before u64 | creation i64 (ns) | salt u64 |
//	age u32 (s) | crc u32 over the 60 bytes before it
//
// The ordinal counts the records ever flushed before this segment. Sequences may
// jump, ordinals do not: they tell how many records a missing file held. The age
// is the journal's at that time (age.go); 0 is what releases without it wrote.
//
// Batches follow: a mark, then its records.
//
//	mark:   magic [8] | bytes of records u32 | records u32 | time i64 (ns) |
//	        first sequence u64 | age u32 (s) | crc u32 over the salt and the 36 bytes before it
//	record: length of payload u32 | crc u32 | sequence u64 | payload
//	        (the crc covers the length, the sequence and the payload)
//
// Within one segment the sequences have no gap: a jump begins a new segment. So
// what damage took away can be counted exactly. The salt is random: no payload
// can pose as a mark to a search that looks for the next one.
//
// A two-slot file holds at 0 and at 512 a slot of 40 bytes, written in turn; the
// good one with the higher generation counts:
//
//	magic [4] | version u32 | generation u64 | sequence u64 | ordinal u64 |
//	0 u32 | crc u32 over the 36 bytes before it
//
// In a cursor these are the last acknowledged sequence and the number of records
// ever flushed up to it. In the state they are the lowest sequence that may be
// handed out after a crash and the number of records ever flushed. The floor is
// written seqReserve ahead when readers see unflushed records, so that a sequence
// that a crash took from the disk, but not from a peer, never comes again.
//
// Flow of a flush: write the batches behind the last good byte, fdatasync, sync
// the directory if the segment is new, and only then publish. After a failed
// write the file is cut back to the last good byte; after a failed fdatasync it
// is cut back and never written again. Records that the cut did not reach are
// ignored by the ordinal of the next segment.
//
// Flow of a start: lock, read all headers, scan the last segment to its end, cut
// its torn tail behind the last good record, flush it. A segment that cannot be
// used (future version, no readable header, no permission) is set aside: named,
// skipped, left untouched.
const (
	segmentMagic  = "MPJSEG\r\n"
	batchMagic    = "\xf7MPJ\x00\xb1\r\n"
	slotMagic     = "MPJC"
	formatVersion = 1

	headerSize   = 64
	headerSecond = 2048 // offset of the second copy
	headerBlock  = 4096 // where the first batch begins
	markSize     = 40
	recordHeader = 16

	slotSize   = 40
	slotSecond = 512

	// MaxPayload is the most bytes that one record can hold.
	MaxPayload = 16 << 20

	batchTarget = 64 << 10    // a batch ends at the first record beyond it
	batchSpan   = time.Second // records further apart do not share a batch, and so its time
	maxBatch    = batchTarget + recordHeader + MaxPayload

	mostSpares = 16 // buffers of about batchTarget that are kept for the next batches

	seqReserve = 1 << 32 // sequences reserved ahead of use
	maxSeq     = 1 << 63 // none is ever this high: one that is read is damage

	segmentSuffix = ".seg"
	cursorSuffix  = ".cursor"
	stateName     = "state"
	lockName      = "lock"
)

// castagnoli is made at its first use: a command that only sends something
// would pay for it at every start.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

type header struct {
	first   uint64
	ordinal uint64
	prev    uint64
	created stamp
	salt    uint64
}

var errNoHeader = errors.New("no readable segment header")

// versionError is a segment that a later release wrote.
type versionError uint32

func (v versionError) Error() string {
	return fmt.Sprintf("segment of format version %d, this release reads version %d", uint32(v), formatVersion)
}

func encodeHeader(h header) []byte {
	b := make([]byte, headerBlock)
	copy(b, segmentMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], formatVersion)
	le.PutUint64(b[16:], h.first)
	le.PutUint64(b[24:], h.ordinal)
	le.PutUint64(b[32:], h.prev)
	le.PutUint64(b[40:], uint64(h.created.wall))
	le.PutUint64(b[48:], h.salt)
	le.PutUint32(b[56:], storedSeconds(h.created.age))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli()))
	copy(b[headerSecond:], b[:headerSize])
	return b
}

// decodeHeader returns the first good copy; b may be shorter than the block.
func decodeHeader(b []byte) (header, error) {
	err := errNoHeader
	for _, at := range []int{0, headerSecond} {
		if len(b) < at+headerSize {
			break
		}
		c := b[at : at+headerSize]
		if string(c[:8]) != segmentMagic {
			continue
		}
		le := binary.LittleEndian
		if v := le.Uint32(c[8:]); v != formatVersion {
			err = versionError(v)
			continue
		}
		if le.Uint32(c[60:]) != crc32.Checksum(c[:60], castagnoli()) {
			continue
		}
		return header{
			first:   le.Uint64(c[16:]),
			ordinal: le.Uint64(c[24:]),
			prev:    le.Uint64(c[32:]),
			created: stamp{int64(le.Uint64(c[40:])), fromSeconds(le.Uint32(c[56:]))},
			salt:    le.Uint64(c[48:]),
		}, nil
	}
	return header{}, err
}

// saltCRC is the checksum that those of a segment's marks go on from.
func saltCRC(salt uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return crc32.Checksum(b[:], castagnoli())
}

type mark struct {
	length uint32
	count  uint32
	at     stamp
	first  uint64
}

func (m mark) after() uint64 { return m.first + uint64(m.count) }

func encodeMark(b []byte, m mark, salt uint32) {
	copy(b, batchMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], m.length)
	le.PutUint32(b[12:], m.count)
	le.PutUint64(b[16:], uint64(m.at.wall))
	le.PutUint64(b[24:], m.first)
	le.PutUint32(b[32:], storedSeconds(m.at.age))
	le.PutUint32(b[36:], crc32.Update(salt, castagnoli(), b[:36]))
}

func decodeMark(b []byte, salt uint32) (mark, bool) {
	le := binary.LittleEndian
	if !bytes.Equal(b[:8], []byte(batchMagic)) || le.Uint32(b[36:]) != crc32.Update(salt, castagnoli(), b[:36]) {
		return mark{}, false
	}
	m := mark{length: le.Uint32(b[8:]), count: le.Uint32(b[12:]), first: le.Uint64(b[24:]),
		at: stamp{int64(le.Uint64(b[16:])), fromSeconds(le.Uint32(b[32:]))}}
	ok := m.count > 0 && m.length <= maxBatch && uint64(m.count)*recordHeader <= uint64(m.length) &&
		m.first > 0 && m.first < maxSeq
	return m, ok
}

func appendRecord(b []byte, seq uint64, payload []byte) []byte {
	at := len(b)
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, seq)
	b = append(b, payload...)
	le.PutUint32(b[at+4:], recordCRC(b[at:]))
	return b
}

// recordCRC is over everything in the record but the checksum itself.
func recordCRC(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[:4], castagnoli()), castagnoli(), rec[8:])
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// parseSegmentName tells whether name is a segment's, and its first sequence.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0 && first < maxSeq && segmentName(first) == name
}
