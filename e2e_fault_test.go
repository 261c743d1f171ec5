//go:build e2e

package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The fault suite: a real core, the server and a client with several hundred services under load, and one thing
// after the other goes wrong. Whatever it is, each result that the client's journal ever held must be in the
// server's journal exactly once and come to the core at least once, in order for each service; exactly once where
// neither the core nor the server was killed or restarted.

func processFaults() []fault {
	return []fault{
		{"server killed", false, func(w *world) { w.server.kill(); w.bootServer() }},
		{"server and client killed", false, func(w *world) {
			w.server.kill()
			w.client.kill()
			w.bootClient()
			w.pause(w.moment(time.Second))
			w.bootServer()
		}},
		{"server restarted", false, func(w *world) { w.server.stop(); w.bootServer() }},
	}
}

func clientFaults() []fault {
	return []fault{
		clientKilled(),
		{"client restarted", true, func(w *world) { w.client.stop(); w.bootClient() }},
	}
}

func clientKilled() fault {
	return fault{"client killed", true, func(w *world) { w.client.kill(); w.bootClient() }}
}

func TestE2EFaultNagiosKilled(t *testing.T) {
	newWorld(t, newWitnessedNagios).run(slices.Concat(processFaults(), coreFaults(), []fault{pipeMadeAgain()}))
}

func TestE2EFaultIcingaKilled(t *testing.T) {
	newWorld(t, newWitnessedIcinga).run(append(coreFaults(), pipeMadeAgain(), reloaded(false)))
}

func TestE2EFaultNagiosUnharmed(t *testing.T) {
	w := newWorld(t, newWitnessedNagios)
	w.onSmallDisks()
	r := newRelay(t, w)
	replace(t, w.clientArgs, "--default-servers", fmt.Sprint("core=127.0.0.1:", r.port()))
	w.run(slices.Concat(clientFaults(), []fault{heldUp(), reloaded(true)}, r.faults(), diskFaults()))
}

// The namespaces stand before Icinga, so that it too is held up once.
func TestE2EFaultNetwork(t *testing.T) {
	w := newWorld(t, newWitnessedIcinga)
	w.run(append(newNetwork(w).faults(), heldUp()))
}

func TestE2EFaultPower(t *testing.T) {
	w := newWorld(t, newWitnessedNagios)
	w.onRealDisks()
	w.run(powerFaults())
}
