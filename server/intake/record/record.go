// Package record is what the server's journal holds: a result as it came over
// the wire, and beside it what the server knows about it.
package record

import (
	"fmt"

	"massive-passive/wire"
	"massive-passive/wire/check"
)

// Origin is what the server knows about a result. A peer whose protocol has no
// instances leaves Instance zero.
type Origin struct {
	Client   string // the name under which its certificate is listed
	Instance wire.Instance
	Sequence uint64
	Received int64  // microseconds since the Unix epoch, by the server's clock
	Remember uint32 // seconds to remember the instance
}

// Record is one entry of the journal. Result is a result's encoding.
type Record struct {
	Origin
	Result []byte
}

const (
	fieldClient   = 1
	fieldInstance = 2
	fieldSequence = 3
	fieldReceived = 4
	fieldRemember = 5
	fieldResult   = 6
)

// Append appends the encoding of r to b.
func (r *Record) Append(b []byte) []byte {
	b = check.AppendBytes(b, fieldClient, r.Client)
	if r.Instance != (wire.Instance{}) {
		b = check.AppendBytes(b, fieldInstance, r.Instance[:])
	}
	b = check.AppendVarint(b, fieldSequence, r.Sequence)
	b = check.AppendVarint(b, fieldReceived, uint64(r.Received))
	b = check.AppendVarint(b, fieldRemember, uint64(r.Remember))
	return check.AppendBytes(b, fieldResult, r.Result)
}

// Decode makes r the record that b encodes; after an error it is the zero one.
// Result is a part of b. A client's name that r has already is not made again.
func (r *Record) Decode(b []byte) error {
	client := r.Client
	*r = Record{}
	f := check.NewFields(b)
	for f.Next(fieldResult) {
		switch f.Number() {
		case fieldClient:
			r.Client = check.Same(client, f.Bytes())
		case fieldInstance:
			copy(r.Instance[:], f.Bytes())
		case fieldSequence:
			r.Sequence = f.Uint(1<<64 - 1)
		case fieldReceived:
			r.Received = int64(f.Uint(1<<64 - 1))
		case fieldRemember:
			r.Remember = uint32(f.Uint(1<<32 - 1))
		case fieldResult:
			r.Result = f.Bytes()
		}
	}
	if _, err := f.End(); err != nil {
		*r = Record{}
		return fmt.Errorf("record of the journal: %w", err)
	}
	return nil
}
