package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/check"
)

type apiRig struct {
	*feedRig
	sink   *IcingaAPI
	access APIAccess
	stop   func()
}

func newAPIRig(t *testing.T, cores ...*apiCore) *apiRig {
	r := &apiRig{feedRig: newFeedRig(t, FeedOptions{})}
	pool := x509.NewCertPool()
	pool.AddCert(cores[0].Certificate())
	r.access = APIAccess{"icinga", &tls.Config{RootCAs: pool}}
	r.sink = &IcingaAPI{Feed: r.feed, User: "root", Access: func() APIAccess { return r.access }, Requests: 4, Window: 0}
	for _, c := range cores {
		r.sink.Endpoints = append(r.sink.Endpoints, c.URL)
	}
	return r
}

func (r *apiRig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.sink.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	r.t.Cleanup(r.stop)
}

func (r *apiRig) send(service string, from, to int) {
	for n := from; n <= to; n++ {
		r.append("c", check.Result{Kind: check.Service, Host: "h", Service: service, Output: fmt.Append(nil, n), Finish: 1e6})
	}
}

// apart names services that do not wait for each other.
func (r *apiRig) apart(n int) []string {
	var names []string
	taken := map[object]bool{}
	for i := 0; len(names) < n; i++ {
		name := fmt.Sprint("service ", i)
		worker := objectOf(r.feed.seed, &check.Result{Kind: check.Service, Host: "h", Service: name}) % object(r.sink.Requests)
		if !taken[worker] {
			taken[worker] = true
			names = append(names, name)
		}
	}
	return names
}

func (r *apiRig) awaitAcked(seq uint64) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("acknowledged up to %d", seq), func() bool { return r.reader.Acked() == seq })
}

func TestAPIKeepsOrderThroughTroubles(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	c.answers["a"] = []string{"503 ", "0", `403 {"error":403.0,"status":"Missing permission: actions/process-check-result"}`, "500 {}", "500 {}"}
	c.answers["b"] = []string{"503 ", "429 "}
	r := newAPIRig(t, c)
	for n := range 20 {
		r.send("a", n, n)
		r.send("b", n, n)
	}
	r.start()
	r.awaitAcked(40)
	want := strings.TrimSpace(strings.Repeat("%d ", 20))
	numbers := make([]any, 20)
	for i := range numbers {
		numbers[i] = i
	}
	for _, service := range []string{"a", "b"} {
		if got := c.outputs(service); got != fmt.Sprintf(want, numbers...) {
			t.Errorf("service %s got %s", service, got)
		}
	}
	r.expectCounts(map[Outcome]uint64{Delivered: 40})
}

func TestAPIRejectsForGood(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	c.answers["a"] = []string{`404 {"error":404.0,"status":"No objects found."}`, `409 {"results":[{"code":409.0,"status":"newer"}]}`,
		`403 {"results":[{"code":403.0,"status":"Passive checks are disabled for object 'h!a'."}]}`, `400 {"error":400.0,"status":"bad"}`,
		`200 {"results":[{"code":200.0,"status":"Ignoring passive check result for unreachable object 'h!a'."}]}`}
	r := newAPIRig(t, c)
	r.send("a", 1, 6)
	r.append("c", check.Result{Kind: check.Command, Command: "ENABLE_NOTIFICATIONS"})
	r.start()
	r.awaitAcked(7)
	if got := c.outputs("a"); got != "6" {
		t.Errorf("got %s, want 6 alone", got)
	}
	r.expectCounts(map[Outcome]uint64{Delivered: 1, RejectedNoObject: 1, DroppedOlder: 1, RejectedPassiveOff: 1, RejectedByCore: 1, RejectedIgnored: 1, RejectedCommand: 1})
}

// An Icinga that fails at everything for some seconds fails at no result for good.
func TestAPIWaitsForAnIcingaThatFails(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	services := r.apart(3)
	for _, service := range services {
		for range apiTries + 1 { // 6.5 s
			c.answers[service] = append(c.answers[service], `500 {"error":500,"status":"Action execution failed."}`)
		}
		r.send(service, 1, 1)
	}
	r.start()
	for _, service := range services {
		eventually(t, service+" is taken", func() bool { return c.outputs(service) == "1" })
	}
	r.awaitAcked(3)
	r.expectCounts(map[Outcome]uint64{Delivered: 3})
}

// What Icinga fails at while it takes others is given up, and holds up no more
// of its object.
func TestAPIGivesUpWhatIcingaFailsAt(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	for range 3 * apiTries {
		c.answers["a"] = append(c.answers["a"], `500 {"error":500,"status":"Action execution failed."}`)
	}
	r := newAPIRig(t, c)
	r.send("a", 1, 1)
	r.start()
	looks := 0
	eventually(t, "given up", func() bool {
		if looks++; looks < 200 {
			r.send(fmt.Sprint("other ", looks), 1, 1) // most have another worker
		}
		return r.sink.Status().Outcomes[RejectedByCore] == 1
	})
	c.mu.Lock()
	left := len(c.answers["a"])
	c.answers["a"] = nil
	c.mu.Unlock()
	if tries := 3*apiTries - left; tries < apiTries {
		t.Errorf("given up after %d tries, want %d", tries, apiTries)
	}
	r.send("a", 2, 2)
	eventually(t, "the next is taken", func() bool { return c.outputs("a") == "2" })
}

// A proxy before Icinga that has lost it for a moment answers in its own words.
func TestAPITakesNoProxysAnswerForIcingas(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"404 404 page not found\n", "404 <html>", `404 {"message":"no route"}`, `403 {"message":"forbidden"}`, "409 ", "400 {}", "404 null"} {
		c := newAPICore(t)
		c.answers["a"] = []string{answer}
		r := newAPIRig(t, c)
		r.send("a", 1, 1)
		r.start()
		r.awaitAcked(1)
		if got := c.outputs("a"); got != "1" {
			t.Errorf("after %q the result was given up: counted %v", answer, r.sink.Status().Outcomes)
		}
	}
}

func TestAPIWritesTheWindowAgainToANewProcess(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	r.sink.Window = time.Hour
	r.send("a", 1, 3)
	r.start()
	eventually(t, "taken", func() bool { return c.outputs("a") == "1 2 3" })
	c.mu.Lock()
	c.pid++
	c.mu.Unlock()
	eventually(t, "written again", func() bool { return c.outputs("a") == "1 2 3 1 2 3" })
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d inside the window", acked)
	}
}

// Icinga drops a result that is older than the last one that it has.
func TestAPIGivesANewProcessNothingNewerFirst(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	r.sink.Window = time.Hour
	r.send("a", 1, 3)
	r.start()
	eventually(t, "taken", func() bool { return c.outputs("a") == "1 2 3" })
	c.mu.Lock()
	c.pid++
	c.mu.Unlock()
	c.CloseClientConnections()
	r.send("a", 4, 4)
	eventually(t, "taken by the new process", func() bool { return strings.HasSuffix(c.outputs("a"), "4") })
	if got, want := c.outputs("a"), "1 2 3 1 2 3 4"; got != want {
		t.Errorf("the two processes got %s, want %s", got, want)
	}
}

func TestAPIFailsOver(t *testing.T) {
	t.Parallel()
	first, second := newAPICore(t), newAPICore(t)
	r := newAPIRig(t, first, second)
	r.send("a", 1, 1)
	r.start()
	r.awaitAcked(1)
	first.CloseClientConnections()
	first.Close()
	r.send("a", 2, 3)
	r.awaitAcked(3)
	if got := first.outputs("a") + " " + second.outputs("a"); got != "1 2 3" {
		t.Errorf("the endpoints got %s", got)
	}
}

func TestAPISaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	r.access.Password = "wrong"
	r.send("a", 1, 1)
	r.start()
	eventually(t, "says that the password is wrong", func() bool { return strings.Contains(r.sink.Status().Waiting, "password") })
}

func TestAPITellsOfARequestWithoutAnAnswer(t *testing.T) {
	r := newAPIRig(t, newAPICore(t))
	l := &worker{api: newIcingaAPI(r.sink.Endpoints[0], "root", r.sink.Access)}
	for ago, want := range map[time.Duration]string{apiTimeout / 2: "", apiTimeout + time.Second: "has not answered a request since"} {
		asked := time.Now().Add(-ago)
		l.asked.Store(&asked)
		r.sink.tell([]*worker{l})
		if state := r.sink.Status().Waiting; (state == "") != (want == "") || !strings.Contains(state, want) {
			t.Errorf("asked %v ago: state %q", ago, state)
		}
		l.asked.Store(nil)
		r.sink.tell([]*worker{l})
		if state := r.sink.Status().Waiting; state != "" {
			t.Errorf("answered, and the state is %q", state)
		}
	}
}

// What one worker is stuck with is acknowledged late, but what the others went
// on with meanwhile is not kept for that.
func TestAPIKeepsOnlyWhatIsNotDone(t *testing.T) {
	r := &apiRig{feedRig: newFeedRig(t, FeedOptions{})}
	r.sink = &IcingaAPI{Feed: r.feed, api: &icingaAPI{}, looked: time.Now().Add(time.Hour), Window: time.Second}
	const stuck, over, recent = 1, 198, 1
	r.send("a", 1, stuck+over+recent)
	items, err := r.feed.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &worker{work: make(chan *apiResult, workerPending)}
	work := []*apiResult{}
	for i := range items {
		if err := r.sink.dispatch(t.Context(), &items[i], []*worker{l}, time.NewTicker(time.Hour)); err != nil {
			t.Fatal(err)
		}
		work = append(work, <-l.work)
	}
	settle := func(pending int, acked uint64) {
		t.Helper()
		if err := r.sink.settle(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if len(r.sink.pending) != pending || r.reader.Acked() != acked {
			t.Errorf("%d results in memory, acknowledged up to %d; want %d and %d", len(r.sink.pending), r.reader.Acked(), pending, acked)
		}
	}
	settle(stuck+over+recent, 0)
	for _, d := range work {
		d.outcome = Delivered
	}
	for _, d := range work[stuck:] {
		d.taken = time.Now().Add(-time.Minute)
		d.done.Store(true)
	}
	work[stuck+over].taken = time.Now().Add(time.Hour)
	settle(stuck+recent, 0)
	work[0].done.Store(true)
	settle(recent, stuck+over)
	work[stuck+over].taken = time.Time{}
	settle(0, stuck+over+recent)
	r.expectCounts(map[Outcome]uint64{Delivered: stuck + over + recent})
}

func TestSplitPerfdata(t *testing.T) {
	for output, want := range map[string][2]string{
		"":                        {"", ""},
		"x|p=1":                   {"x", "p=1"},
		"x|p=1\nl2| q=2 \nr=3":    {"x\nl2\nr=3", "p=1 q=2"},
		"x|no perfdata":           {"x|no perfdata", ""},
		"a|":                      {"a|", ""},
		"x|a=1|b=2":               {"x", "a=1|b=2"},
		"text\nno perfdata there": {"text\nno perfdata there", ""},
		// As Icinga 2.13.6 reads its own checks:
		"\nb":               {"b", ""},
		"\r\n\n b \n\n":     {"b", ""},
		"  a b\t":           {"a b", ""},
		" a\n  b  \n":       {"a\n  b", ""},
		"\va\f":             {"a", ""},
		"\u00a0a\u00a0":     {"\u00a0a\u00a0", ""},
		"a\n\n\nb":          {"a\n\n\nb", ""},
		" | p=1 ":           {"", "p=1"},
		" x | p=1\n y":      {"x \n y", "p=1"},
		"|p=1\nfoo":         {"foo", "p=1"},
		"\n|p=1\n\nfoo|q=2": {"foo", "p=1 q=2"},
		"a\n\n|p=1\n\nb":    {"a\n\n\n\nb", "p=1"},
		"\n\n":              {"", ""},
	} {
		text, perfdata := splitPerfdata([]byte(output))
		if got := [2]string{text, perfdata}; got != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}
