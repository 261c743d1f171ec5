// Package client runs the checks of one machine and gets their results to the
// servers. It is about the order in which its parts start, are reloaded and
// stop; when a check runs is sched's business, how one runs plugin's, and how
// results travel sender's.
package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/outbox"
	"massive-passive/client/plugin"
	"massive-passive/client/routes"
	"massive-passive/internal/disk"
	"massive-passive/internal/logx"
	"massive-passive/sched"
	"massive-passive/sched/watch"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// settle is how long the directory of check files must be quiet before it is
// read again.
const settle = 500 * time.Millisecond

// reapInterval is how long an orphan may stay a zombie, about, where this
// process inherits orphans.
const reapInterval = 5 * time.Second

// Client is one agent, loaded and checked.
type Client struct {
	options   Options
	log       zerolog.Logger
	checks    checks
	runner    *plugin.Runner
	scheduler *sched.Scheduler
	certs     certs.End
	outbox    *outbox.Outbox
	routes    *routes.Routes
	plugins   context.Context // of all running plugins, ended at the stop
	scheduled chan struct{}   // closed when no plugin runs any more
	troubles  sync.Map        // by check file: the plugin.Trouble of its last run
	throttle  *logx.Throttle  // of what happens by itself, again and again
	timedOut  atomic.Uint64
	started   time.Time
	answering chan struct{} // closed once the status socket answers, or cannot be made
}

// New reads everything that can be wrong and starts nothing. An *option.Error
// names the option.
func New(o Options, log zerolog.Logger) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Client{options: o, log: log, throttle: logx.NewThrottle(log, logx.Limits{}), started: time.Now(), answering: make(chan struct{})}
	defaults, err := o.defaults()
	if err != nil {
		return nil, err
	}
	c.checks = checks{dirs: o.ConfDirs, defaults: defaults, log: log}
	if err := c.loadCertificates(); err != nil {
		return nil, err
	}
	if err := o.drop(); err != nil {
		return nil, err
	}
	for _, dir := range o.ConfDirs { // as the user who reads them again and again
		if _, err := disk.ReadDir(context.Background(), dir); err != nil {
			return nil, fmt.Errorf("read the directory of check files (--confdir): %w", err)
		}
	}
	c.scheduler, err = sched.New(sched.Options{
		MaxConcurrent: o.MaxConcurrentChecks,
		FirstMin:      minFirst,
		FirstMax:      max(minFirst, o.InitialRandomWaitRange),
		Skipped:       c.skipped,
	})
	if err != nil {
		return nil, err
	}
	if c.runner, err = plugin.New(0); err != nil {
		return nil, err
	}
	if c.outbox, err = outbox.Open(outbox.Options{StateDir: o.StateDir, MaxBytes: o.JournalMaxBytes, MaxAge: o.JournalMaxAge}, log, c.throttle); err != nil {
		return nil, err
	}
	c.routes = routes.New(c.routeOptions(), c.outbox, log, c.throttle)
	return c, nil
}

func (c *Client) routeOptions() routes.Options {
	o := &c.options
	host, _ := os.Hostname() // only for people
	s := sender.Options{End: c.certs, Verify: certs.Verify(o.SSLVerify),
		Hello: wire.Hello{Version: o.Version, Host: host, Remember: uint32(o.JournalMaxAge / time.Second)}}
	if o.BatchMode {
		s.BatchWait, s.BatchItems = o.BatchWaitTime, o.BatchMaxItems
	}
	return routes.Options{Sender: s, MaxAge: o.JournalMaxAge, StopTimeout: o.StopTimeout}
}

func (c *Client) loadCertificates() error {
	report := func(files []string, err error) {
		if err != nil {
			c.log.Error().Err(err).Strs("files", files).Msg("changed certificates were not taken over: the old ones stay in use")
			return
		}
		c.log.Info().Strs("files", files).Msg("certificates read anew")
	}
	var err error
	c.certs, err = certs.Load(c.options.certificates(), report)
	return err
}

// Run schedules checks and delivers their results until ctx ends; asked asks
// for the status in the log, reload for check files and certificates to be read
// again: what comes by it is called when that is done. The stop goes in the
// reverse order of the start: no new checks, the running ones, deliveries,
// journal. It waits for no disk that does not answer: what hangs there is left
// behind, but for plugins.
func (c *Client) Run(ctx context.Context, reload <-chan func(), asked <-chan os.Signal) error {
	var stopPlugins context.CancelFunc
	c.plugins, stopPlugins = context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlugins()
	c.scheduled = make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx, stopPlugins, reload, asked) }()
	err := disk.Outlast(ctx, c.options.StateDir, ended)
	if !errors.Is(err, disk.ErrSilent) {
		return err
	}
	c.log.Error().Err(err).Msg("the disk of the state directory does not answer: stopped without it, as if killed; results that it did not take are lost")
	stopPlugins()
	select {
	case <-c.scheduled:
	case <-time.After(2 * plugin.DefaultGrace): // those that SIGKILL does not end are the kernel's
	}
	return err
}

func (c *Client) run(ctx context.Context, stopPlugins func(), reload <-chan func(), asked <-chan os.Signal) error {
	own := context.WithoutCancel(ctx)
	outboxCtx, stopOutbox := context.WithCancel(own)
	defer stopOutbox()
	var outboxDone, scheduling, loading sync.WaitGroup
	var outboxErr error
	outboxDone.Go(func() { outboxErr = c.outbox.Run(outboxCtx) })
	c.routes.Begin(own)
	c.reload(false)
	c.log.Info().Int("checks", len(c.checks.good)).Str("confdir", strings.Join(c.options.ConfDirs, ":")).Str("version", c.options.Version).Msg("started")
	scheduling.Go(func() { defer close(c.scheduled); c.scheduler.Run(ctx) })
	if os.Getpid() == 1 { // of a container
		loading.Go(func() { plugin.ReapOrphans(ctx, reapInterval) })
	}
	loading.Go(func() { c.keepLoading(ctx, reload) })
	loading.Go(func() { certs.Daily(ctx, c.logEnding) })
	c.logLoose()
	reportCtx, stopReport := context.WithCancel(own)
	defer stopReport()
	var reporting sync.WaitGroup
	reporting.Go(func() { c.reporter(asked).Run(reportCtx) })
	<-ctx.Done()
	c.log.Info().Msg("stopping")
	loading.Wait()
	patience := time.AfterFunc(c.options.StopTimeout, stopPlugins)
	scheduling.Wait()
	patience.Stop()
	c.routes.End(own)
	stopReport()
	reporting.Wait()
	stopOutbox()
	outboxDone.Wait()
	c.throttle.Close()
	c.log.Info().Msg("stopped")
	return errors.Join(outboxErr, c.runner.Close())
}

// Answering is closed once `massive-passive status` is answered, or cannot be.
func (c *Client) Answering() <-chan struct{} { return c.answering }

// Alive returns as soon as the scheduler answers.
func (c *Client) Alive() { c.scheduler.Stats() }

// tidyInterval is how often the routes to servers that no check names are looked
// after.
const tidyInterval = time.Minute

// lookInterval is how often the check files are read where the system does not
// tell of changes, as where all inotify instances are taken.
const lookInterval = 10 * time.Second

// watched is what the watches of all directories have told.
type watched struct {
	changed chan struct{}
	news    atomic.Bool // since the last look something changed, not only a watch stands
	not     atomic.Bool // a directory is not watched
}

func (w *watched) watch(ctx context.Context, dir string) error {
	first := true // it calls once when it stands
	return watch.Dir(ctx, dir, settle, func() {
		if !first {
			w.news.Store(true)
		}
		first = false
		select {
		case w.changed <- struct{}{}:
		default: // a reload is due already
		}
	})
}

// keepLoading reads the check files again when they changed or somebody asks.
func (c *Client) keepLoading(ctx context.Context, asked <-chan func()) {
	w := watched{changed: make(chan struct{}, 1)}
	var watching sync.WaitGroup
	for _, dir := range c.options.ConfDirs {
		watching.Go(func() {
			if err := w.watch(ctx, dir); err != nil && ctx.Err() == nil {
				w.not.Store(true)
				c.log.Warn().Err(err).Msg("cannot watch the check files: changes count only within ten seconds")
			}
		})
	}
	defer watching.Wait()
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case done := <-asked:
			c.certs.Reread()
			c.reload(false)
			done()
		case <-w.changed:
			c.reload(!w.news.Swap(false))
		case <-look.C:
			if w.not.Load() {
				c.reload(true)
			}
		case <-tidy.C:
			if c.checks.unread {
				c.reload(true) // what comes back makes no event
			}
			c.routes.Tidy()
		}
	}
}

// reload brings the scheduler to what the check files ask for now. again is for
// one that only makes sure of the last.
func (c *Client) reload(again bool) {
	found, err := c.checks.load(again)
	if err != nil {
		c.log.Error().Err(err).Msg("the checks stay as they were")
		return
	}
	if err := c.routes.Apply(c.checks.good); err != nil {
		c.log.Error().Err(err).Msg("cannot deliver to all servers")
	}
	jobs := make([]sched.Job, 0, len(found.set))
	for _, k := range found.set {
		jobs = append(jobs, job(k, c.check))
	}
	if err := c.scheduler.Apply(jobs, found.remove); err != nil {
		c.log.Error().Err(err).Msg("the checks stay as they were")
		return
	}
	if len(found.set)+len(found.remove) > 0 {
		c.log.Info().Int("set", len(found.set)).Int("removed", len(found.remove)).Int("checks", len(c.checks.good)).Msg("read the check files")
	}
}

// check runs a check once and keeps its result for its servers.
func (c *Client) check(k checkfile.Check) {
	out := c.runner.Run(c.plugins, plugin.Spec{Command: k.Command, Dir: k.Dir, Timeout: k.Timeout, MaxOutput: c.options.MaxOutput,
		Key: k.File, MaxStuck: k.MaxInstances})
	event := c.log.Debug()
	if before, _ := c.troubles.Swap(k.File, out.Trouble); out.Trouble != plugin.None && before != out.Trouble {
		event = c.throttle.Warn(k.File, "trouble") // once, not at every run
	}
	event.Str("file", k.File).Str("host", k.Hostname).Str("service", k.Description).Int("code", out.Code).
		Stringer("trouble", out.Trouble).Dur("took", out.Finish.Sub(out.Start)).Msg("checked")
	if out.TimedOut() {
		c.timedOut.Add(1)
	}
	if out.Trouble == plugin.Stopped {
		return // it says nothing about the service
	}
	r := result(k, out)
	c.routes.Put(k, r.Append(nil))
}

func result(k checkfile.Check, out plugin.Outcome) check.Result {
	r := check.Result{
		Kind:     k.Kind,
		Host:     k.Hostname,
		Code:     int32(out.Code),
		Output:   out.Output,
		Start:    out.Start.UnixMicro(),
		Finish:   out.Finish.UnixMicro(),
		TimedOut: out.TimedOut(),
	}
	if k.Kind == check.Service {
		r.Service = k.Description
	}
	return r
}

// skipped says so once a minute for each check, with how often since.
func (c *Client) skipped(s sched.Skip) {
	c.throttle.Of(s.Runs).Warn(s.Key, "skipped").Str("file", s.Key).Time("due", s.Due).Str("why", string(s.Why)).Msg("skipped a check that was due")
}
