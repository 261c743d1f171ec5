package server

import (
	"cmp"
	"maps"
	"os"
	"runtime"
	"slices"
	"sort"
	"time"

	"massive-passive/internal/status"
	"massive-passive/server/intake"
	"massive-passive/server/sink"
	"massive-passive/wire"
	"massive-passive/wire/journal"
)

// reporter answers who asks how the server is doing.
func (s *Server) reporter(asked <-chan os.Signal) *status.Reporter {
	return &status.Reporter{Dir: s.options.StateDir, Asked: asked, Page: s.status, Tried: s.answering,
		Line: func(text string) { s.log.Info().Msg(text) },
		Failed: func(err error) {
			s.log.Warn().Err(err).Msg("`massive-passive status` cannot ask this server, which goes on without it; tried again every minute")
		}}
}

// status is the server's page. Any goroutine may call it.
func (s *Server) status() *status.Page {
	now := time.Now()
	stats, in := s.intake.Journal.Stats(), s.intake.Status()
	p := &status.Page{Role: "server", Version: s.options.Version, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), StateDir: s.options.StateDir,
		Started: s.started, At: now, Uptime: status.Since(now.Sub(s.started))}
	p.Journal = s.journalPage(stats, in.Trouble)
	p.Destinations = []status.Destination{}
	for _, r := range stats.Readers {
		o := s.destination(r, now)
		p.Journal.Depth, p.Journal.Resting = max(p.Journal.Depth, o.Depth), max(p.Journal.Resting, o.Resting)
		p.Journal.OldestAge = max(p.Journal.OldestAge, o.OldestAge)
		p.Destinations = append(p.Destinations, o)
	}
	p.Server = &status.Server{
		Listed:     s.access.Clients(),
		Taken:      in.Taken,
		Duplicates: in.Duplicates,
		Rejected:   map[string]uint64{wire.Malformed.String(): in.Malformed, wire.Denied.String(): in.Denied},
		Held:       heldPage(in.Held, now),
	}
	p.Server.Connections, p.Server.Clients = clientsPage(s.door.Connections(), in.Clients)
	return p
}

func (s *Server) journalPage(stats journal.Stats, trouble string) status.Journal {
	page := status.Journal{Bytes: stats.Bytes, MaxBytes: s.options.JournalMaxBytes, Memory: stats.TailBytes,
		Damages: stats.Damages, Lost: stats.LostRecords}
	switch {
	case trouble != "":
		page.Refuses = "results are not acknowledged: " + trouble
	case stats.Failing != nil:
		page.Refuses = "the journal's disk refuses: " + stats.Failing.Error()
	}
	return page
}

func ageOf(b journal.Backlog, now time.Time) status.Seconds {
	if b.Pending == 0 || b.Oldest.After(now) {
		return 0
	}
	return status.Since(now.Sub(b.Oldest))
}

// destination is the page's line about the sink that has reader r.
func (s *Server) destination(r journal.ReaderStats, now time.Time) status.Destination {
	o := status.Destination{Name: r.Name, Depth: r.Pending, OldestAge: ageOf(r.Backlog, now), Waiting: "no sink of this name is configured any more",
		Dropped: map[string]uint64{}, GivenUp: map[string]uint64{}, Rejected: map[string]uint64{}}
	if n := s.intake.PushedOut(r.Name); n > 0 {
		putOutcome(&o, sink.GivenUpJournalFull, n)
	}
	for _, running := range s.sinks {
		of := running.Status()
		if of.Name != r.Name {
			continue
		}
		o.Target, o.Waiting, o.TimeFixed, o.OutputCut = of.Target, of.Waiting, of.Notes.TimeFixed, of.Notes.OutputCut
		waits := s.intake.Journal.Behind(of.Taken)
		o.Depth, o.OldestAge, o.Resting = min(waits.Pending, r.Pending), ageOf(waits, now), r.Pending-min(waits.Pending, r.Pending)
		for outcome, n := range of.Outcomes {
			putOutcome(&o, outcome, n)
		}
	}
	return o
}

// putOutcome puts how many results met an outcome where the page shows it.
func putOutcome(o *status.Destination, outcome sink.Outcome, n uint64) {
	switch outcome.Class() {
	case sink.ClassTaken:
		if outcome == sink.Written {
			o.Written += n
			return
		}
		o.Delivered += n
	case sink.ClassDropped:
		o.Dropped[outcome.String()] += n
	case sink.ClassGivenUp:
		o.GivenUp[outcome.String()] += n
	case sink.ClassRejected:
		o.Rejected[outcome.String()] += n
	}
}

// heldPage lists the clients that hold more than their share of the journal, those
// first that hold most.
func heldPage(held []intake.Held, now time.Time) []status.Held {
	list := []status.Held{}
	for _, h := range held {
		list = append(list, status.Held{Name: h.Client, JournalBytes: h.Bytes, For: status.Since(now.Sub(h.Since)),
			Why: "more than one client may hold there (--max-client-share) while others need room"})
	}
	sort.Slice(list, func(i, j int) bool { // slices.SortFunc makes code for each type of elements
		return 0 > cmp.Or(cmp.Compare(list[j].JournalBytes, list[i].JournalBytes), cmp.Compare(list[i].Name, list[j].Name))
	})
	return list
}

// clientsPage lists who was heard of, and how many connections each has.
func clientsPage(connected map[string]int, known map[string]intake.Client) (connections int, list []status.Heard) {
	list = []status.Heard{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		c := known[name]
		list = append(list, status.Heard{Name: name, Connections: connected[name], Last: c.Last, Results: c.Results})
	}
	for _, n := range connected {
		connections += n
	}
	return connections, list
}
