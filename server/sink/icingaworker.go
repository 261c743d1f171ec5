package sink

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// With its answer 500 Icinga does not say whether another try is any use.
const (
	apiTries  = 8               // of a result, if others were taken meanwhile
	apiOthers = 2               // times that others were: one may have been answered just before the trouble
	apiFailed = 5 * time.Minute // for how long a result is tried in any case
)

// failing tells a result that Icinga will always fail at from an Icinga that
// fails at everything for a while.
type failing struct {
	since  time.Time // the first time
	times  int
	taken  uint64 // of all results, when it last failed
	others int    // times that it failed after others were taken
}

// again notes a failure, and tells whether it is to be the last. If it is not
// Icinga's, both have to be true: a proxy may have lost its Icinga for long, or one
// of several.
func (f *failing) again(now time.Time, taken uint64, icinga bool) bool {
	if f.times++; f.times == 1 {
		f.since = now
	} else if taken != f.taken {
		f.others++
	}
	f.taken = taken
	others, long := f.times >= apiTries && f.others >= apiOthers, now.Sub(f.since) >= apiFailed
	if icinga {
		return others || long
	}
	return others && long
}

// mayStick tells that an answer which is not final may come for ever: where Icinga
// fails at the result, or a proxy before it objects to what is in it.
func (a answer) mayStick() bool {
	switch a.code {
	case http.StatusInternalServerError:
		return true
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false // what a proxy says of itself, not of what it was sent
	}
	return !a.icinga && a.code >= 400 && a.code < 500
}

// worker hands in results one after the other. What fails for now, it tries
// again: no other result of the object may pass.
type worker struct {
	api     *icingaAPI
	work    chan *apiResult
	waiting *atomic.Int64             // bytes of all workers
	taken   *atomic.Uint64            // results that Icinga worked on, of all workers
	trouble atomic.Pointer[error]     // what it waits for; nil while it delivers
	asked   atomic.Pointer[time.Time] // since when it waits for an answer; nil: it does not
}

func (l *worker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-l.work:
			if !l.deliver(ctx, d) {
				return
			}
			l.trouble.Store(nil)
			l.waiting.Add(-int64(len(d.body)))
			d.taken, d.body = time.Now(), nil
			d.done.Store(true)
		}
	}
}

// deliver returns when the core took a result or will never; false if ctx
// ended before.
func (l *worker) deliver(ctx context.Context, d *apiResult) bool {
	var fails failing
	for wait := reopenFirst; ; wait = min(2*wait, reopenMost) {
		asked := time.Now()
		l.asked.Store(&asked)
		said, err := l.api.results.submit(ctx, d.body)
		l.asked.Store(nil)
		if err == nil {
			var done bool
			if d.outcome, done = said.verdict(); done {
				l.taken.Add(1)
			} else if said.mayStick() && fails.again(time.Now(), l.taken.Load(), said.icinga) {
				d.outcome, done = RejectedByCore, true
			}
			if done {
				d.why = said.message
				return true
			}
			err = fmt.Errorf("%s answers %d: %s", l.api.base, said.code, said.message)
			if said.code == http.StatusForbidden && said.icinga {
				err = fmt.Errorf("%w: give the API user %q the permission actions/process-check-result", err, l.api.user)
			}
		}
		if ctx.Err() != nil {
			return false
		}
		l.trouble.Store(&err)
		if sleep(ctx, wait) != nil {
			return false
		}
	}
}

// verdict tells whether an answer is final, and what it makes of the result.
func (a answer) verdict() (outcome Outcome, done bool) {
	switch a.code {
	case http.StatusOK:
		if strings.HasPrefix(a.message, ignored) {
			return RejectedIgnored, true
		}
		return Delivered, true
	case http.StatusRequestEntityTooLarge: // for a proxy it stays so too
		return RejectedByCore, true
	}
	if !a.icinga { // a proxy that has lost its Icinga may say anything
		return 0, false
	}
	switch a.code {
	case http.StatusNotFound:
		return RejectedNoObject, true
	case http.StatusConflict:
		return DroppedOlder, true
	case http.StatusForbidden:
		if a.own { // the API user lacks a permission, which can be given
			return 0, false
		}
		return RejectedPassiveOff, true
	case http.StatusBadRequest:
		return RejectedByCore, true
	}
	return 0, false // 401, 429, 500, 503
}
