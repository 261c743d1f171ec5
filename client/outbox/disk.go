package outbox

import (
	"fmt"
	"time"

	"massive-passive/wire/journal"
)

// span is a range of sequences, both ends included.
type span struct{ from, to uint64 }

func (s span) holds(seq uint64) bool { return s.from <= seq && seq <= s.to }

// noDisk notes why results are in memory only.
func (b *Outbox) noDisk(err error) {
	why := fmt.Sprintf("%v; results are kept in memory only until it can be used, which is tried each minute", err)
	b.diskless.Store(&why)
}

// diskPatience is how long the check files wait at most for a try to open the journal.
const diskPatience = time.Second

// LookForDisk begins a try to open the journal on the disk, where results are in
// memory only, and returns what goes over to the journal that a try has opened,
// or nil. move must be called while no Reader is open. Nothing waits for a disk
// that hangs: it is not asked again until it has answered.
func (b *Outbox) LookForDisk() (move func()) {
	if b.diskless.Load() == nil {
		return nil
	}
	if b.found == nil {
		b.found = make(chan *journal.Journal, 1)
		go func(found chan<- *journal.Journal) {
			j, err := journal.Open(b.onDisk())
			if err != nil {
				b.noDisk(err)
			}
			found <- j
		}(b.found)
	}
	select {
	case j := <-b.found:
		b.found = nil
		if j != nil {
			return func() { b.call(func() { b.moveTo(j) }) }
		}
	case <-time.After(diskPatience):
	}
	return nil
}

// moveTo is called by the owner. What a server has of the journal in memory it does
// not get again.
func (b *Outbox) moveTo(onDisk *journal.Journal) {
	inMemory := b.journal.Load()
	stats, begun := inMemory.Stats(), onDisk.Stats().Last
	if err := onDisk.Adopt(inMemory); err != nil {
		b.noDisk(err)
		b.log.Error().Err(err).Msg("results stay in memory only: the journal on the disk does not take them over")
		_ = onDisk.Close()
		return
	}
	for _, r := range stats.Readers {
		b.left[r.Name] = span{begun + 1, r.Acked}
	}
	b.journal.Store(onDisk)
	b.begun = begun
	b.diskless.Store(nil)
	b.flush()
	b.log.Info().Msg("the state directory can be used again: results are kept on its disk")
}
