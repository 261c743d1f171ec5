package intake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"massive-passive/wire"
)

// rates hold each client to a number of results a second. Any goroutine may
// use it.
type rates struct {
	perSecond float64 // 0: any

	mu      sync.Mutex
	clients map[string]*bucket
}

// bucket is filled by time and emptied by results. It may go below zero: a
// batch is taken as a whole, and the next one waits for it.
type bucket struct {
	tokens float64
	at     time.Time
}

const (
	// rateBurst is for how many seconds a client may have saved up.
	rateBurst = 10
	// rateWait is how long a batch waits, and holds its memory. A client that
	// is further ahead is sent away, and comes back with its results later.
	rateWait = 5 * time.Second
)

// await waits until a client may send n more results. The error is a
// *wire.ByeError, or that of ctx.
func (r *rates) await(ctx context.Context, client string, n int) error {
	if r.perSecond == 0 {
		return nil
	}
	wait, ok := r.take(client, n, time.Now())
	if !ok {
		return &wire.ByeError{Reason: wire.Overloaded, Text: fmt.Sprintf(
			"you are %v ahead of this server's limit of %v results a second: keep them and come back", wait.Round(time.Second), r.perSecond)}
	}
	if wait <= 0 {
		return nil
	}
	return pause(ctx, wait)
}

// take takes n tokens, unless that would take too long; wait is how long.
func (r *rates) take(client string, n int, now time.Time) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := max(r.perSecond*rateBurst, 1)
	b := r.clients[client]
	if b == nil {
		if r.clients == nil {
			r.clients = map[string]*bucket{}
		}
		b = &bucket{tokens: most, at: now}
		r.clients[client] = b
	}
	b.tokens = min(most, b.tokens+now.Sub(b.at).Seconds()*r.perSecond)
	b.at = now
	wait = time.Duration(-b.tokens / r.perSecond * float64(time.Second))
	if wait > rateWait {
		return wait, false
	}
	b.tokens -= float64(n)
	return wait, true
}
