package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/intake/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// feedRig is a feed on a journal in memory, for tests inside a synctest bubble.
type feedRig struct {
	t       *testing.T
	journal *journal.Journal
	reader  *journal.Reader
	feed    *Feed
}

func newFeedRig(t *testing.T, o FeedOptions) *feedRig {
	t.Helper()
	j, err := journal.Open(journal.Options{ReadUnflushed: true})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := j.Reader("sink", journal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return &feedRig{t, j, reader, NewFeed(reader, o)}
}

// put appends a result of a client, finished the given seconds ago and received now.
func (r *feedRig) put(client, service string, ago int) {
	r.t.Helper()
	r.putAhead(client, service, ago, 0)
}

// putAhead is put while the clock of the server is ahead, and the client's too.
func (r *feedRig) putAhead(client, service string, ago int, ahead time.Duration) {
	r.t.Helper()
	now := time.Now().Add(ahead)
	finish := now.Add(-time.Duration(ago) * time.Second).UnixMicro()
	r.receive(client, check.Result{Kind: check.Service, Host: "h", Service: service, Finish: finish}, now)
}

func (r *feedRig) append(client string, res check.Result) {
	r.t.Helper()
	r.receive(client, res, time.Now())
}

func (r *feedRig) receive(client string, res check.Result, at time.Time) {
	r.t.Helper()
	rec := record.Record{Origin: record.Origin{Client: client, Received: at.UnixMicro()}, Result: res.Append(nil)}
	if _, err := r.journal.Append(rec.Append(nil)); err != nil {
		r.t.Fatal(err)
	}
}

// all returns what the feed hands out until there is nothing, within limit.
func (r *feedRig) all(limit time.Duration) []item {
	r.t.Helper()
	var list []item
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	for {
		items, err := r.feed.next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return list
		}
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, items...)
	}
}

func (r *feedRig) expect(want string) {
	r.t.Helper()
	var got []string
	for _, it := range r.all(time.Second) {
		got = append(got, fmt.Sprint(it.seq))
	}
	if text := strings.Join(got, " "); text != want {
		r.t.Errorf("handed out %q, want %q", text, want)
	}
}

func (r *feedRig) expectCounts(want map[Outcome]uint64) {
	r.t.Helper()
	if got := r.feed.Status().Outcomes; !maps.Equal(got, want) {
		r.t.Errorf("counted %v, want %v", got, want)
	}
}

func TestOrderGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{OrderGuard: true})
		r.put("a", "s", 100) // 1
		r.put("b", "s", 101) // 2: older than another client's
		r.put("a", "s", 102) // 3: its own order is the client's business
		r.put("b", "s", 99)  // 4
		r.put("b", "s", 101) // 5: still older than 1
		r.put("a", "s", 99)  // 6: as old is not older
		r.put("b", "u", 200) // 7: another service
		r.append("b", check.Result{Kind: check.Host, Host: "h", Finish: 1})
		r.append("b", check.Result{Kind: check.Command, Command: "X", Finish: 1})
		r.put("c", "s", -100) // 10: from the future, brought to now
		r.put("a", "s", 0)    // 11
		r.put("a", "s", 1)    // 12: the same client's as 11, but older than 10
		r.expect("1 3 4 6 7 8 9 10 11")
		r.feed.ack(11)
		r.expectCounts(map[Outcome]uint64{Delivered: 9, DroppedOlder: 3})
		if n := r.feed.Status().Notes.TimeFixed; n != 1 {
			t.Errorf("%d times were brought to now, want 1", n)
		}
		if acked := r.reader.Acked(); acked != 12 {
			t.Errorf("acknowledged up to %d, want 12 with what was dropped", acked)
		}
		r.put("c", "s", 1) // 13
		r.feed.rewind()    // and with it all is forgotten
		r.expect("13")
	})
}

// A journal may be older than a rule, or be written by something else: no text
// goes to a core raw that would not be taken today.
func TestACommandOfTheJournalIsHeldAgainstTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{})
		for _, text := range []string{"PROCESS_SERVICE_CHECK_RESULT;h;s;0;x", "PROCESS_HOST_CHECK_RESULT;h;0;x", "PROCESS_FILE;/x;1", "A\nB", "DISABLE_NOTIFICATIONS"} {
			r.append("a", check.Result{Kind: check.Command, Command: text, Finish: 1})
		}
		r.expect("5")
		r.feed.ack(5)
		r.expectCounts(map[Outcome]uint64{Delivered: 1, GivenUpUnreadable: 4})
	})
}

// What the guard drops is told as any other result that the core does not get:
// for each object once a minute.
func TestTheGuardTellsWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newFeedRig(t, FeedOptions{OrderGuard: true, Log: logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: 10})})
		r.put("a", "s", 1)
		for range 3 {
			r.put("b", "s", 9)
		}
		r.expect("1")
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"client":"b","host":"h","service":"s"`) {
			t.Errorf("the log says: %s", text)
		}
		time.Sleep(time.Minute)
		r.put("b", "s", 100)
		r.expect("")
		if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `"times":3,`) {
			t.Errorf("a minute later the log says: %s", text)
		}
	})
}

// The clocks were ahead and are right again: what is measured now is no older
// than what lies in the future.
func TestOrderGuardAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{OrderGuard: true})
		r.putAhead("a", "s", 1, time.Hour)  // 1
		r.putAhead("b", "s", 0, time.Hour)  // 2
		r.put("a", "s", 2)                  // 3: by the right clock
		r.put("b", "s", 1)                  // 4
		r.put("a", "s", 2)                  // 5: older than 4
		r.putAhead("a", "t", 1, time.Hour)  // 6
		r.put("a", "t", 9)                  // 7: the same client's
		r.put("b", "t", 8)                  // 8
		r.putAhead("a", "u", 1, clockSlack) // 9: comes before the next, and was received after it
		r.put("b", "u", 1)                  // 10
		time.Sleep(2 * time.Hour)           // the core is away: when it is read says nothing of the clock by which it came
		r.expect("1 2 3 4 6 7 8 9")
	})
}

func TestOrderGuardOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{})
		r.put("a", "s", 100)
		r.put("b", "s", 101)
		r.expect("1 2")
	})
}

// What is dropped must not hold the journal, whatever stands around it.
func TestDroppedEntriesAreAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{OrderGuard: true})
		r.put("a", "s", 1)
		r.expect("1")
		r.feed.ack(1)
		r.put("b", "s", 20)
		r.put("b", "s", 30)
		r.expect("")
		if acked := r.reader.Acked(); acked != 3 {
			t.Errorf("acknowledged up to %d, want 3", acked)
		}
		if _, err := r.journal.Append([]byte("no record")); err != nil {
			t.Fatal(err)
		}
		r.put("a", "s", 0)
		r.put("b", "s", 20)
		r.put("a", "s", 0)
		r.expect("5 7")
		if acked := r.reader.Acked(); acked != 4 {
			t.Errorf("acknowledged up to %d, want 4", acked)
		}
		r.feed.ack(5)
		if acked := r.reader.Acked(); acked != 6 {
			t.Errorf("acknowledged up to %d, want 6", acked)
		}
		r.feed.ack(7)
		r.expectCounts(map[Outcome]uint64{Delivered: 3, DroppedOlder: 3, GivenUpUnreadable: 1})
	})
}

func TestRejectsAreCountedOnceWhenTheyLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{})
		for range 3 {
			r.put("a", "s", 1)
		}
		for range 2 {
			items := r.all(time.Second)
			r.feed.reject(&items[1], RejectedNoObject, "no such service")
			r.expectCounts(map[Outcome]uint64{})
			r.feed.rewind()
		}
		items := r.all(time.Second)
		r.feed.reject(&items[1], RejectedNoObject, "no such service")
		r.feed.ack(1)
		r.expectCounts(map[Outcome]uint64{Delivered: 1})
		r.feed.ack(3)
		r.expectCounts(map[Outcome]uint64{Delivered: 2, RejectedNoObject: 1})
	})
}

func TestGuardIsSmall(t *testing.T) {
	const objects = 400_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g := newOrderGuard()
	it := item{client: "client", received: objects}
	for i := range objects {
		it.result.Finish = int64(i)
		g.pass(object(uint64(i)*0x9e3779b97f4a7c15), &it)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 32<<20 {
		t.Errorf("%d objects take %d bytes", objects, used)
	} else {
		t.Logf("%d objects take %d bytes", objects, used)
	}
	for i := range 3 * guardObjects {
		g.pass(object(i), &it)
	}
	if n := len(g.now) + len(g.before); n > 2*guardObjects {
		t.Errorf("the guard holds %d objects", n)
	}
}
