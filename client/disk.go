package client

import (
	"fmt"
	"time"

	"massive-passive/wire/journal"
)

// span is a range of sequences, both ends included.
type span struct{ from, to uint64 }

func (s span) holds(seq uint64) bool { return s.from <= seq && seq <= s.to }

// noDisk notes why results are in memory only.
func (b *outbox) noDisk(err error) {
	why := fmt.Sprintf("%v; results are kept in memory only until it can be used, which is tried each minute", err)
	b.diskless.Store(&why)
}

// diskPatience is how long the check files wait at most for a try to open the journal.
const diskPatience = time.Second

// diskWatch gets a client that began without a disk over to it.
type diskWatch struct {
	found chan *journal.Journal // of the try that is under way; nil: none is
}

// look begins a try each minute, and goes over to the journal that one has opened.
// Nothing waits for a disk that hangs: it is not asked again until it has answered.
func (w *diskWatch) look(d *deliveries) {
	b := d.client.outbox
	if b.diskless.Load() == nil {
		return
	}
	if w.found == nil {
		w.found = make(chan *journal.Journal, 1)
		options := b.onDisk(d.client.options)
		go func(found chan<- *journal.Journal) {
			j, err := journal.Open(options)
			if err != nil {
				b.noDisk(err)
			}
			found <- j
		}(w.found)
	}
	select {
	case j := <-w.found:
		w.found = nil
		if j != nil {
			d.moveTo(j)
		}
	case <-time.After(diskPatience):
	}
}

// moveTo has all results go through the journal on the disk from now on. The ways
// to the servers are closed meanwhile, and begin with what the disk still has.
func (d *deliveries) moveTo(onDisk *journal.Journal) {
	for name, way := range d.running {
		way.end()
		<-way.ended
		d.mu.Lock()
		delete(d.running, name)
		d.mu.Unlock()
	}
	d.client.outbox.call(func() { d.client.outbox.moveTo(onDisk) })
	if err := d.follow(*d.addresses.Load()); err != nil {
		d.client.log.Error().Err(err).Msg("cannot deliver to all servers")
	}
}

// moveTo is called by the owner. What a server has of the journal in memory it does
// not get again.
func (b *outbox) moveTo(onDisk *journal.Journal) {
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
