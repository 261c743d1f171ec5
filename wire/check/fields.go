package check

import (
	"encoding/binary"
	"fmt"
)

// FormatError says why bytes are no message in the canonical form.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "malformed message: " + e.Reason }

// Fields walks the fields of one Protocol Buffers message in its canonical
// form, the only one that is accepted on the wire and at rest: known fields in
// ascending order, each once (a repeated one in a row), varints in their
// shortest form, default values left out, fields of a later version after the
// known ones. Every official implementation writes this form by itself. It
// makes the encoding of a value unique, so that what decodes encodes to the
// same bytes.
//
// The first fault sticks: all later calls return zero values, and End tells.
type Fields struct {
	rest     []byte
	number   int
	kind     wireType
	repeated int
	last     int // the highest field that the caller knows
	err      error
}

// NewFields walks the message that is all of b.
func NewFields(b []byte) Fields { return Fields{rest: b} }

// NewRepeatedFields is NewFields for a message in which the field repeated
// may occur any number of times in a row.
func NewRepeatedFields(b []byte, repeated int) Fields {
	return Fields{rest: b, repeated: repeated}
}

// Next moves to the next field whose number is at most last, the highest that
// the caller knows. It returns false at the end of the known fields.
func (f *Fields) Next(last int) bool {
	f.last = last
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	number, kind, n := int(f.rest[0]>>3), wireType(f.rest[0]&7), 1
	if number == 0 || number > 15 { // not a tag of one byte, as ours are
		if number, kind, n = takeTag(f.rest); n == 0 || n != SizeVarint(uint64(number)<<3) {
			f.fail("bad field tag")
			return false
		}
	}
	if number > f.last {
		return false
	}
	if number < f.number || number == f.number && number != f.repeated {
		f.fail("field %d stands after field %d", number, f.number)
		return false
	}
	f.number, f.kind, f.rest = number, kind, f.rest[n:]
	return true
}

// Number returns the field's number.
func (f *Fields) Number() int { return f.number }

// Uint takes the field's value as a varint from 1 to limit.
func (f *Fields) Uint(limit uint64) uint64 {
	if f.kind != varintType {
		f.fail("field %d has wire type %d, not varint", f.number, f.kind)
		return 0
	}
	v, n := f.varint()
	switch {
	case n < 0:
		f.fail("field %d is no shortest varint", f.number)
	case v == 0:
		f.fail("field %d holds its default value", f.number)
	case v > limit:
		f.fail("field %d is %d, over %d", f.number, v, limit)
	default:
		f.rest = f.rest[n:]
		return v
	}
	return 0
}

// Bytes takes the field's value as length-delimited bytes, at least one unless
// the field is the repeated one. They are a part of the message, not a copy.
func (f *Fields) Bytes() []byte {
	if f.kind != bytesType {
		f.fail("field %d has wire type %d, not bytes", f.number, f.kind)
		return nil
	}
	length, n := f.varint()
	switch {
	case n < 0:
		f.fail("field %d has no shortest length", f.number)
	case length > uint64(len(f.rest)-n):
		f.fail("field %d is longer than its message", f.number)
	case length == 0 && f.number != f.repeated:
		f.fail("field %d holds its default value", f.number)
	default:
		v := f.rest[n : n+int(length) : n+int(length)]
		f.rest = f.rest[n+int(length):]
		return v
	}
	return nil
}

// varint reads a varint in its shortest form; n is its size, negative if there
// is none.
func (f *Fields) varint() (v uint64, n int) {
	if len(f.rest) > 0 && f.rest[0] < 1<<7 {
		return uint64(f.rest[0]), 1
	}
	if v, n = binary.Uvarint(f.rest); n != SizeVarint(v) {
		return 0, -1
	}
	return v, n
}

// End returns the fields of a later version as they stand, nil if there are
// none, or the first fault as a *FormatError.
func (f *Fields) End() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	for b := f.rest; len(b) > 0; {
		number, n := skipField(b)
		if n == 0 {
			return nil, &FormatError{"bad unknown field"}
		}
		if number <= f.last {
			return nil, &FormatError{fmt.Sprintf("field %d stands after an unknown one", number)}
		}
		b = b[n:]
	}
	if len(f.rest) == 0 {
		return nil, nil
	}
	return f.rest, nil
}

func (f *Fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = &FormatError{fmt.Sprintf(format, args...)}
	}
	f.rest = nil
}
