package check

import (
	"encoding/binary"
	"math/bits"
)

// Protocol Buffers' own packages are not used: at every start of the program
// theirs read a part of its file, which a short command notices.

// wireType says how the value behind a tag is laid out.
type wireType int

const (
	varintType  wireType = 0
	fixed64Type wireType = 1
	bytesType   wireType = 2
	fixed32Type wireType = 5
)

// maxNumber is the highest number that a field can have.
const maxNumber = 1<<29 - 1

// takeTag reads the tag at the start of b; n is its size, 0 if there is none.
func takeTag(b []byte) (number int, kind wireType, n int) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v>>3 == 0 || v>>3 > maxNumber {
		return 0, 0, 0
	}
	return int(v >> 3), wireType(v & 7), n
}

// skipField returns the number and size of the field at the start of b, whatever
// it holds; n is 0 where there is none. Groups, which are no part of the
// language any more, are none.
func skipField(b []byte) (number, n int) {
	number, kind, n := takeTag(b)
	if n == 0 {
		return 0, 0
	}
	value := uint64(0)
	switch kind {
	case varintType:
		_, size := binary.Uvarint(b[n:])
		if size <= 0 {
			return 0, 0
		}
		value = uint64(size)
	case fixed64Type:
		value = 8
	case fixed32Type:
		value = 4
	case bytesType:
		length, size := binary.Uvarint(b[n:])
		if size <= 0 {
			return 0, 0
		}
		n, value = n+size, length
	default:
		return 0, 0
	}
	if value > uint64(len(b)-n) {
		return 0, 0
	}
	return number, n + int(value)
}

// SizeVarint returns how many bytes v takes as a varint.
func SizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendTag(b []byte, number int, kind wireType) []byte {
	return binary.AppendUvarint(b, uint64(number)<<3|uint64(kind))
}

// AppendLength appends what stands before the bytes of a length-delimited
// field.
func AppendLength(b []byte, number, length int) []byte {
	return binary.AppendUvarint(appendTag(b, number, bytesType), uint64(length))
}

// AppendVarint appends a varint field, or nothing where v is the default 0.
func AppendVarint(b []byte, number int, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(appendTag(b, number, varintType), v)
}

// AppendBytes appends a length-delimited field, or nothing where v is empty.
func AppendBytes[T ~string | ~[]byte](b []byte, number int, v T) []byte {
	if len(v) == 0 {
		return b
	}
	return append(AppendLength(b, number, len(v)), v...)
}

// zigzag maps numbers near zero, of either sign, to small ones.
func zigzag(v int32) uint64 { return uint64(uint32(v<<1) ^ uint32(v>>31)) }

func unzigzag(v uint64) int32 { return int32(uint32(v)>>1) ^ -int32(v&1) }

func fromBool(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}
