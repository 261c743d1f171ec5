package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go lets the heap grow by as much as is in use before it looks for garbage.
// Thousands of idle connections make no garbage to speak of, so that most of
// that would be memory that nobody uses.
const (
	heapInterval = 2 * time.Second
	heapRoom     = 32 << 20 // bytes of garbage that are enough between two collections
	leastGrowth  = 25       // percent: below it the collector would work too much
	mostGrowth   = 100      // percent, Go's own
)

// tendHeap keeps the garbage within what it is worth until ctx ends, unless the
// environment decides.
func tendHeap(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	before := mostGrowth
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	tick := time.NewTicker(heapInterval)
	defer tick.Stop()
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			metrics.Read(used)
			if growth := heapGrowth(used[0].Value.Uint64() + used[1].Value.Uint64()); growth != before {
				debug.SetGCPercent(growth)
				before = growth
			}
		}
	}
}

// heapGrowth is by how many percent a heap may grow of which so many bytes are
// in use.
func heapGrowth(used uint64) int {
	return int(max(leastGrowth, min(mostGrowth, 100*heapRoom/max(used, 1))))
}
