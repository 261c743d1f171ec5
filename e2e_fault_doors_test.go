//go:build e2e

package main

import (
	"slices"
	"testing"
)

// The fault suite by the doors that are no pipe.

// newNagiosByDirectory lays out a Nagios whose check-result directory is written to. It logs nothing that tells the
// results of it apart; its perfdata file gets a line for each, in the order of work, flushed at once.
func newNagiosByDirectory(t *testing.T, hosts []rigHost) door {
	r := newNagiosRig(t, hosts, "process_performance_data=1", "service_perfdata_file_mode=a",
		"service_perfdata_file_template=$HOSTNAME$;$SERVICEDESC$;$SERVICEOUTPUT$")
	return door{core: r, sink: []string{"--nagios-config", r.configFile(), "--sink", "checkresults:" + r.checkResultDir()},
		witness: newWitness(t, r.workedFile(), `(?m)^(h\d+;s\d+);(\d+)\n`)}
}

// newIcingaByAPI lays out an Icinga whose API gets the results.
func newIcingaByAPI(t *testing.T, hosts []rigHost) door {
	r, w := newTellingIcinga(t, hosts)
	return door{core: r, sink: r.apiSink(t), witness: w, state: critical, slow: true}
}

// few leaves those faults that are named where one round is asked for: a run before each change has little time.
func (w *world) few(faults []fault, names ...string) []fault {
	w.t.Helper()
	if w.rounds > 1 {
		return faults
	}
	left := slices.DeleteFunc(faults, func(f fault) bool { return !slices.Contains(names, f.name) })
	if len(left) != len(names) {
		w.t.Fatalf("of the faults %q there are %d", names, len(left))
	}
	return left
}

func TestE2EFaultDirectoryKilled(t *testing.T) {
	w := newWorld(t, newNagiosByDirectory)
	w.run(w.few(slices.Concat(processFaults(), coreFaults()), "server killed", "core killed", "core's main process killed", "core restarted"))
}

func TestE2EFaultDirectoryUnharmed(t *testing.T) {
	w := newWorld(t, newNagiosByDirectory)
	w.onSmallDisks()
	w.run([]fault{clientKilled(), heldUp(), reloaded(true), serverDiskFull()})
}

func TestE2EFaultAPIKilled(t *testing.T) {
	w := newWorld(t, newIcingaByAPI)
	w.run(w.few(slices.Concat(processFaults(), coreFaults(), []fault{reloaded(false)}), "server killed", "core killed", "core restarted", "core reloaded"))
}

// An Icinga that is held up for longer than the server waits for an answer, five minutes, may get a result twice by its
// API: whether it worked on a request before the connection ended, nobody can tell.
func TestE2EFaultAPIUnharmed(t *testing.T) {
	w := newWorld(t, newIcingaByAPI)
	w.onSmallDisks()
	w.run([]fault{clientKilled(), heldUp(), serverDiskFull()})
}
