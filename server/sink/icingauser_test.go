package sink

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

// What Icinga 2.13.6 lets users with these permissions do was tried by its API.
func TestPermissionsAreReadAsIcingaReadsThem(t *testing.T) {
	for _, c := range []struct {
		list             []string
		results, forSome bool
		status           bool
	}{
		{nil, false, false, false},
		{[]string{"*"}, true, false, true},
		{[]string{"actions/*"}, true, false, false},
		{[]string{"actions/process-check-result", "status/query"}, true, false, true},
		{[]string{"Actions/Process-Check-Result", "STATUS/*"}, true, false, true},
		{[]string{"act*result"}, true, false, false},
		{[]string{"*check*"}, true, false, false},
		{[]string{"actions/process?check?result"}, true, false, false},
		{[]string{"actions/process?check?resul"}, false, false, false},
		{[]string{"actions/reschedule-check", "objects/query/*"}, false, false, false},
		{[]string{"actions/process-check-result-not"}, false, false, false},
		{[]string{"ctions/process-check-result"}, false, false, false},
		{[]string{"actions/process-check-result (filtered)"}, true, true, false},
		{[]string{"actions/* (filtered)", "status/*"}, true, true, true},
		{[]string{""}, false, false, false},
	} {
		p := permissions{list: c.list}
		results, forSome := p.grant(permitResults)
		status, _ := p.grant(permitStatus)
		if results != c.results || forSome != c.forSome || status != c.status {
			t.Errorf("%q: results %v, for some objects only %v, status %v", c.list, results, forSome, status)
		}
	}
}

func TestAPIWaitsForThePermission(t *testing.T) {
	t.Parallel()
	for _, few := range [][]string{{}, {"status/query"}, {"actions/reschedule-check"}} {
		c := newAPICore(t)
		c.may = few
		r := newAPIRig(t, c)
		r.send("a", 1, 2)
		r.start()
		eventually(t, "names the permission", func() bool {
			waits := r.sink.Status().Waiting
			return strings.Contains(waits, "permission "+permitResults) && strings.Contains(waits, `"root"`)
		})
		c.permit("actions/*")
		r.awaitAcked(2)
		if got := c.outputs("a"); got != "1 2" {
			t.Errorf("with %q before: got %s", few, got)
		}
		r.expectCounts(map[Outcome]uint64{Delivered: 2})
	}
}

// Icinga answers then as if no object existed.
func TestAPIRejectsNothingWhenThePermissionGoes(t *testing.T) {
	t.Parallel()
	for _, all := range [][]string{{"*"}, {permitResults}} { // with the second one nobody knows who answers
		c := newAPICore(t)
		c.may = all
		r := newAPIRig(t, c)
		r.send("a", 1, 1)
		r.start()
		r.awaitAcked(1)
		c.permit("status/query")
		r.send("a", 2, 4)
		eventually(t, "names the permission", func() bool { return strings.Contains(r.sink.Status().Waiting, "permission "+permitResults) })
		if acked := r.reader.Acked(); acked != 1 {
			t.Errorf("acknowledged up to %d without the permission", acked)
		}
		c.permit(all...)
		r.awaitAcked(4)
		if got := c.outputs("a"); got != "1 2 3 4" {
			t.Errorf("got %s", got)
		}
		r.expectCounts(map[Outcome]uint64{Delivered: 4})
	}
}

func TestAPIRejectsWhatIsNotThereWhateverItKnowsOfTheUser(t *testing.T) {
	t.Parallel()
	for _, may := range [][]string{{"*"}, {permitResults}, {permitResults + filtered, permitStatus}, nil} {
		c := newAPICore(t)
		c.may = may
		c.answers["a"] = []string{"404 " + noObject}
		r := newAPIRig(t, c)
		r.send("a", 1, 2)
		r.start()
		r.awaitAcked(2)
		if got := c.outputs("a"); got != "2" {
			t.Errorf("with %q: got %s", may, got)
		}
		r.expectCounts(map[Outcome]uint64{Delivered: 1, RejectedNoObject: 1})
	}
}

func TestAPITellsOfTheFilterOfAPermission(t *testing.T) {
	c := &IcingaAPI{api: &icingaAPI{someOnly: true}}
	why := c.because(&apiResult{outcome: RejectedNoObject, why: "No objects found."})
	if !strings.Contains(why, "No objects found. ") || !strings.Contains(why, "filter") {
		t.Errorf("it says %q", why)
	}
	if why := c.because(&apiResult{outcome: RejectedPassiveOff, why: "off"}); why != "off" {
		t.Errorf("of another rejection it says %q", why)
	}
}

func TestAPIGoesOnWhenTheStatusMayNotBeAskedAnyMore(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	r.sink.Window = 500 * time.Millisecond
	r.send("a", 1, 1)
	r.start()
	r.awaitAcked(1)
	c.permit(permitResults)
	r.send("a", 2, 2)
	r.awaitAcked(2)
	c.permit("*")
	r.send("a", 3, 3)
	r.awaitAcked(3)
	r.expectCounts(map[Outcome]uint64{Delivered: 3})
}

func TestProbeTellsWhatTheUserMay(t *testing.T) {
	for _, c := range []struct {
		may   []string
		found []string
		err   string
	}{
		{[]string{"*"}, []string{"results may be handed in"}, ""},
		{[]string{permitResults}, []string{"results may be handed in", "status/query"}, ""},
		{[]string{permitResults + filtered, "status/*"}, []string{"results may be handed in", "filter"}, ""},
		{[]string{"status/query"}, nil, "give it the permission actions/process-check-result (it has status/query)"},
		{[]string{}, nil, "(it has none)"},
		{nil, []string{"results may be handed in"}, ""},
	} {
		core, good := newAPICore(t), newAPICore(t)
		core.may = c.may
		r := newAPIRig(t, good, core)
		for _, served := range []*apiCore{good, core} { // hosts have no name in answers
			served.answers[""] = []string{"404 " + noObject, "404 " + noObject}
		}
		found, err := r.sink.Probe(t.Context())
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v", c.may, err)
		}
		for _, part := range c.found {
			if !strings.Contains(found, part) {
				t.Errorf("%q: found %q, without %q", c.may, found, part)
			}
		}
	}
}

// A password that was changed in Icinga, and in its file, is used without a restart;
// so is a CA.
func TestAPIUsesWhatWasRenewed(t *testing.T) {
	t.Parallel()
	c := newAPICore(t)
	r := newAPIRig(t, c)
	access := make(chan APIAccess, 1)
	access <- r.access
	r.sink.Access = func() APIAccess {
		now := <-access
		access <- now
		return now
	}
	r.send("a", 1, 1)
	r.start()
	r.awaitAcked(1)
	c.mu.Lock()
	c.password = "new"
	c.mu.Unlock()
	r.send("a", 2, 2)
	eventually(t, "says that the password is wrong", func() bool {
		waits := r.sink.Status().Waiting
		return strings.Contains(waits, "401") || strings.Contains(waits, "password")
	})
	<-access
	access <- APIAccess{"new", r.access.TLS}
	r.awaitAcked(2)

	<-access
	access <- APIAccess{"new", &tls.Config{}} // not the CA of this core
	c.CloseClientConnections()
	r.send("a", 3, 3)
	eventually(t, "does not trust it", func() bool { return strings.Contains(r.sink.Status().Waiting, "--icinga2-ca-file") })
	<-access
	access <- APIAccess{"new", r.access.TLS}
	r.awaitAcked(3)
	if got := c.outputs("a"); got != "1 2 3" {
		t.Errorf("got %s", got)
	}
}
