package client

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sort"
	"time"

	"massive-passive/internal/status"
	"massive-passive/sched"
	"massive-passive/wire/journal"
)

// late is from when on a run counts as late; it is one of sched's bounds.
const late = time.Second

// slow is from when on a server takes its time that says nothing about it, as one
// of version 0.3.9.
const slow = time.Minute

// overdue tells of results that wait for a server that is connected and says
// nothing about why; gather is how long they wait for others in batch mode.
func overdue(oldest status.Seconds, gather time.Duration) string {
	if float64(oldest) <= (slow + gather).Seconds() {
		return ""
	}
	return "the server is connected, and does not acknowledge the oldest of them: its log may say what keeps it"
}

// reporter answers who asks how the client is doing.
func (c *Client) reporter(asked <-chan os.Signal) *status.Reporter {
	return &status.Reporter{Dir: c.options.StateDir, Asked: asked, Page: c.status, Tried: c.answering,
		Line: func(text string) { c.log.Info().Msg(text) },
		Failed: func(err error) {
			c.log.Warn().Err(err).Msg("`massive-passive status` cannot ask this client, which goes on without it; tried again every minute")
		}}
}

// status is the client's page. Any goroutine may call it.
func (c *Client) status() *status.Page {
	now := time.Now()
	stats := c.outbox.journal.Load().Stats()
	p := &status.Page{Role: "client", Version: c.options.Version, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), StateDir: c.options.StateDir,
		Started: c.started, At: now, Uptime: status.Since(now.Sub(c.started))}
	p.Journal = journalPage(stats, c.options.JournalMaxBytes, now)
	if why := c.outbox.diskless.Load(); why != nil {
		p.Journal.Refuses = *why
	}
	if d := c.outbox.hangs.lasts(); d >= hangsFrom {
		p.Journal.Refuses = fmt.Sprintf("the disk of the state directory has not answered for %v: results are held up until it does", d.Round(time.Second))
	}
	p.Destinations = c.deliveries.status(stats, now)
	p.Client = c.checksPage()
	return p
}

func journalPage(stats journal.Stats, maxBytes int64, now time.Time) status.Journal {
	page := status.Journal{Bytes: stats.Bytes, MaxBytes: maxBytes, Memory: stats.TailBytes, Damages: stats.Damages, Lost: stats.LostRecords}
	for _, r := range stats.Readers {
		page.Depth = max(page.Depth, r.Pending)
		page.OldestAge = max(page.OldestAge, ageOf(r.Backlog, now))
	}
	if stats.Failing != nil {
		page.Refuses = "the journal cannot be written, results are kept in memory only: " + stats.Failing.Error()
	}
	return page
}

func ageOf(b journal.Backlog, now time.Time) status.Seconds {
	if b.Pending == 0 || b.Oldest.After(now) {
		return 0
	}
	return status.Since(now.Sub(b.Oldest))
}

func (c *Client) checksPage() *status.Client {
	s := c.scheduler.Stats()
	page := &status.Client{Checks: int(c.checks.count.Load()), Running: s.Running, Waiting: s.Waiting, Started: s.Started,
		Latest: status.Since(s.Late.Max), TimedOut: c.timedOut.Load(), Skipped: map[string]uint64{}, BadFiles: []string{}}
	if bad := c.checks.bad.Load(); bad != nil {
		page.BadFiles = append(page.BadFiles, *bad...)
	}
	for why, n := range s.Skipped {
		page.Skipped[string(why)] = n
	}
	bounds := sched.LatenessBounds()
	for i, n := range s.Late.Within {
		if i == len(bounds) || bounds[i] > late {
			page.Late += n
		}
	}
	return page
}

// status returns a line for each server, and for each that no check names any
// more while results still wait for it, or if some were given up.
func (d *deliveries) status(stats journal.Stats, now time.Time) []status.Destination {
	d.mu.Lock()
	defer d.mu.Unlock()
	destinations := []status.Destination{}
	for _, name := range d.client.outbox.dropped.servers() {
		known := slices.ContainsFunc(stats.Readers, func(r journal.ReaderStats) bool { return r.Name == name })
		if name != "" && !known {
			stats.Readers = append(stats.Readers, journal.ReaderStats{Name: name})
		}
	}
	for _, r := range stats.Readers {
		o := status.Destination{Name: r.Name, Depth: r.Pending, OldestAge: ageOf(r.Backlog, now), Waiting: "no check names this server any more",
			Dropped: map[string]uint64{}, GivenUp: d.client.outbox.dropped.of(r.Name), Rejected: map[string]uint64{}}
		if way := d.running[r.Name]; way != nil {
			o.Target, o.Waiting = way.address, way.sender.State()
			o.Delivered, o.Rejected = way.sender.Counts()
			o.Waiting = cmp.Or(o.Waiting, overdue(ageOf(r.Backlog, now), d.client.options.BatchWaitTime))
		}
		destinations = append(destinations, o)
	}
	sort.Slice(destinations, func(i, j int) bool { return destinations[i].Name < destinations[j].Name }) // slices.SortFunc makes code for each type of elements
	return destinations
}
