package sink

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

func TestLatestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{LatestOnly: true})
		r.put("a", "fresh", 0) // 1
		r.expect("1")          // and is inside the sink's window
		for range 1500 {       // 2 to 3001
			r.put("a", "s", 1)
			r.put("a", "t", 1)
		}
		r.append("a", check.Result{Kind: check.Command, Command: "X"}) // 3002
		r.put("b", "s", 0)                                             // 3003: the last, and the newest
		r.put("b", "t", 100)                                           // 3004: the last, but not the newest
		time.Sleep(backlogAge + time.Second)
		r.put("a", "s", 1) // 3005: no backlog
		r.put("a", "s", 1)
		r.expect("3001 3002 3003 3005 3006")
		r.feed.ack(3006)
		r.expectCounts(map[Outcome]uint64{Delivered: 6, DroppedPassedOver: 3000})
		if acked := r.reader.Acked(); acked != 3006 {
			t.Errorf("acknowledged up to %d, want 3006", acked)
		}
	})
}

// Of a backlog the core gets one result that the guard lets through, where
// there is one.
func TestLatestOnlyPassesNothingOverForWhatTheGuardDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{LatestOnly: true, OrderGuard: true})
		r.put("b", "s", 100) // 1
		r.put("b", "t", 100) // 2
		r.expect("1 2")
		r.feed.ack(2)
		r.put("a", "s", 50)  // 3
		r.put("a", "s", 130) // 4: the clock of a was set back
		r.put("a", "t", 130) // 5: all of the object is too old
		time.Sleep(2 * backlogAge)
		r.expect("3")
		r.feed.ack(5)
		r.expectCounts(map[Outcome]uint64{Delivered: 3, DroppedPassedOver: 1, DroppedOlder: 1})
	})
}

func TestABacklogTellsOnceWhatItPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newFeedRig(t, FeedOptions{Target: "core", LatestOnly: true, Log: logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: 10})})
		for range 1500 {
			r.put("a", "s", 1)
			r.put("a", "t", 1)
		}
		time.Sleep(2 * backlogAge)
		r.put("a", "s", 1)
		r.expect("2999 3000 3001")
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"sink":"core","passed_over":2998,"objects":2,`) {
			t.Errorf("the log says: %s", text)
		}
	})
}

func TestLatestOnlyAfterARewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{LatestOnly: true})
		r.put("a", "s", 0)
		r.put("a", "s", 0)
		r.expect("1 2")
		time.Sleep(2 * backlogAge) // in which the core was away
		r.feed.rewind()
		r.expect("2")
		r.put("a", "s", 0)
		r.expect("3")
	})
}

func TestLatestOnlyAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{LatestOnly: true, OrderGuard: true})
		r.putAhead("a", "s", 1, time.Hour) // 1
		r.put("b", "s", 1)                 // 2
		time.Sleep(2 * time.Hour)
		r.expect("2")
	})
}

// A look ahead that is longer than a sink has patience goes on where it was.
func TestLatestOnlyWithoutPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{LatestOnly: true})
		for range 5000 {
			r.put("a", "s", 1)
		}
		time.Sleep(backlogAge + time.Second)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.feed.next(over); err == nil {
			t.Error("results without patience")
		}
		r.expect("5000")
	})
}

func TestDrainRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{DrainRate: 50})
		for range 1000 {
			r.put("a", "s", 0)
		}
		if n := len(r.all(time.Second)); n != 1000 {
			t.Errorf("%d young results at once, want all", n)
		}
		r.feed.rewind()
		time.Sleep(backlogAge + time.Second)
		for range 10 {
			if n := len(r.all(time.Second)); n < 49 || n > 56 {
				t.Errorf("%d results in a second, want 50", n)
			}
		}
		start := time.Now()
		r.put("a", "s", 0)
		items := r.all(9 * time.Second)
		items = append(items, r.all(2*time.Second)...)
		if last := items[len(items)-1].seq; last != 1001 {
			t.Errorf("after %v the last was %d, want the young one behind the backlog, 1001", time.Since(start), last)
		}
	})
}

func TestDrainThatNeverEndsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newFeedRig(t, FeedOptions{DrainRate: 1, Log: logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: 10})})
		for range 300 {
			r.put("a", "s", 0)
			time.Sleep(time.Second / 2)
		}
		r.all(4 * time.Minute)
		if !strings.Contains(log.String(), "--drain-rate") {
			t.Errorf("the log says nothing of the rate: %s", log.String())
		}
	})
}
