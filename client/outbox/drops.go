package outbox

import (
	"maps"
	"slices"
	"sync"
)

// Why results are given up, in words for the log and for status.
const (
	memoryFull  = "the disk refuses, and memory is full"
	journalFull = "the journal is over --journal-max-bytes"
	tooOld      = "over --journal-max-age"
	nameless    = "no check named the server for --journal-max-age"
	forgotten   = "its server was forgotten while the check ran, for no check named it any more"
	unreadable  = "its entry of the journal makes no sense"
	stopped     = "the client was stopped, and had no journal on disk"
	unstorable  = "the journal does not take it"
)

// drops count, for each server, the results that were given up. Any goroutine
// may use it.
type drops struct {
	mu       sync.Mutex
	byServer map[string]map[string]uint64 // "": all servers
}

func (d *drops) add(server, why string, n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byServer == nil {
		d.byServer = map[string]map[string]uint64{}
	}
	if d.byServer[server] == nil {
		d.byServer[server] = map[string]uint64{}
	}
	d.byServer[server][why] += n
}

func (d *drops) forget(server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byServer, server)
}

// servers are those with a count of their own.
func (d *drops) servers() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.byServer))
}

// of returns what a server lost, and what all of them did.
func (d *drops) of(server string) map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[string]uint64{}
	maps.Copy(counts, d.byServer[server])
	for why, n := range d.byServer[""] {
		counts[why] += n
	}
	return counts
}
