package outbox

import (
	"fmt"
	"slices"
	"time"

	"massive-passive/internal/status"
	"massive-passive/wire/journal"
)

// Page is the journal's part of the client's status.
func (b *Outbox) Page(stats journal.Stats, now time.Time) status.Journal {
	page := status.Journal{Bytes: stats.Bytes, MaxBytes: b.o.MaxBytes, Memory: stats.TailBytes, Damages: stats.Damages, Lost: stats.LostRecords}
	for _, r := range stats.Readers {
		page.Depth = max(page.Depth, r.Pending)
		page.OldestAge = max(page.OldestAge, Age(r.Backlog, now))
	}
	if stats.Failing != nil {
		page.Refuses = "the journal cannot be written, results are kept in memory only: " + stats.Failing.Error()
	}
	if why := b.diskless.Load(); why != nil {
		page.Refuses = *why
	}
	if d := b.hangs.lasts(); d >= hangsFrom {
		page.Refuses = fmt.Sprintf("the disk of the state directory has not answered for %v: results are held up until it does", d.Round(time.Second))
	}
	return page
}

// Age is how old the oldest result of a backlog is.
func Age(b journal.Backlog, now time.Time) status.Seconds {
	if b.Pending == 0 || b.Oldest.After(now) {
		return 0
	}
	return status.Since(now.Sub(b.Oldest))
}

// Readers are the servers that the journal knows, and those of which results were
// given up.
func (b *Outbox) Readers(stats journal.Stats) []journal.ReaderStats {
	readers := stats.Readers
	for _, name := range b.dropped.servers() {
		known := slices.ContainsFunc(readers, func(r journal.ReaderStats) bool { return r.Name == name })
		if name != "" && !known {
			readers = append(readers, journal.ReaderStats{Name: name})
		}
	}
	return readers
}

// GivenUp is how many results were given up for a server, by why.
func (b *Outbox) GivenUp(server string) map[string]uint64 { return b.dropped.of(server) }
