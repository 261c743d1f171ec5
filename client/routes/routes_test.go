package routes

import (
	"maps"
	"testing"

	"massive-passive/client/checkfile"
	"massive-passive/client/outbox"

	"github.com/rs/zerolog"
)

func TestOneNameWithTwoAddressesIsTwoServers(t *testing.T) {
	of := func(address string) checkfile.Check {
		return checkfile.Check{Servers: []checkfile.Server{{Name: "core", Address: address}}}
	}
	all := map[string]checkfile.Check{"a.cfg": of("127.0.0.1:1"), "b.cfg": of("127.0.0.1:2"), "c.cfg": of("127.0.0.1:1")}
	for had, want := range map[string]map[string]string{
		"":            {"core": "127.0.0.1:1", "core=127.0.0.1:2": "127.0.0.1:2"},
		"127.0.0.1:2": {"core": "127.0.0.1:2", "core=127.0.0.1:1": "127.0.0.1:1"},
		"127.0.0.1:3": {"core": "127.0.0.1:1", "core=127.0.0.1:2": "127.0.0.1:2"},
	} {
		state, err := outbox.OpenState(t.TempDir(), zerolog.Nop())
		if err == nil && had != "" {
			err = state.KeepAddresses(map[string]string{"core": had}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		d := &Routes{outbox: &outbox.Outbox{State: state}}
		addresses := d.name(all)
		if !maps.Equal(addresses, want) {
			t.Errorf("core was at %q: got %v, want %v", had, addresses, want)
		}
		d.addresses.Store(&addresses)
		for _, c := range all {
			if got, unnamed, forgotten := d.servers(c); len(got) != 1 || len(unnamed)+len(forgotten) > 0 || addresses[got[0]] != c.Servers[0].Address {
				t.Errorf("core was at %q: results for %v go to %q", had, c.Servers[0], got)
			}
		}
	}
}
