package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// book is what shares of a journal of 1600 MiB hold, in MiB. One client may have
// 400 once there are 800; the last 200 are for those with less.
type book struct {
	*shares
	t   *testing.T
	seq uint64
}

const mebi = 1 << 20

func newBook(t *testing.T) *book { return &book{shares: newShares(0.25, 1600*mebi), t: t} }

// put has a client's MiB in the journal, one record each.
func (b *book) put(client string, n int) {
	b.t.Helper()
	for range n {
		h, err := b.admit(b.t.Context(), client, mebi, func() { b.t.Errorf("client %s waits: %s", client, b.waitReason(client)) })
		if err != nil {
			b.t.Fatal(err)
		}
		b.seq++
		b.arrive(h, mebi, mebi, b.seq)
	}
}

// fill is put where nobody asks, as at a start.
func (b *book) fill(client string, n int) {
	for range n {
		b.seq++
		b.recover(client, mebi, b.seq)
	}
}

// try has a client submit one MiB and tells whether that is let in at once; it is
// taken back where it is not.
func (b *book) try(client string) bool {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	defer stop()
	h, err := b.admit(ctx, client, mebi, stop)
	if err != nil {
		return false
	}
	b.arrive(h, mebi, 0, 0)
	return true
}

func TestAClientWithMoreThanItsShareWaitsForOthers(t *testing.T) {
	b := newBook(t)
	b.put("a", 790)
	b.put("b", 5)
	if !b.try("a") {
		t.Error("held while the journal is not half full")
	}
	b.put("b", 10)
	if b.try("a") || !b.try("b") || !b.try("c") {
		t.Error("not only the one with half of the journal waits")
	}
	b.release(700) // a has 90
	if !b.try("a") {
		t.Error("held with less than its share")
	}
	b.put("b", 395)
	b.put("c", 395)
	if b.try("b") || b.try("c") == false || !b.try("a") {
		t.Error("not only the one with over a quarter waits")
	}
}

func TestAClientAloneLeavesRoomForOthers(t *testing.T) {
	b := newBook(t)
	b.put("a", 1400) // seven eighths
	if b.try("a") {
		t.Error("one client may have it all")
	}
	b.put("b", 150)
	b.release(1550)
	if len(b.clients) != 0 || b.all != 0 || len(b.spans) != 0 {
		t.Errorf("remembered of an empty journal: %d clients, %d bytes, %d spans", len(b.clients), b.all, len(b.spans))
	}
}

func TestNoShareHoldsNobody(t *testing.T) {
	b := &book{shares: newShares(0, 1600*mebi), t: t}
	b.put("b", 1)
	b.put("a", 1599)
}

func TestWhoWaitsGoesOnOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		b.fill("a", 1000)
		b.fill("b", 10)
		let := 0
		var landing sync.Mutex // of let and b.seq
		for range 200 {        // connections
			go func() {
				h, err := b.admit(t.Context(), "a", mebi, func() {})
				if err == nil {
					landing.Lock()
					defer landing.Unlock()
					let++
					b.seq++
					b.arrive(h, mebi, mebi, b.seq)
				}
			}()
			synctest.Wait()
		}
		if let != 0 || b.waitReason("a") == "" || b.waitReason("b") != "" {
			t.Errorf("%d were let in, a is told %q, b %q", let, b.waitReason("a"), b.waitReason("b"))
		}
		time.Sleep(time.Minute)
		if who := b.waitingClients(); len(who) != 1 || who[0].Client != "a" || who[0].Bytes != 1000*mebi || time.Since(who[0].Since) != time.Minute {
			t.Errorf("held are %+v", who)
		}
		b.release(300) // of a 700 are left, of all 710: not half full
		synctest.Wait()
		if let != 90 { // up to 800
			t.Errorf("%d were let in, want those that fit in", let)
		}
		b.release(1000)
		synctest.Wait()
		if let != 200 || len(b.waitingClients()) != 0 || b.waiting != 0 {
			t.Errorf("%d were let in, %+v are held", let, b.waitingClients())
		}
	})
}

// What is on its way counts, or 200 connections could pass at once.
func TestWhatIsOnItsWayCounts(t *testing.T) {
	b := newBook(t)
	b.put("b", 10)
	var coming []*holding
	for range 790 {
		h, err := b.admit(t.Context(), "a", mebi, func() { t.Fatal("it waits") })
		if err != nil {
			t.Fatal(err)
		}
		coming = append(coming, h)
	}
	if b.try("a") {
		t.Error("what is on its way does not count")
	}
	for _, h := range coming {
		b.arrive(h, mebi, 0, 0) // duplicates, all of them
	}
	if !b.try("a") || b.clients["a"] != nil {
		t.Errorf("left of what took no room: %+v", b.clients["a"])
	}
}

func TestWhoGivesUpWaitingIsForgotten(t *testing.T) {
	b := newBook(t)
	b.fill("a", 1000)
	b.fill("b", 10)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	if _, err := b.admit(ctx, "a", mebi, func() { cancel(gone) }); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if b.waiting != 0 || len(b.waitingClients()) != 0 {
		t.Errorf("%d wait, %+v are held", b.waiting, b.waitingClients())
	}
}

func TestSharesAreFewFigures(t *testing.T) {
	b := newBook(t)
	for n := range uint64(200_000) {
		b.recover(fmt.Sprint("client ", n%1000), 8192, n+1)
	}
	figures := 0
	for _, s := range b.spans {
		figures += len(s.of)
	}
	if len(b.spans) > spansInJournal+1 || figures > (spansInJournal+1)*1000 || b.all != 200_000*8192 {
		t.Errorf("%d spans with %d figures for %d bytes", len(b.spans), figures, b.all)
	}
}

// submitAs is submit for any client.
func (p *post) submitAs(client string, first uint64, results, size int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	r := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(strings.Repeat("x", size)), Finish: 1e6}
	var entries []wire.Entry
	for n := range results {
		entries = append(entries, wire.Entry{Sequence: first + uint64(n), Result: r.Append(nil)})
	}
	_, err := p.Submit(ctx, record.Origin{Client: client, Instance: wire.Instance{1}, Received: time.Now().UnixMicro(), Remember: 86400}, entries)
	return err
}

// A restarted server knows what each client holds, and so do segments that went.
func TestSharesOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPost(t, dir, smallJournal)
	for n := range uint64(18) {
		if err := p.submitAs("a", 1000*n+1, 1000, 1000, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.submitAs("b", 1, 1000, 1000, time.Minute); err != nil {
		t.Fatal(err)
	}
	a, b, all := p.shares.clients["a"].held, p.shares.clients["b"].held, p.shares.all
	if stats := p.Journal.Stats(); a+b != all || all < stats.Bytes*95/100 || all > stats.Bytes || a < 17*b || a > 19*b {
		t.Errorf("a holds %d, b %d, all %d, and the journal has %d", a, b, all, stats.Bytes)
	}
	p.end()
	p = newPost(t, dir, smallJournal)
	if got := p.shares.clients["a"].held; got != a || p.shares.clients["b"].held != b || p.shares.all != all {
		t.Errorf("after a restart a holds %d of %d, b %d, all %d", got, a, p.shares.clients["b"].held, p.shares.all)
	}
	held := func() bool { return strings.Contains(p.Waiting("a"), "--max-client-share") }
	done := make(chan error, 1)
	go func() { done <- p.submitAs("a", 18_001, 1000, 1000, time.Minute) }()
	p.await("a is held", held)
	if err := p.submitAs("b", 1001, 1000, 1000, time.Minute); err != nil {
		t.Errorf("b is held up: %v", err)
	}
	p.deliver()
	if err := <-done; err != nil {
		t.Errorf("a is not let in again: %v", err)
	}
	p.deliver()
	p.await("nothing is held any more", func() bool {
		p.shares.release(furthest(p.Journal.Stats().Readers))
		return len(p.shares.waitingClients()) == 0 && p.shares.all == 0
	})
	p.end()
}

// A sink that is gone loses its oldest results as long as another reads. It is no
// reason to hold a client.
func TestASinkThatLagsHoldsNoClient(t *testing.T) {
	t.Parallel()
	p := newPost(t, t.TempDir(), smallJournal)
	if _, err := p.Journal.Reader("gone", journal.Oldest); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(60) {
		if err := p.submitAs("a", 1000*n+1, 1000, 1000, time.Minute); err != nil {
			t.Fatalf("after %d MB: %v; it says %q", n, err, p.Waiting("a"))
		}
		p.deliver()
	}
	if p.pushedOut.of("gone") == 0 {
		t.Error("nothing was pushed out: the test shows nothing")
	}
	p.end()
}
