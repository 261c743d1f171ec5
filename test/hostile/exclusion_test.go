package hostile

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// objectCache is what the core has. It looks a host up by its name, then by its
// address, and the first with that address has it.
const objectCache = `define host {
	host_name	good
	address	192.0.2.1
	}
define host {
	host_name	db9
	address	192.0.2.9
	}
define host {
	host_name	also
	address	192.0.2.9
	}
define host {
	host_name	Secret
	address	DB.example.org
	}
define host {
	host_name	six
	address	2001:db8::9
	}
define service {
	host_name	good
	service_description	s
	}
define service {
	host_name	db9
	service_description	s
	}
`

// excludedHosts are names by which the core finds a host that the client may not
// send for.
var excludedHosts = []string{"db9", "192.0.2.9", "Secret", "DB.example.org", "six", "2001:db8::9"}

// TestHostileExclusions has a client whose policy excludes hosts try to reach them:
// by every name that the core has for them, and while the core writes anew what it
// has. Nothing of it may come to the core.
func TestHostileExclusions(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "objects.cache")
	config := cache + ".cfg"
	s := besiege(t, func(s *siege) {
		rewrite(s, cache, objectCache, time.Hour)
		rewrite(s, config, fmt.Sprintf("command_file=%s\nobject_cache_file=%s\n", s.core.Path, cache), 0)
		s.issue(s.pair.Set.Authority, "excluded", certstest.Request{Name: "excluded", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true)
		rewrite(s, filepath.Join(s.pair.Set.AllowedDir, "excluded.json"), `{"hosts": ["!db9", "!Secret", "!2001:*"]}`, 0)
	}, "--nagios-config", config)
	s.before = s.vitals()
	s.before.memory += moreMemory
	var list []attack
	for _, when := range []struct {
		name string
		text string
		age  time.Duration
	}{
		{"a whole cache", objectCache, time.Hour},
		{"a cache that is being written", "", 0},
		{"half a cache", objectCache[:len(objectCache)/2], time.Hour},
		{"a cache without hosts", "# none\n", time.Hour},
		{"no cache", "", -1},
	} {
		change := func(s *siege) {
			if os.Remove(cache); when.age >= 0 {
				rewrite(s, cache, when.text, when.age)
			}
		}
		list = append(list, attack{"excluded hosts with " + when.name, func(s *siege) {
			change(s)
			var results []check.Result
			for _, host := range excludedHosts {
				results = append(results, check.Result{Kind: check.Service, Host: host, Service: "s"}, check.Result{Kind: check.Host, Host: host})
			}
			s.rejected(s.sessionOf(s.file("excluded")), wire.Denied, results...)
		}}, attack{"old: excluded hosts with " + when.name, func(s *siege) {
			var text string
			for _, host := range excludedHosts {
				text += fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;%s;s;0;x\n[1] PROCESS_HOST_CHECK_RESULT;%s;0;x\n", host, host)
			}
			sendOld(s, s.file("excluded"), old(text))
		}})
	}
	s.attacks(list)
	s.checkLog()
}

// rewrite writes a file that was last changed some time ago.
func rewrite(s *siege, file, text string, age time.Duration) {
	s.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(file, at, at); err != nil {
		s.Fatal(err)
	}
}
