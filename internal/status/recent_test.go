package status

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// grown is a server's page with these counters.
func grown(at time.Time, rejected, givenUp uint64) *Page {
	return &Page{Role: "server", At: at, Uptime: Seconds(3600), Destinations: []Destination{{Name: "core", Dropped: map[string]uint64{"older": 1000 * rejected},
		Rejected: map[string]uint64{"no such object": rejected}, GivenUp: map[string]uint64{"journal full": givenUp}}},
		Server: &Server{Listed: 1, Rejected: map[string]uint64{"denied": 0}}}
}

func TestRejectionsWarnForAWhile(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var h history
	limits := Thresholds{Warning: time.Hour}
	for minute, c := range []struct {
		rejected, givenUp, recent, recentGivenUp uint64
	}{
		0: {0, 0, 0, 0}, 1: {5, 0, 5, 0}, 2: {5, 0, 5, 0}, 3: {6, 2, 6, 2}, 15: {6, 2, 6, 2}, 16: {6, 2, 1, 2}, 17: {6, 2, 1, 2}, 18: {6, 2, 0, 0}, 40: {6, 2, 0, 0},
		41: {9, 2, 3, 0},
		42: {1, 2, 1, 0}, // began anew
	} {
		if c.rejected == 0 && minute > 0 {
			c = struct{ rejected, givenUp, recent, recentGivenUp uint64 }{6, 2, ^uint64(0), 0}
		}
		p := grown(begin.Add(time.Duration(minute)*time.Minute), c.rejected, c.givenUp)
		p.Recent = h.recent(p)
		h.note(p)
		if c.recent == ^uint64(0) {
			continue
		}
		if got := sum(p.Recent.Rejected); got != c.recent {
			t.Errorf("minute %d: %d rejected of late, want %d", minute, got, c.recent)
		}
		if got := sum(p.Recent.GivenUp); got != c.recentGivenUp {
			t.Errorf("minute %d: %d given up of late, want %d", minute, got, c.recentGivenUp)
		}
		want := OK
		if c.recent+c.recentGivenUp > 0 {
			want = Warning
		}
		line, state := limits.Line([]*Page{p}, nil)
		if state != want || strings.Contains(line, "rejected for good in the last") != (c.recent > 0) || strings.Contains(line, "given up in the last") != (c.recentGivenUp > 0) {
			t.Errorf("minute %d: %v %s", minute, state, line)
		}
		if text := p.Text(false); strings.HasPrefix(text, "massive-passive server: OK") != (want == OK) {
			t.Errorf("minute %d: the page begins with %.80q", minute, text)
		}
	}
	if len(h.samples) > int(recentSpan/recentTick)+1 {
		t.Errorf("%d samples are kept", len(h.samples))
	}
}

func TestAReporterRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := uint64(3)
		r := &Reporter{Page: func() *Page { return grown(time.Now(), n, 0) }}
		go r.remember(t.Context())
		if p := r.page(); sum(p.Recent.Rejected) != 3 {
			t.Errorf("at first: %+v", p.Recent)
		}
		time.Sleep(recentSpan + 2*recentTick)
		synctest.Wait()
		if p := r.page(); len(p.Recent.Rejected) > 0 || len(p.Problems()) > 0 {
			t.Errorf("later: %+v, %q", p.Recent, p.Problems())
		}
		n = 4
		if p := r.page(); !reflect.DeepEqual(p.Recent.Rejected, map[string]uint64{"no such object": 1}) {
			t.Errorf("after another: %+v", p.Recent)
		}
	})
}
