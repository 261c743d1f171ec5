package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
)

const objectCache = `define host {
	host_name	web1
	address	192.0.2.1
	}
define host {
	host_name	db9
	address	192.0.2.9
	}
define host {
	host_name	db10
	address	192.0.2.9
	}
define host {
	host_name	dns
	address	DB9.example.org
	}
define host {
	host_name	192.0.2.50
	address	192.0.2.51
	}
define host {
	host_name	a;b
	address	192.0.2.60
	}
define service {
	host_name	db9
	service_description	s
	}
`

// coreRig is a rig whose core has an object cache, which is named by its main
// configuration.
type coreRig struct {
	*rig
	cache    string
	sequence uint64 // of the last result sent
}

func newCoreRig(t *testing.T, cache, policy string) *coreRig {
	t.Helper()
	c := &coreRig{}
	c.rig = newRig(t, func(o *Options) {
		c.cache = filepath.Join(filepath.Dir(o.CommandFile), "objects.cache")
		o.NagiosConfig = filepath.Join(filepath.Dir(o.CommandFile), "nagios.cfg")
		c.write(t, o.NagiosConfig, fmt.Sprintf("command_file=%s\nobject_cache_file=%s\n", o.CommandFile, c.cache))
		if cache != "" {
			c.write(t, c.cache, cache)
		}
		c.write(t, filepath.Join(o.AllowedClientCertDir, "web1.json"), policy)
	})
	return c
}

// write writes a file that has settled.
func (c *coreRig) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chtimes(file+".new", long, long), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
}

// send sends a result for each host, and returns which were denied.
func (c *coreRig) send(hosts ...string) (denied []string) {
	c.t.Helper()
	s, err := c.connect(wire.Instance{1})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	b := wire.Batch{Instance: wire.Instance{1}}
	for _, host := range hosts {
		c.sequence++
		res := check.Result{Kind: check.Host, Host: host, Output: []byte("sent for " + host), Finish: 1e6}
		b.Entries = append(b.Entries, wire.Entry{Sequence: c.sequence, Result: res.Append(nil)})
	}
	for _, r := range c.exchange(s, b).Rejections {
		if r.Reason != wire.Denied {
			c.t.Errorf("rejected as %+v", r)
		}
		denied = append(denied, hosts[len(hosts)-int(c.sequence-r.Sequence)-1])
	}
	return denied
}

// A host is who it is, whether it is named or its address is, where the core takes
// the one for the other.
func TestAnExclusionIsNotPassedByWithAnAddress(t *testing.T) {
	c := newCoreRig(t, objectCache, `{"hosts": ["!db9", "!dns", "!a;b", "!192.0.2.51"]}`)
	denied := c.send("db9", "192.0.2.9", "DB9.example.org", "192.0.2.60", "192.0.2.51", "192.0.2.50")
	if want := "db9 192.0.2.9 DB9.example.org 192.0.2.60 192.0.2.51 192.0.2.50"; strings.Join(denied, " ") != want {
		t.Errorf("denied were %q, want %q", denied, want)
	}
	if denied := c.send("192.0.2.1", "web1", "db10"); denied != nil {
		t.Errorf("denied were %q", denied)
	}
	for _, want := range []string{"RESULT;web1;0;sent for 192.0.2.1", "RESULT;web1;0;sent for web1", "RESULT;db10;0;sent for db10"} {
		if line := c.line(); !strings.Contains(line, want) {
			t.Errorf("the core got %q, want %q", line, want)
		}
	}
}

// A policy may name a host by its address; a pattern that happens to match an
// address names no host.
func TestAPolicyThatAllowsAnAddress(t *testing.T) {
	c := newCoreRig(t, objectCache, `{"hosts": ["192.0.2.1", "*.example.org"]}`)
	denied := c.send("192.0.2.1", "web1", "192.0.2.9", "DB9.example.org", "dns")
	if want := "192.0.2.9 DB9.example.org dns"; strings.Join(denied, " ") != want {
		t.Errorf("denied were %q, want %q", denied, want)
	}
}

// While the core writes its cache anew, and as long as that is broken, the last
// good one counts.
func TestAnExclusionHoldsWhileTheObjectCacheIsWritten(t *testing.T) {
	c := newCoreRig(t, objectCache, `{"hosts": ["!db9"]}`)
	for _, text := range []string{"", "define host {\n\thost_name\tdb9\n"} {
		if err := os.WriteFile(c.cache, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); c.server.objects.Current() != nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the change was not seen")
			}
		}
		if denied := c.send("192.0.2.9"); len(denied) != 1 {
			t.Errorf("with a cache that holds %q, the address is taken for another host", text)
		}
	}
	if err := os.Remove(c.cache); err != nil {
		t.Fatal(err)
	}
	if denied := c.send("192.0.2.9"); len(denied) != 1 {
		t.Error("with a cache that is gone, the address is taken for another host")
	}
}

// A server that starts before its core does not know whose address is whose. What
// that could pass by waits at the client, all else is taken.
func TestWithoutAnyObjectCacheTheResultsOfPatternsWait(t *testing.T) {
	c := newCoreRig(t, "", `{"hosts": ["!db9"]}`)
	got := make(chan error, 1)
	go func() {
		r := check.Result{Kind: check.Host, Host: "192.0.2.9", Finish: 1e6}
		_, err := c.server.intake.Submit(t.Context(), record.Origin{Client: "web1"}, []wire.Entry{{Sequence: 1, Result: r.Append(nil)}})
		got <- err
	}()
	c.log.await(t, "wait until the core's object cache was read", `"client":"web1"`)
	if why := c.server.intake.Waiting("web1"); !strings.HasPrefix(why, "the core's object cache was not read yet") {
		t.Errorf("the client is told %q", why)
	}
	if !c.server.access.NamesOnly("stranger") {
		t.Error("a client without a policy would wait")
	}
	c.write(t, c.cache, objectCache)
	if err := <-got; err != nil {
		t.Errorf("once the cache is there: %v", err)
	}
	if n := c.server.intake.Status().Denied; n != 1 {
		t.Errorf("%d results were denied once the cache was there, want 1", n)
	}
}

// Without the configuration of the core nobody can know, and who set a policy is
// told so.
func TestPoliciesThatAnAddressPassesByAreWarnedOf(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Dialect = "nagios" })
	const warning = "which passes by a policy for hosts"
	policy := func(text string, warnings int) {
		t.Helper()
		read := len(r.log.lines("read the directory"))
		r.writePolicy(text)
		for deadline := time.Now().Add(30 * time.Second); len(r.log.lines("read the directory")) == read || len(r.log.lines(warning)) < warnings; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d warnings, want %d", text, len(r.log.lines(warning)), warnings)
			}
		}
		if n := len(r.log.lines(warning)); n != warnings {
			t.Errorf("%s: %d warnings, want %d", text, n, warnings)
		}
	}
	policy(`{"hosts": ["web1", "web2"], "services": ["!x"]}`, 0)
	policy(`{"hosts": ["!db9"]}`, 1)
	policy(`{"hosts": ["web1", "!db9"]}`, 1) // the same client
	policy(`{"hosts": ["*"]}`, 1)
	policy(`{"hosts": ["web*"]}`, 2)
}
