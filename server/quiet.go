package server

import (
	"cmp"
	"strings"
	"sync"
	"time"
)

// quiet lets a thing be said once a minute, however often it happens, and
// counts what it kept to itself. Any goroutine may use it.
type quiet struct {
	every time.Duration // 0: a minute

	mu    sync.Mutex
	since map[string]*silence
}

type silence struct {
	until time.Time
	times int
}

// The memory that it takes is bounded, whatever the things are called.
const (
	quietMost = 10000 // things; beyond that, old ones are forgotten
	quietName = 400   // bytes of a thing's name; things that begin with the same are the same
)

// say tells whether to speak of thing now, and how often it happened since it
// was last spoken of, this time included.
func (q *quiet) say(thing string) (times int, now bool) {
	if len(thing) > quietName {
		thing = strings.Clone(thing[:quietName])
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.since[thing]
	if s == nil {
		if q.since == nil || len(q.since) >= quietMost {
			q.since = map[string]*silence{}
		}
		s = &silence{}
		q.since[thing] = s
	}
	s.times++
	if time.Now().Before(s.until) {
		return 0, false
	}
	times, s.times = s.times, 0
	s.until = time.Now().Add(cmp.Or(q.every, time.Minute))
	return times, true
}
