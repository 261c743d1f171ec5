package server

import (
	"bytes"
	"massive-passive/internal/status"
	"massive-passive/server/sink"
	"massive-passive/wire/check"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/journal"
)

func TestPageCountsWhatHappened(t *testing.T) {
	r := newRig(t)
	instance := wire.Instance{7}
	r.deliver(instance, 1, 2, 3)
	r.deliver(instance, 2, 3, 4)
	s, err := r.connect(instance)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.exchange(s, wire.Batch{Instance: instance, Entries: []wire.Entry{{Sequence: 9, Result: []byte("?")}}})
	r.expect(1, 2, 3, 4)
	p := r.server.status()
	of := p.Server
	if of.Taken != 4 || of.Duplicates != 2 || of.Rejected["malformed"] != 1 || of.Connections < 1 || of.Listed != 1 {
		t.Errorf("got %+v", of)
	}
	if len(of.Clients) != 1 || of.Clients[0].Name != "web1" || of.Clients[0].Results != 7 || time.Since(of.Clients[0].Last) > time.Minute ||
		of.Clients[0].Connections != of.Connections {
		t.Errorf("clients: %+v", of.Clients)
	}
	if len(p.Destinations) != 1 || p.Destinations[0].Depth != 4 || p.Journal.Depth != 4 || p.Journal.Bytes == 0 {
		t.Errorf("destinations %+v, journal %+v", p.Destinations, p.Journal)
	}
	p.Journal = r.server.journalPage(journal.Stats{}, "the journal is full")
	if p.Journal.Refuses == "" || len(p.Problems()) == 0 {
		t.Errorf("a full journal does not show: %+v", p.Journal)
	}
}

// The result is with the core: that its output was cut says nothing about that.
func TestAResultWithItsOutputCutCountsAsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) {
		if err := os.MkdirAll(o.StateDir, 0o711); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.StateDir, "spool"), nil, 0o600); err != nil { // the core cannot be passed a file
			t.Fatal(err)
		}
	})
	s, err := r.connect(wire.Instance{7})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	long := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: bytes.Repeat([]byte("x"), 5000), Finish: 1e6}
	r.exchange(s, wire.Batch{Instance: wire.Instance{7}, Entries: []wire.Entry{{Sequence: 1, Result: long.Append(nil)}}})
	for deadline := time.Now().Add(time.Minute); r.server.status().Destinations[0].OutputCut != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the cut does not show: %+v", r.server.status().Destinations[0])
		}
	}
	o := r.server.status().Destinations[0]
	if len(o.Dropped)+len(o.GivenUp)+len(o.Rejected) > 0 {
		t.Errorf("a result whose output was cut is shown as lost: %+v", o)
	}
	if text := r.server.status().Text(false); !strings.Contains(text, "output cut in 1") {
		t.Errorf("the cut does not show:\n%s", text)
	}
}

func TestEachOutcomeShowsOnThePage(t *testing.T) {
	o := status.Destination{Dropped: map[string]uint64{}, GivenUp: map[string]uint64{}, Rejected: map[string]uint64{}}
	n := uint64(0)
	for outcome := sink.Outcome(1); outcome.Class() != 0; outcome++ {
		n++
		putOutcome(&o, outcome, 1)
	}
	shown := o.Delivered + o.Written
	for _, counts := range []map[string]uint64{o.Dropped, o.GivenUp, o.Rejected} {
		for text, times := range counts {
			shown += times
			if times != 1 || text == "" {
				t.Errorf("%d outcomes are shown as %q", times, text)
			}
		}
	}
	if shown != n || o.Delivered != 1 || o.Written != 1 || o.Rejected["no such object"] != 1 || o.Dropped["older"] != 1 || o.GivenUp["journal full"] != 1 {
		t.Errorf("%d of %d outcomes are shown: %+v", shown, n, o)
	}
}

// What the core has is kept for a while, but nobody waits for it.
func TestAHealthyServerHasNothingWaiting(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Dialect = "icinga" })
	r.deliver(wire.Instance{7}, 1, 2, 3, 4)
	r.expect(1, 2, 3, 4)
	var p *status.Page
	for deadline := time.Now().Add(sink.DefaultWindow / 2); ; time.Sleep(10 * time.Millisecond) {
		if p = r.server.status(); p.Destinations[0].Resting == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("what was delivered does not rest: %+v", p.Destinations)
		}
	}
	o := p.Destinations[0]
	if o.Depth != 0 || o.OldestAge != 0 || o.Delivered != 0 || p.Journal.Depth != 0 || p.Journal.OldestAge != 0 || p.Journal.Resting != 4 {
		t.Errorf("destination %+v, journal %+v", o, p.Journal)
	}
	if text := p.Text(false); !strings.Contains(text, "0 results waiting; 4 handed to the core and kept") {
		t.Errorf("the page says\n%s", text)
	}
	r.deliver(wire.Instance{7}, 5)
	if p = r.server.status(); p.Destinations[0].Depth != 1 || p.Destinations[0].Resting != 4 {
		t.Errorf("one that waits does not show: %+v", p.Destinations[0])
	}
}
