package client

import (
	"os"
	"runtime"
	"time"

	"massive-passive/internal/status"
	"massive-passive/sched"
)

// late is from when on a run counts as late; it is one of sched's bounds.
const late = time.Second

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
	stats := c.outbox.Stats()
	p := &status.Page{Role: "client", Version: c.options.Version, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), StateDir: c.options.StateDir,
		Started: c.started, At: now, Uptime: status.Since(now.Sub(c.started))}
	p.Journal = c.outbox.Page(stats, now)
	p.Destinations = c.routes.Status(stats, now)
	p.Client = c.checksPage()
	return p
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
