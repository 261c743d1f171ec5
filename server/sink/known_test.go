package sink

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/logx"
	"massive-passive/server/access"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

const objectCache = `########################################
define host {
	host_name	web 1
	alias	x
	}

define service {
	host_name	web 1
	service_description	disk /
	}
`

// What the core does not have is rejected before it is written, and told once
// a minute for each object.
func TestUnknownObjectsAreRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, rejects := cacheOf(t, objectCache, core.Nagios), filepath.Join(t.TempDir(), "rejects.log")
		var log strings.Builder
		r := newFeedRig(t, FeedOptions{Objects: cache, Rejects: NewRejects(rejects, logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: RejectsNames})), Target: "core"})
		put := func(kind check.Kind, host, service string) {
			r.append("client one", check.Result{Kind: kind, Host: host, Service: service, Output: []byte("text"), Finish: 1})
		}
		put(check.Service, "web 1", "disk /") // 1
		put(check.Host, "web 1", "")          // 2
		put(check.Service, "web 1", "disk")
		put(check.Service, "web 1", "disk")
		put(check.Service, "web 2", "disk /")
		put(check.Host, "web 2", "")
		r.append("c", check.Result{Kind: check.Command, Command: "X"}) // 7
		r.expect("1 2 7")
		r.feed.ack(7)
		r.expectCounts(map[Outcome]uint64{Delivered: 3, RejectedNoObject: 4})
		text, err := os.ReadFile(rejects)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n != 3 {
			t.Errorf("%d lines in the file of rejects, want one for each of three objects:\n%s", n, text)
		}
		for _, want := range []string{`core: "web 1;disk" from client "client one", 1 times: the core's host "web 1" has no service "disk"`, `the core has no host "web 2"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the file does not say %s:\n%s", want, text)
			}
		}
		if n := strings.Count(log.String(), "client one"); n != 3 {
			t.Errorf("the log names the client %d times, want 3", n)
		}

		// A cache that the core is just writing tells nothing, even where nobody has seen
		// yet that it does.
		if err := os.WriteFile(cache.File(), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(confirmAgain)
		put(check.Host, "web 3", "")
		r.expect("8")
		cache.Refresh(time.Now())
		put(check.Host, "web 3", "")
		r.expect("9")
	})
}

// cacheOf returns what is known from an object cache of this text that has settled.
func cacheOf(t *testing.T, text string, of core.Kind) *core.Cache {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.cache")
	writeCache(t, file, text)
	c := core.NewCache(file, of)
	if read, err := c.Refresh(time.Now()); !read || err != nil {
		t.Fatal(read, err)
	}
	return c
}

func writeCache(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, long, long); err != nil {
		t.Fatal(err)
	}
}

func TestRejectsFileStaysSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rejects.log")
	synctest.Test(t, func(t *testing.T) {
		r := NewRejects(file, logx.NewThrottle(zerolog.Nop(), logx.Limits{Names: RejectsNames}))
		for n := range 10_000 {
			it := item{client: fmt.Sprint("c", n%10), result: check.Result{Kind: check.Host, Host: fmt.Sprint("host", n), Output: []byte(strings.Repeat("x", 500))}}
			r.tell("core", &it, RejectedNoObject, "no such host")
			if n%100 == 0 {
				time.Sleep(time.Minute)
			}
		}
	})
	for _, name := range []string{file, file + ".1"} {
		if info, err := os.Stat(name); err != nil || info.Size() > rejectsBytes+1000 || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestStreamWritesJSON(t *testing.T) {
	r := newFeedRig(t, FeedOptions{})
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.append("cl", check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 1, Output: []byte("a\nb\xff"), Start: 1e6, Finish: 2e6})
	r.append("cl", check.Result{Kind: check.Command, Command: "X;1", Finish: 3e6})
	for range 3000 { // more than a pipe holds
		r.append("cl", check.Result{Kind: check.Host, Host: "h", Output: []byte(strings.Repeat("x", 100)), Finish: 1})
	}
	sink := &Stream{Feed: r.feed, Out: writer}
	rig := &apiRig{feedRig: r}
	done := make(chan struct{})
	go func() {
		defer close(done)
		sink.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	eventually(t, "says that nobody reads", func() bool { return strings.Contains(sink.Status().Waiting, "nobody reads") })
	text := make([]byte, 1<<20)
	n, err := io.ReadFull(reader, text[:600])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text[:n]), "\n")
	want := []string{`{"kind":"service","client":"cl","host":"h","service":"s","code":1,"output":"a\nb\ufffd","start":"1970-01-01T00:00:01Z","finish":"1970-01-01T00:00:02Z","received":`,
		`{"kind":"command","client":"cl","command":"X;1","finish":"1970-01-01T00:00:03Z","received":`}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("line %d is %s\nwant %s", i, lines[i], w)
		}
	}
	go io.Copy(io.Discard, reader)
	rig.awaitAcked(3002)
}

// nagiosCache is of two hosts whose addresses Nagios takes for their names.
const nagiosCache = `define host {
	host_name	db9
	address	192.0.2.9
	}
define host {
	host_name	a;b
	address	192.0.2.60
	}
define service {
	host_name	db9
	service_description	s
	}
define service {
	host_name	db9
	service_description	off
	passive_checks_enabled	0
	}
`

// What came before it was known whose address it names goes to that host, in its
// place among that host's others, unless its client may not send for it.
func TestAnAddressIsDeliveredAsItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		permit := func(client string, r *check.Result) error {
			if client == "narrow" && r.Host == "db9" {
				return &access.DeniedError{Reason: "not db9"}
			}
			return nil
		}
		r := newFeedRig(t, FeedOptions{Objects: cacheOf(t, nagiosCache, core.Nagios), OrderGuard: true, Permit: permit, Blind: true,
			Rejects: NewRejects(filepath.Join(t.TempDir(), "rejects"), logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: RejectsNames})), Target: "core"})
		put := func(client, host, service string, finish int64) {
			r.append(client, check.Result{Kind: check.Service, Host: host, Service: service, Finish: finish})
		}
		put("a", "192.0.2.9", "s", 5)                                                // 1
		put("b", "db9", "s", 4)                                                      // 2: older than another's of the same service
		put("narrow", "192.0.2.9", "s", 6)                                           // 3: may not
		put("a", "192.0.2.9", "unknown", 6)                                          // 4
		put("a", "192.0.2.77", "s", 6)                                               // 5
		r.append("a", check.Result{Kind: check.Host, Host: "192.0.2.60", Finish: 7}) // 6: no name that a result can have
		items, err := r.feed.next(t.Context())
		if err != nil || len(items) != 2 || items[0].result.Host != "db9" || items[1].result.Host != "192.0.2.60" {
			t.Fatalf("delivered were %+v, %v", items, err)
		}
		r.feed.ack(6)
		r.expectCounts(map[Outcome]uint64{Delivered: 2, DroppedOlder: 1, RejectedDenied: 1, RejectedNoObject: 2})
		for _, want := range []string{"not db9", `host \"db9\" has no service \"unknown\"`, `no host \"192.0.2.77\"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %s:\n%s", want, &log)
			}
		}
	})
}

// Naemon knows its hosts by their names only.
func TestAnAddressIsNoHostOfNaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, FeedOptions{Objects: cacheOf(t, nagiosCache, core.Naemon)})
		r.append("a", check.Result{Kind: check.Host, Host: "192.0.2.9", Finish: 1})
		r.append("a", check.Result{Kind: check.Host, Host: "db9", Finish: 1})
		r.expect("2")
		r.feed.ack(2)
		r.expectCounts(map[Outcome]uint64{Delivered: 1, RejectedNoObject: 1})
	})
}

// A core that does not answer has what it has the object for. What was found out
// unasked rejects nothing, but counts and is told.
func TestWhatACoreThrowsAwayIsNotDelivered(t *testing.T) {
	for name, c := range map[string]struct {
		found func() *core.Cache
		want  map[Outcome]uint64
	}{
		"not found": {func() *core.Cache { return nil }, map[Outcome]uint64{Written: 5}},
		"found":     {func() *core.Cache { return cacheOf(t, nagiosCache, core.Nagios) }, map[Outcome]uint64{Delivered: 2, RejectedUnseen: 1, Written: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				found := c.found()
				r := newFeedRig(t, FeedOptions{Found: found, Blind: true, Rejects: NewRejects(filepath.Join(t.TempDir(), "rejects"), logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: RejectsNames})),
					Target: "core"})
				r.append("a", check.Result{Kind: check.Service, Host: "db9", Service: "s", Finish: 1})
				r.append("a", check.Result{Kind: check.Service, Host: "db9", Service: "nosuch", Finish: 1})
				r.append("a", check.Result{Kind: check.Host, Host: "192.0.2.9", Finish: 1}) // the core finds it by itself
				r.append("a", check.Result{Kind: check.Command, Command: "X", Finish: 1})
				r.append("a", check.Result{Kind: check.Service, Host: "db9", Service: "off", Finish: 1})
				r.expect("1 2 3 4 5")
				r.feed.ack(5)
				r.expectCounts(c.want)
				if told := strings.Contains(log.String(), "nosuch") && strings.Contains(log.String(), "passive checks are off"); told != (found != nil) {
					t.Errorf("the log says:\n%s", &log)
				}
			})
		})
	}
}
