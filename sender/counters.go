package sender

import (
	"maps"
	"sync"
)

// tooLarge is the reason of results that are over a server's limit and were
// not sent.
const tooLarge = "too large"

// unspeakable is that of results that a server of version 0.3.9 cannot be told.
const unspeakable = "not in the words of version 0.3.9"

// sent is a batch that waits for its ACK.
type sent struct {
	last    uint64 // its last sequence
	results int
}

// counters counts what became of results. Any goroutine may use it.
type counters struct {
	mu        sync.Mutex
	delivered uint64
	rejected  map[string]uint64
}

func (t *counters) deliver(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivered += uint64(max(n, 0)) // an ACK inside a batch brings its rejections first
}

func (t *counters) reject(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rejected == nil {
		t.rejected = map[string]uint64{}
	}
	t.rejected[why]++
}

// Counts returns how many results the server took since New, and how many it
// never will, by reason.
func (d *Delivery) Counts() (delivered uint64, rejected map[string]uint64) {
	d.counters.mu.Lock()
	defer d.counters.mu.Unlock()
	rejected = map[string]uint64{}
	maps.Copy(rejected, d.counters.rejected)
	return d.counters.delivered, rejected
}
