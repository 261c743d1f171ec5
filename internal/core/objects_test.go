package core

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"massive-passive/wire/check"
)

// objectCache is as a Nagios 4.5 writes it: with a blank behind some values.
const objectCache = `########################################
define hostgroup {
	hostgroup_name	all
	members	web 1,zeta
	}
define host {
	host_name	web 1 
	alias	x
	address	192.0.2.1
	}
define host {
	host_name	192.0.2.50
	address	DB9.example.org
	}
define host {
	host_name	other
	address	192.0.2.50
	}
define host {
	host_name	zeta
	address	192.0.2.1
	}
define host {
	host_name	six
	address	2001:db8::9
	}
define host {
	host_name	plain
	address	plain
	}
define contact {
	contact_name	c
	address1	192.0.2.200
	}
define service {
	host_name	web 1
	service_description	disk /
	}
`

func parse(t testing.TB, text string, of Kind) *Objects {
	t.Helper()
	o, err := ParseObjects(strings.NewReader(text), of)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// What is expected is what a Nagios 4.4.6 with these hosts does.
func TestAddressesLeadToHostsAsInNagios(t *testing.T) {
	o := parse(t, objectCache, Nagios)
	for address, want := range map[string]string{
		"192.0.2.1":       "web 1",      // and not zeta, which comes later
		"192.0.2.50":      "",           // is a host's name
		"DB9.example.org": "192.0.2.50", // a name in the DNS, to the letter
		"db9.example.org": "",
		"2001:db8::9":     "six", // to the letter, too
		"2001:DB8::9":     "",
		"2001:db8:0::9":   "",
		"plain":           "", // needs no address
		"192.0.2.200":     "", // is no host's
		"web 1":           "",
		"":                "",
	} {
		host, ok := o.HostAt(address)
		if host != want || ok != (want != "") {
			t.Errorf("%q leads to %q, %v, want %q", address, host, ok, want)
		}
		if ok && o.AddressOf(host) != address {
			t.Errorf("the address of %q is %q, want %q", host, o.AddressOf(host), address)
		}
	}
	for _, host := range []string{"zeta", "other", "plain", "nobody"} {
		if address := o.AddressOf(host); address != "" {
			t.Errorf("%q leads to %q", address, host)
		}
	}
	for _, of := range []Kind{Naemon, Icinga} {
		if host, ok := parse(t, objectCache, of).HostAt("192.0.2.1"); ok {
			t.Errorf("in %s an address leads to %q", of, host)
		}
	}
}

func TestPassiveOff(t *testing.T) {
	text := strings.Replace(objectCache, "\taddress\t192.0.2.1\n", "\taddress\t192.0.2.1\n\tpassive_checks_enabled\t0\n", 1)
	text += "define service {\n\thost_name\tzeta\n\tservice_description\toff\n\tpassive_checks_enabled\t0 \n\t}\n"
	text += "define service {\n\thost_name\tzeta\n\tservice_description\ton\n\tpassive_checks_enabled\t1\n\t}\n"
	o := parse(t, text, Nagios)
	for _, c := range []struct {
		r    check.Result
		want bool
	}{
		{check.Result{Kind: check.Host, Host: "web 1"}, true},
		{check.Result{Kind: check.Host, Host: "192.0.2.1"}, true},
		{check.Result{Kind: check.Service, Host: "web 1", Service: "disk /"}, false},
		{check.Result{Kind: check.Host, Host: "zeta"}, false},
		{check.Result{Kind: check.Service, Host: "zeta", Service: "off"}, true},
		{check.Result{Kind: check.Service, Host: "zeta", Service: "on"}, false},
	} {
		if got := o.PassiveOff(&c.r); got != c.want {
			t.Errorf("of %s %s it says %v, want %v", c.r.Host, c.r.Service, got, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	o := parse(t, objectCache, Nagios)
	for want, r := range map[string]check.Result{
		"":                           {Kind: check.Service, Host: "web 1", Service: "disk /"},
		`the core has no host "x"`:   {Kind: check.Service, Host: "x", Service: "disk /"},
		`the core has no host "x;y"`: {Kind: check.Host, Host: "x;y"},
		`the core's host "zeta" has no service "disk /"`: {Kind: check.Service, Host: "zeta", Service: "disk /"},
		`the core's host "web 1" has no service "y"`:     {Kind: check.Service, Host: "192.0.2.1", Service: "y"},
	} {
		if got := o.Missing(&r); got != want {
			t.Errorf("of %s %s it says %q, want %q", r.Host, r.Service, got, want)
		}
	}
	for _, r := range []check.Result{{Kind: check.Command, Command: "X"}, {Kind: check.Host, Host: "192.0.2.1"}} {
		if got := o.Missing(&r); got != "" {
			t.Errorf("of %+v it says %q", r, got)
		}
	}
	unknown := check.Result{Kind: check.Host, Host: "x"}
	if got := (*Objects)(nil).Missing(&unknown); got != "" {
		t.Errorf("nothing is known, and it says %q", got)
	}
}

// The core writes its cache to a disk that is full, and does not notice. Its
// objects are there, only the file is not whole.
func TestAnObjectCacheThatBreaksOffIsNone(t *testing.T) {
	end := strings.LastIndex(objectCache, "}")
	for cut := strings.LastIndex(objectCache, "define") + 1; cut <= end+1; cut++ {
		if _, err := ParseObjects(strings.NewReader(objectCache[:cut]), Nagios); !errors.Is(err, errBreaksOff) {
			t.Errorf("of a file that ends with %q it is said: %v", objectCache[cut-10:cut], err)
		}
	}
	if _, err := ParseObjects(strings.NewReader("# only this\n"), Nagios); err == nil {
		t.Error("a file without a host is taken")
	}
}

// A line with the members of a large group is longer than any name.
func TestLinesOfAnyLengthAreRead(t *testing.T) {
	members := strings.Repeat("host,", 1<<20)
	o := parse(t, "define hostgroup {\n\tmembers\t"+members+"\n\t}\n"+objectCache, Nagios)
	if host, _ := o.HostAt("192.0.2.1"); host != "web 1" {
		t.Errorf("behind a long line, the address leads to %q", host)
	}
	if _, err := ParseObjects(strings.NewReader("define hostgroup {\n\tmembers\t"+members), Nagios); !errors.Is(err, errBreaksOff) {
		t.Errorf("a long line that breaks off: %v", err)
	}
}

// manyHosts writes an object cache of n hosts with a service each.
func manyHosts(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		for i := range n {
			fmt.Fprintf(w, "define host {\n\thost_name\thost-%06d.example.org\n\taddress\t2001:db8::%x\n\t}\n", i, i)
			fmt.Fprintf(w, "define service {\n\thost_name\thost-%06d.example.org\n\tservice_description\tload\n\t}\n", i)
		}
		w.Close()
	}()
	return r
}

func TestManyHostsTakeLittleMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const hosts = 100_000
	before := heap()
	o, err := ParseObjects(manyHosts(hosts), Nagios)
	if err != nil {
		t.Fatal(err)
	}
	if used := heap() - before; used > hosts*400 {
		t.Errorf("%d hosts take %d bytes", hosts, used)
	} else {
		t.Logf("%d hosts take %d bytes", hosts, used)
	}
	if host, _ := o.HostAt("2001:db8::1869f"); host != "host-099999.example.org" {
		t.Errorf("the last host's address leads to %q", host)
	}
	runtime.KeepAlive(o)
}

func BenchmarkHostAt(b *testing.B) {
	o, err := ParseObjects(manyHosts(100_000), Nagios)
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		o.HostAt("host-012345.example.org")
	}
}
