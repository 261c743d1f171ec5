package outbox

import (
	"time"

	"massive-passive/wire/journal"
)

// NoMore tells that no result that is put from now on is for a server.
func (b *Outbox) NoMore(server string) {
	b.call(func() { b.until[server] = b.Stats().Last + uint64(len(b.puts)) })
}

// Forget drops servers as each minute does.
func (b *Outbox) Forget() {
	b.call(func() { b.forget(b.Stats()) })
}

// DropUnnamed gives up what waits for a server that no check has named for
// --journal-max-age.
func (b *Outbox) DropUnnamed(r journal.ReaderStats) {
	b.call(func() { b.drop(r, b.waits(r), nameless) })
}

// DropForgotten counts a result whose server was forgotten while its check ran.
func (b *Outbox) DropForgotten(server, file string) {
	b.dropped.add(server, forgotten, 1)
	b.throttle.Error(server, forgotten).Str("file", file).Str("server", server).Str("why", forgotten).Msg("a result was given up")
}

// forget drops servers that no check names any more, once nothing that waits
// for them is young enough to be delivered.
func (b *Outbox) forget(stats journal.Stats) {
	for _, r := range stats.Readers {
		switch {
		case r.Open:
		case r.Pending == 0:
			b.drop(r, 0, tooOld)
		case !r.Unsure && time.Since(r.Oldest) > b.o.MaxAge:
			b.passOld(r)
		}
	}
}

// passOld gives up what is too old of what waits for a server that no check
// names, and then drops the server if nothing is left that may be for it.
func (b *Outbox) passOld(r journal.ReaderStats) {
	reader, err := b.journal.Load().Reader(r.Name, journal.Oldest)
	if err != nil {
		b.throttle.Still("").Error(r.Name, "unread").Err(err).Str("server", r.Name).Msg("cannot look after a server that no check names")
		return
	}
	waits := b.waits(r)
	n, err := reader.PassOlder(time.Now().Add(-b.o.MaxAge))
	if err != nil {
		b.throttle.Still("").Error(r.Name, "age").Err(err).Str("server", r.Name).Msg("cannot tell which results are over --journal-max-age")
	}
	lost := min(uint64(n), waits)
	r.Acked = reader.Acked()
	reader.Close()
	switch {
	case b.waits(r) == 0:
		b.drop(r, lost, tooOld)
	case lost > 0:
		b.logGivenUp(r.Name, lost, tooOld)
	}
}

// waits is how many results at most wait for a server that no check names: what
// came later is for others.
func (b *Outbox) waits(r journal.ReaderStats) uint64 {
	until, closed := b.until[r.Name]
	if !closed {
		until = b.begun
	}
	return min(r.Pending, max(until, r.Acked)-r.Acked)
}

// drop has the journal keep nothing any more for a server.
func (b *Outbox) drop(r journal.ReaderStats, lost uint64, why string) {
	if err := b.journal.Load().RemoveReader(r.Name); err != nil {
		b.throttle.Error(r.Name, "kept").Err(err).Str("server", r.Name).Msg("the next start will know a server again that no check names")
	}
	b.left[r.Name] = span{0, r.Acked}
	if lost > 0 {
		b.logGivenUp(r.Name, lost, why)
		return
	}
	b.dropped.forget(r.Name)
	b.throttle.Still("").Info(r.Name, "forgot").Str("server", r.Name).Msg("forgot a server that no check names")
}

func (b *Outbox) logGivenUp(server string, lost uint64, why string) {
	b.dropped.add(server, why, lost)
	b.throttle.Of(int(lost)).Error(server, why+" unnamed").Str("server", server).Uint64("up_to", lost).Str("why", why).Msg("results that waited for a server that no check names were given up")
}
