//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// addressedHosts have two hosts one address, and a host another's as its name. In the objects of a Nagios they are
// in the order of their names, not in this one.
const addressedHosts = `
define host {
	use passive-host
	host_name zeta
	address 192.0.2.1
}
define host {
	use passive-host
	host_name alpha
	address 192.0.2.1
}
define host {
	use passive-host
	host_name db9
	address 192.0.2.9
}
define host {
	use passive-host
	host_name 192.0.2.50
	address 192.0.2.51
}
define host {
	use passive-host
	host_name other
	address 192.0.2.50
}
define host {
	use passive-host
	host_name dns
	address DB.example.org
}
define service {
	use passive-service
	host_name alpha,zeta,db9
	service_description s
}
`

// TestE2EAddresses holds what the server makes of addresses to what Nagios makes of them: by its pipe, where it looks
// them up itself and a server without its configuration leaves that to it, and by its directory, where it does not.
func TestE2EAddresses(t *testing.T) {
	r := startWithAddresses(t)
	for _, door := range []struct {
		name string
		args []string
	}{
		{"by itself", []string{"--command-file", r.CommandFile()}},
		{"by the pipe", []string{"--nagios-config", r.ConfigFile(), "--command-file", r.CommandFile()}},
		{"by the directory", []string{"--nagios-config", r.ConfigFile(), "--sink", "checkresults:"}},
	} {
		t.Run(door.name, func(t *testing.T) {
			p := startServerFor(t, door.args...)
			var sets strings.Builder
			want := map[string]string{"192.0.2.1": "alpha", "192.0.2.9": "db9", "192.0.2.50": "192.0.2.50", "DB.example.org": "dns"}
			for address := range want {
				sets.WriteString(strings.Join([]string{address, "1", door.name + " for " + address}, rig.SendFieldDivider) + "\x17")
			}
			p.Send(sets.String() + strings.Join([]string{"192.0.2.1", "s", "2", door.name}, rig.SendFieldDivider))
			r.Await("all results", func(readings map[rig.ObjectName]rig.Reading) error {
				for address, host := range want {
					if got := readings[rig.ObjectName{Host: host}].Output; got != door.name+" for "+address {
						return fmt.Errorf("what was sent for %s did not come to %s, which has %q", address, host, got)
					}
				}
				if got := readings[rig.ObjectName{Host: "alpha", Service: "s"}].Output; got != door.name {
					return fmt.Errorf("the service of alpha has %q", got)
				}
				return nil
			})
			for _, name := range []rig.ObjectName{{Host: "zeta"}, {Host: "other"}, {Host: "zeta", Service: "s"}} {
				if got := r.Fence()[name]; !got.LastCheck.IsZero() {
					t.Errorf("%v has %q", name, got.Output)
				}
			}
		})
	}
	excludedHost(t, r)
}

// startWithAddresses starts a Nagios that has addressedHosts.
func startWithAddresses(t *testing.T) *rig.NagiosRig {
	t.Helper()
	r := rig.NewNagiosRig(t, nil)
	file, err := os.OpenFile(filepath.Join(r.Dir, "objects.cfg"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(addressedHosts); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	r.Start()
	return r
}

// excludedHost has a client try for the host that its policy excludes, also while Nagios reads its configuration anew.
func excludedHost(t *testing.T, r *rig.NagiosRig) {
	p := rig.NewPair(t, "unused", "nagios")
	p.DeliverTo("--nagios-config", r.ConfigFile(), "--command-file", r.CommandFile())
	if err := os.WriteFile(filepath.Join(p.Set.AllowedDir, "client-1.json"), []byte(`{"hosts": ["!db9"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	p.StartServer()
	p.AwaitPort()
	before := r.Fence()[rig.ObjectName{Host: "db9"}]
	for range 3 {
		for _, host := range []string{"db9", "192.0.2.9"} {
			if code, _, stderr := sendTo(p, host); code != 4 || !strings.Contains(stderr, "db9") {
				t.Errorf("sent for %s: exit code %d, %s", host, code, stderr)
			}
		}
		r.Reload()
	}
	if after := r.Fence()[rig.ObjectName{Host: "db9"}]; after.Output != before.Output && after.Output != "" {
		t.Errorf("db9 has %q", after.Output)
	}
}

// sendTo has send deliver a result for a host.
func sendTo(p *rig.Pair, host string) (code int, stdout, stderr string) {
	return rig.Program(p.T, host+"\t2\tevil\n", "massive-passive-send", "-H", "127.0.0.1", "-p", fmt.Sprint(p.Port), "-to", "60", "--ssl-verify", "ca",
		"--ssl-ca-cert", p.Set.CA, "--ssl-cert", p.Set.ClientCert, "--ssl-key", p.Set.ClientKey)
}

// TestE2EUnknownObjectsByThePipe has the server find by itself that the core throws results away.
func TestE2EUnknownObjectsByThePipe(t *testing.T) {
	r := rig.NewNagiosRig(t, []rig.Host{{Name: "h", Services: []string{"s"}}})
	r.Start()
	p := startServerFor(t, "--command-file", r.CommandFile())
	rig.Eventually(t, rig.ReadingLimit, "the core is found", func() error {
		if !strings.Contains(p.Server.Words(), "found what hosts and services the core has") {
			return errors.New(p.Server.Words())
		}
		return nil
	})
	p.Send(strings.ReplaceAll("h\ts\t0\tknown\x17nosuch\ts\t0\tunknown\x17h\tnosuch\t0\tunknown", "\t", rig.SendFieldDivider))
	rig.Eventually(t, rig.ReadingLimit, "the page tells what the core has", func() error {
		_, text, _ := rig.Program(t, "", "massive-passive-status", "--json", "--state-dir", filepath.Join(p.Dir, "server"))
		if !strings.Contains(text, `"written, no such object": 2`) || !strings.Contains(text, `"delivered": 1,`) {
			return errors.New(text)
		}
		return nil
	})
	rejects := string(rig.ReadFile(t, filepath.Join(p.Dir, "server", "rejects.log")))
	for _, want := range []string{`the core has no host "nosuch", as ` + r.Dir, `the core's host "h" has no service "nosuch"`} {
		if !strings.Contains(rejects, want) {
			t.Errorf("the rejects do not say %s:\n%s", want, rejects)
		}
	}
}
