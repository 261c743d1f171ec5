package sink

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// apiTries is how often a result is handed in that Icinga fails at: with its
// answer 500 it does not say whether another try is any use.
const apiTries = 5

// lane hands in results one after the other. What fails for now, it tries
// again: no other result of the object may pass.
type lane struct {
	api     *icingaAPI
	work    chan *apiResult
	waiting *atomic.Int64         // bytes of all lanes
	trouble atomic.Pointer[error] // what it waits for; nil while it delivers
}

func (l *lane) run(ctx context.Context) {
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
func (l *lane) deliver(ctx context.Context, d *apiResult) bool {
	wait := reopenFirst
	for failed := 0; ; {
		said, err := l.api.submit(ctx, d.body)
		if err == nil {
			var done bool
			if said.code == http.StatusInternalServerError {
				failed++
			}
			if d.reason, done = said.verdict(failed); done {
				d.why = said.message
				return true
			}
			err = fmt.Errorf("%s answers %d: %s", l.api.base, said.code, said.message)
		}
		if ctx.Err() != nil {
			return false
		}
		l.trouble.Store(&err)
		if sleep(ctx, wait) != nil {
			return false
		}
		wait = min(2*wait, reopenMost)
	}
}

// verdict tells whether an answer is final, and the reason if it is a
// rejection. failed is how often Icinga failed at this result.
func (a answer) verdict(failed int) (reason string, done bool) {
	switch a.code {
	case http.StatusOK:
		return "", true
	case http.StatusRequestEntityTooLarge: // for a proxy it stays so too
		return CountInvalid, true
	case http.StatusInternalServerError:
		return CountInvalid, failed >= apiTries
	}
	if !a.icinga { // a proxy that has lost its Icinga may say anything
		return "", false
	}
	switch a.code {
	case http.StatusNotFound:
		return CountNoObject, true
	case http.StatusConflict:
		return CountOlder, true
	case http.StatusForbidden:
		if a.own { // the API user lacks a permission, which can be given
			return "", false
		}
		return CountPassive, true
	case http.StatusBadRequest:
		return CountInvalid, true
	}
	return "", false // 401, 429, 503
}
