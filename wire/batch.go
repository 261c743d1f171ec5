package wire

import (
	"massive-passive/wire/check"
)

// The fields of messages Batch and Entry in massive.proto.
const (
	batchInstance = 1
	batchEntries  = 2
	entrySequence = 1
	entryResult   = 2
)

// entryOverhead is the most that an entry's tags, lengths and sequence add to
// its Result.
const entryOverhead = 1 + 10 + 1 + 10 + 1 + 10

// BatchOverhead is the most that a batch adds to the Size of its entries.
const BatchOverhead = 1 + 1 + len(Instance{})

// Size returns an upper bound of what e takes in a batch.
func (e *Entry) Size() int { return entryOverhead + len(e.Result) + len(e.later) }

// Append appends the body of a BATCH.
func (m *Batch) Append(b []byte) []byte {
	b = check.AppendBytes(b, batchInstance, m.Instance[:])
	for _, e := range m.Entries {
		size := 1 + check.SizeVarint(e.Sequence)
		if len(e.Result) > 0 {
			size += 1 + check.SizeVarint(uint64(len(e.Result))) + len(e.Result)
		}
		size += len(e.later)
		b = check.AppendLength(b, batchEntries, size)
		b = check.AppendVarint(b, entrySequence, e.Sequence)
		b = append(check.AppendBytes(b, entryResult, e.Result), e.later...)
	}
	return append(b, m.later...)
}

// DecodeBatch reads the body of a BATCH; its entries are parts of b. Sequences
// rise within a batch, and no batch is empty.
func DecodeBatch(b []byte) (Batch, error) {
	n, err := countEntries(b)
	if err != nil {
		return Batch{}, err
	}
	return decodeBatch(b, n)
}

// countEntries returns how many entries the body of a BATCH has, as far as it
// can be read: no more than MaxEntries, or it is an error.
func countEntries(b []byte) (n int, err error) {
	f := check.NewRepeatedFields(b, batchEntries)
	for f.Next(batchEntries) {
		f.Bytes()
		if f.Number() != batchEntries {
			continue
		}
		if n++; n > MaxEntries {
			return 0, broken("BATCH of more than %d results", MaxEntries)
		}
	}
	return n, nil
}

// decodeBatch makes room for n entries.
func decodeBatch(b []byte, n int) (m Batch, err error) {
	m.Entries = make([]Entry, 0, n)
	f := check.NewRepeatedFields(b, batchEntries)
	var last uint64
	for err == nil && f.Next(batchEntries) {
		switch f.Number() {
		case batchInstance:
			err = takeInstance(&m.Instance, f.Bytes())
		case batchEntries:
			var e Entry
			if e, err = decodeEntry(f.Bytes()); err == nil && e.Sequence <= last {
				err = broken("sequence %d after %d", e.Sequence, last)
			}
			last = e.Sequence
			m.Entries = append(m.Entries, e)
		}
	}
	if err == nil && (m.Instance == Instance{} || len(m.Entries) == 0) {
		err = broken("BATCH without an instance or without entries")
	}
	if err != nil {
		return Batch{}, err
	}
	return finish(&m, &m.later, &f, nil)
}

func decodeEntry(b []byte) (e Entry, err error) {
	f := check.NewFields(b)
	for f.Next(entryResult) {
		switch f.Number() {
		case entrySequence:
			e.Sequence = f.Uint(1<<64 - 1)
		case entryResult:
			e.Result = f.Bytes()
		}
	}
	return finish(&e, &e.later, &f, nil)
}

// appendMessage appends a nested message, also an empty one.
func appendMessage(b []byte, number int, body []byte) []byte {
	return append(check.AppendLength(b, number, len(body)), body...)
}
