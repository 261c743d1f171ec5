package outbox

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"massive-passive/wire"
	"massive-passive/wire/check"
)

// entry is what the client's journal holds: a result and who is to get it.
type entry struct {
	instance wire.Instance // of the process that ran the check
	result   []byte        // a result's encoding
	servers  []string      // their names
}

const (
	entryInstance = 1
	entryResult   = 2
	entryServers  = 3
)

func (e *entry) append(b []byte) []byte {
	b = check.AppendBytes(b, entryInstance, e.instance[:])
	b = check.AppendBytes(b, entryResult, e.result)
	for _, s := range e.servers {
		b = check.AppendBytes(b, entryServers, s)
	}
	return b
}

// decodeEntry reads an entry; result is a part of b.
func decodeEntry(b []byte) (entry, error) {
	var e entry
	f := check.NewRepeatedFields(b, entryServers)
	for f.Next(entryServers) {
		switch f.Number() {
		case entryInstance:
			copy(e.instance[:], f.Bytes())
		case entryResult:
			e.result = f.Bytes()
		case entryServers:
			e.servers = append(e.servers, string(f.Bytes()))
		}
	}
	if _, err := f.End(); err != nil {
		return entry{}, fmt.Errorf("entry of the journal: %w", err)
	}
	return e, nil
}

// instanceFor is the instance under which results of one process go to one
// server. Two names may stand for the same one: it must not take what one of
// them brings for what the other did.
func instanceFor(process wire.Instance, server string) (i wire.Instance) {
	sum := sha256.Sum256(append(process[:], server...))
	copy(i[:], sum[:])
	return i
}

func (e *entry) isFor(server string) bool { return slices.Contains(e.servers, server) }
