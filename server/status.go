package server

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"massive-passive/internal/status"
	"massive-passive/server/sink"
	"massive-passive/wire"
	"massive-passive/wire/journal"
)

// reasonPushedOut is why a sink that lags loses results.
const reasonPushedOut = "journal full"

// pushedOut counts what was given up for lack of room, by sink. Any goroutine
// may use it.
type pushedOut struct {
	mu     sync.Mutex
	bySink map[string]uint64
}

func (p *pushedOut) add(sink string, n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bySink == nil {
		p.bySink = map[string]uint64{}
	}
	p.bySink[sink] += n
}

func (p *pushedOut) of(sink string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bySink[sink]
}

// reporter answers who asks how the server is doing.
func (s *Server) reporter(asked <-chan os.Signal) *status.Reporter {
	return &status.Reporter{Dir: s.options.StateDir, Asked: asked, Page: s.status,
		Line: func(text string) { s.log.Info().Msg(text) },
		Failed: func(err error) {
			s.log.Warn().Err(err).Msg("`massive-passive status` cannot ask this server, which goes on without it; tried again every minute")
		}}
}

// status is the server's page. Any goroutine may call it.
func (s *Server) status() *status.Page {
	now := time.Now()
	stats := s.intake.journal.Stats()
	p := &status.Page{Role: "server", Version: s.options.Version, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), StateDir: s.options.StateDir,
		Started: s.started, At: now, Uptime: status.Since(now.Sub(s.started))}
	p.Journal = s.journalPage(stats, now)
	p.Outlets = []status.Outlet{}
	for _, r := range stats.Readers {
		p.Outlets = append(p.Outlets, s.outlet(r, now))
	}
	counts := &s.intake.counts
	p.Server = &status.Server{
		Listed:     s.access.Clients(),
		Taken:      counts.taken.Load(),
		Duplicates: counts.duplicate.Load(),
		Rejected:   map[string]uint64{wire.Malformed.String(): counts.malformed.Load(), wire.Denied.String(): counts.denied.Load()},
	}
	p.Server.Connections, p.Server.Clients = s.clients()
	return p
}

func (s *Server) journalPage(stats journal.Stats, now time.Time) status.Journal {
	page := status.Journal{Bytes: stats.Bytes, MaxBytes: s.options.JournalMaxBytes, Memory: stats.TailBytes,
		Damages: stats.Damages, Lost: stats.LostRecords}
	for _, r := range stats.Readers {
		page.Depth = max(page.Depth, r.Pending)
		page.OldestAge = max(page.OldestAge, ageOf(r, now))
	}
	switch why := s.intake.trouble.Load(); {
	case why != nil:
		page.Refuses = "results are not acknowledged: " + *why
	case stats.Failing != nil:
		page.Refuses = "the journal's disk refuses: " + stats.Failing.Error()
	}
	return page
}

func ageOf(r journal.ReaderStats, now time.Time) status.Seconds {
	if r.Pending == 0 || r.Oldest.After(now) {
		return 0
	}
	return status.Since(now.Sub(r.Oldest))
}

// outlet is the page's line about the sink that has reader r.
func (s *Server) outlet(r journal.ReaderStats, now time.Time) status.Outlet {
	o := status.Outlet{Name: r.Name, Depth: r.Pending, OldestAge: ageOf(r, now), Waiting: "no sink of this name is configured any more",
		Dropped: map[string]uint64{}, Rejected: map[string]uint64{}}
	if n := s.intake.pushedOut.of(r.Name); n > 0 {
		o.Dropped[reasonPushedOut] = n
	}
	for _, running := range s.sinks {
		of := running.Status()
		if of.Name != r.Name {
			continue
		}
		o.Target, o.Waiting, o.Delivered, o.TimeFixed = of.Target, of.Waiting, of.Counts[sink.CountDelivered], of.Counts[sink.CountTimeFixed]
		for reason, n := range of.Counts {
			if why, ok := strings.CutPrefix(reason, "rejected_"); ok {
				o.Rejected[strings.ReplaceAll(why, "_", " ")] = n
			} else if reason != sink.CountDelivered && reason != sink.CountTimeFixed {
				o.Dropped[strings.ReplaceAll(strings.TrimPrefix(reason, "dropped_"), "_", " ")] = n
			}
		}
	}
	return o
}

// clients lists who was heard of, and who is connected.
func (s *Server) clients() (connections int, list []status.Heard) {
	connected := s.sessions.count()
	known := s.intake.heard.all()
	list = []status.Heard{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		c := known[name]
		list = append(list, status.Heard{Name: name, Connections: connected[name], Last: c.last, Results: c.results})
	}
	for _, n := range connected {
		connections += n
	}
	return connections, list
}
