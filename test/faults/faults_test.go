//go:build e2e

package faults

import (
	"slices"
	"testing"
	"time"
)

// The fault suite: a client with several hundred services under load delivers to several sites, each a server and a
// real core, and at each of them one thing after the other goes wrong, as it does with the client meanwhile. Whatever
// it is, each result that the client's journal ever held must be in each server's journal exactly once and come to each
// core at least once, in order for each service; exactly once where neither that core nor its server was killed or
// restarted.

func processFaults() []fault {
	return []fault{
		{"server killed", false, func(s *site) { s.server.Kill(); s.bootServer() }},
		{"server and client killed", false, func(s *site) {
			s.harmClient(func() {
				s.server.Kill()
				s.world.Client.Kill()
				s.world.bootClient()
				s.pause(s.moment(time.Second))
				s.bootServer()
			})
		}},
		{"server restarted", false, func(s *site) { s.server.Stop(); s.bootServer() }},
	}
}

func clientFaults() []clientFault {
	return []clientFault{
		{"client killed", func(s *striker) { s.world.Client.Kill(); s.world.bootClient() }},
		{"client restarted", func(s *striker) { s.world.Client.Stop(); s.world.bootClient() }},
		{"client's disk full", func(s *striker) {
			free := fill(s.t, s.world.clientDir())
			s.pause(s.while())
			free()
			s.pause(2 * time.Second) // until then the ledger does not see what is in memory
		}},
		{"client's power lost", func(s *striker) { s.loseClient(); s.world.bootClient() }},
	}
}

// The faults of processes and power are at a server that the client reaches without anything between.
func TestE2EFault(t *testing.T) {
	n := newNetwork(t)
	one, other := n.addFarEnd(), n.addFarEnd()
	w := newWorld(t, n, false)
	w.add("server by Nagios's pipe", newWitnessedNagios, func(s *site) []fault {
		realDisk(s.t, s.dir)
		return slices.Concat(processFaults(), powerFaults())
	})
	w.add("Nagios by its pipe, killed", newWitnessedNagios, func(*site) []fault { return coreKilled() })
	w.add("Nagios by its pipe, restarted", newWitnessedNagios, func(*site) []fault {
		return []fault{restarted(), pipeMadeAgain()}
	})
	w.add("Nagios by its pipe, stopped", newWitnessedNagios, func(*site) []fault { return []fault{stopped()} })
	w.add("Nagios by its pipe, unharmed", newWitnessedNagios, func(s *site) []fault {
		smallDisk(s.t, s.dir)
		return []fault{heldUp(), reloaded(true), serverDiskFull()}
	})
	w.add("connection to Nagios's pipe", newWitnessedNagios, func(*site) []fault { return relayFaults() }).relayed()
	w.add("Icinga by its pipe, killed", newWitnessedIcinga, func(*site) []fault { return coreKilled() })
	w.add("Icinga by its pipe, restarted", newWitnessedIcinga, func(*site) []fault {
		return []fault{restarted(), pipeMadeAgain(), reloaded(false)}
	})
	w.add("Icinga by its pipe, stopped", newWitnessedIcinga, func(*site) []fault { return []fault{stopped()} })
	w.add("network to Icinga's pipe, broken", newWitnessedIcinga, func(*site) []fault {
		return []fault{one.cableOut(), one.moved()}
	}).across(one)
	w.add("network to Icinga's pipe, slow", newWitnessedIcinga, func(*site) []fault {
		return []fault{other.slow(), heldUp()}
	}).across(other)
	w.run(t)
}
