package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

const (
	pollTick      = time.Second // between looks at which process answers
	failoverTry   = 3           // looks that fail before the next endpoint has its turn
	workerPending = 256         // results that wait for their worker, so that one with many holds no other up
	workerBytes   = 16 << 20    // of all results that wait
	clientNote    = 200         // bytes of an output that are kept for a rejection
)

// IcingaAPI hands results to the REST API of Icinga 2, with several requests
// at a time: those of one object one after the other.
type IcingaAPI struct {
	Feed      *Feed
	Endpoints []string // as https://host:5665; the first that answers is used
	User      string
	Access    func() APIAccess // asked before each connection, by any goroutine
	Requests  int              // at a time
	Window    time.Duration    // how long a result stays in the journal after the core took it
	Log       *logx.Throttle

	// Owned by Run.
	turn     int // of the endpoints
	api      *icingaAPI
	polled   time.Time     // when the session's process last answered
	looked   time.Time     // when it was last asked
	failed   int           // looks in a row
	admitted time.Time     // when the user was last known to have the permission for results
	blind    bool          // it was told that a restart goes unnoticed
	pending  []*apiResult  // not answered, or inside their window
	last     uint64        // the last sequence that was handed to a worker
	waiting  atomic.Int64  // bytes of results that the workers have not delivered; theirs too
	worked   atomic.Uint64 // results that Icinga took or refused for what they are
}

// apiResult is a result on its way through a worker, which owns it until done.
type apiResult struct {
	it      item // without its output
	body    []byte
	taken   time.Time // when it was answered
	outcome Outcome   // none before it is answered
	why     string
	told    bool // that it was rejected; the sink's
	done    atomic.Bool
}

// Status says how the sink fares.
func (c *IcingaAPI) Status() Status { return c.Feed.Status() }

// Run feeds the core until ctx ends. What the core does not take stays in the
// journal.
func (c *IcingaAPI) Run(ctx context.Context) {
	wait := reopenFirst
	for ctx.Err() == nil {
		err := c.connect(ctx)
		if err == nil {
			wait = reopenFirst
			c.Feed.well()
			err = c.serve(ctx)
			c.Feed.rewind()
			c.pending = nil
		}
		if ctx.Err() != nil || errors.Is(err, journal.ErrClosed) {
			break
		}
		c.Feed.trouble(err)
		if sleep(ctx, wait) != nil {
			break
		}
		wait = min(2*wait, reopenMost)
	}
	if c.api != nil {
		c.api.close()
	}
}

// connect finds an endpoint that answers. After an error the next call begins
// with the next one.
func (c *IcingaAPI) connect(ctx context.Context) error {
	var err error
	for range c.Endpoints {
		if c.api != nil {
			c.api.close()
		}
		c.api = newIcingaAPI(c.Endpoints[c.turn], c.User, c.Access)
		now := time.Now()
		if err = c.api.meet(ctx); err == nil {
			c.failed, c.looked, c.polled, c.admitted = 0, now, now, now
			c.logBlind()
			return nil
		}
		c.turn = (c.turn + 1) % len(c.Endpoints)
	}
	if shut := (shutError{}); errors.As(err, &shut) {
		return err
	}
	return fmt.Errorf("no answer from Icinga's API: %w", err)
}

// serve delivers until the process that answers is another, the endpoint is
// given up, or ctx ends.
func (c *IcingaAPI) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	workers := make([]*worker, c.Requests)
	c.waiting.Store(0)
	for i := range workers {
		workers[i] = &worker{api: c.api, waiting: &c.waiting, taken: &c.worked, work: make(chan *apiResult, workerPending)}
		running.Go(func() { workers[i].run(ctx) })
	}
	tick := time.NewTicker(busyTick)
	defer tick.Stop()
	for {
		items, err := c.next(ctx)
		if err != nil {
			return err
		}
		for i := range items {
			if err := c.dispatch(ctx, &items[i], workers, tick); err != nil {
				return err
			}
		}
		if err := c.settle(ctx, workers); err != nil {
			return err
		}
	}
}

func (c *IcingaAPI) next(ctx context.Context) ([]item, error) {
	if len(c.pending) == 0 {
		return c.Feed.next(ctx)
	}
	return c.Feed.nextWithin(ctx, busyTick)
}

// dispatch gives a result to the worker of its object.
func (c *IcingaAPI) dispatch(ctx context.Context, it *item, workers []*worker, tick *time.Ticker) error {
	d := &apiResult{it: *it}
	d.it.result.Output = append([]byte(nil), it.result.Output[:min(clientNote, len(it.result.Output))]...)
	c.pending, c.last = append(c.pending, d), it.seq
	var err error
	if it.result.Kind == check.Command {
		d.outcome, d.why = RejectedCommand, "Icinga's API takes no external commands: they need a sink command-file"
	} else if d.body, err = icingaBody(it); err != nil {
		d.outcome, d.why = RejectedByCore, err.Error()
	}
	if d.outcome != 0 {
		d.taken = time.Now()
		d.done.Store(true)
		return nil
	}
	l := workers[uint64(objectOf(c.Feed.seed, &it.result))%uint64(len(workers))]
	for {
		work := l.work
		if c.waiting.Load() > workerBytes {
			work = nil
		}
		size := int64(len(d.body)) // the worker's once it has it
		select {
		case work <- d:
			c.waiting.Add(size)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if err := c.settle(ctx, workers); err != nil {
				return err
			}
		}
	}
}

// settle acknowledges what was taken a window ago by a process that still
// answers.
func (c *IcingaAPI) settle(ctx context.Context, workers []*worker) error {
	c.tell(workers)
	now := time.Now()
	if len(c.pending) > 0 && now.Sub(c.looked) >= pollTick {
		c.looked = now
		if err := c.poll(ctx); err != nil {
			return err
		}
	}
	last := now
	if c.api.process != "" {
		last = c.polled
	}
	taken := c.last        // up to here Icinga has answered for all
	still := c.pending[:0] // what one worker is stuck with holds nothing of the others in memory
	for _, d := range c.pending {
		done := d.done.Load() && !c.doubtful(d)
		if done && !d.outcome.handedOut() && !d.told {
			d.told = true
			c.Feed.reject(&d.it, d.outcome, c.because(d))
		}
		if !done {
			taken = min(taken, d.it.seq-1)
		}
		if !done || last.Sub(d.taken) < c.Window {
			still = append(still, d)
		}
	}
	c.Feed.rest(taken)
	if len(still) == len(c.pending) {
		return nil
	}
	clear(c.pending[len(still):])
	c.pending = still
	upTo := c.last
	if len(still) > 0 {
		upTo = still[0].it.seq - 1
	}
	c.Feed.ack(upTo)
	return nil
}

// tell says what the workers wait for.
func (c *IcingaAPI) tell(workers []*worker) {
	for _, l := range workers {
		if why := l.trouble.Load(); why != nil {
			c.Feed.trouble(*why)
			return
		}
		if asked := l.asked.Load(); asked != nil && time.Since(*asked) > apiTimeout {
			c.Feed.trouble(fmt.Errorf("%s has not answered a request since %s: is Icinga held up?", l.api.base, asked.Format(time.TimeOnly)))
			return
		}
	}
	if c.failed == 0 {
		c.Feed.well()
	}
}

// doubtful tells that Icinga knows no such object and that this may mean that the
// user has lost its permission: it was not asked for since.
func (c *IcingaAPI) doubtful(d *apiResult) bool {
	return d.outcome == RejectedNoObject && !d.taken.Before(c.admitted)
}

// because is why a result was rejected.
func (c *IcingaAPI) because(d *apiResult) string {
	if d.outcome == RejectedNoObject && c.api.someOnly {
		return fmt.Sprintf("%s It may be one that the filter on the API user's permission %s leaves out.", d.why, permitResults)
	}
	return d.why
}

// logBlind says, once, what the lack of a permission costs.
func (c *IcingaAPI) logBlind() {
	if c.api.process == "" && !c.blind {
		c.blind = true
		c.Log.Warn(c.Feed.o.Target, "blind").Str("sink", c.Feed.o.Target).Msg(c.blindness())
	}
}

func (c *IcingaAPI) blindness() string {
	return fmt.Sprintf("a restart of Icinga may lose results of its last seconds: give the API user %q the permission %s as well", c.User, permitStatus)
}

// poll finds out whether the same process still answers and, where that may not
// be asked or a result is in doubt, whether the user still has its permission.
func (c *IcingaAPI) poll(ctx context.Context) error {
	err := c.api.same(ctx)
	if err == nil && (c.api.process == "" || slices.ContainsFunc(c.pending, func(d *apiResult) bool { return d.done.Load() && c.doubtful(d) })) {
		if err = c.api.admit(ctx); err == nil {
			c.admitted = c.looked
		}
	}
	var restarted restartError
	var shut shutError
	switch {
	case err == nil:
		c.failed, c.polled = 0, c.looked // not later: the answer may have waited for us
		return nil
	case errors.As(err, &restarted), errors.As(err, &shut):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	c.failed++
	if len(c.Endpoints) > 1 && c.failed >= failoverTry {
		c.turn = (c.turn + 1) % len(c.Endpoints)
		return fmt.Errorf("the next endpoint has its turn: %w", err)
	}
	c.Feed.trouble(err)
	return nil
}
