//go:build e2e

package faults

import (
	"massive-passive/test/rig"
	"testing"
)

// The fault suite by the doors that are no pipe.

// newNagiosByDirectory lays out a Nagios whose check-result directory is written to. It logs nothing that tells the
// results of it apart; its perfdata file gets a line for each, in the order of work, flushed at once.
func newNagiosByDirectory(t *testing.T, hosts []rig.Host) door {
	r := rig.NewNagiosRig(t, hosts, "process_performance_data=1", "service_perfdata_file_mode=a",
		"service_perfdata_file_template=$HOSTNAME$;$SERVICEDESC$;$SERVICEOUTPUT$")
	return door{core: r, sink: []string{"--nagios-config", r.ConfigFile(), "--sink", "checkresults:" + r.CheckResultDir()},
		witness: newWitness(t, r.WorkedFile(), `(?m)^(h\d+;s\d+);(\d+)\n`)}
}

// newIcingaByAPI lays out an Icinga whose API gets the results.
func newIcingaByAPI(t *testing.T, hosts []rig.Host) door {
	r, w := newTellingIcinga(t, hosts)
	return door{core: r, sink: r.APISink(t), witness: w}
}

// The other doors of both cores.
func TestE2EFaultDoors(t *testing.T) {
	w := newWorld(t, nil, true)
	w.add("server by Nagios's directory", newNagiosByDirectory, func(*site) []fault { return processFaults() })
	w.add("Nagios by its directory", newNagiosByDirectory, func(*site) []fault { return coreFaults() })
	w.add("Nagios by its directory, unharmed", newNagiosByDirectory, func(s *site) []fault {
		smallDisk(s.t, s.dir)
		return []fault{heldUp(), reloaded(true), serverDiskFull()}
	})
	w.add("server by Icinga's API", newIcingaByAPI, func(*site) []fault { return processFaults() })
	w.add("Icinga by its API", newIcingaByAPI, func(*site) []fault { return append(coreFaults(), reloaded(false)) })
	// An Icinga that is held up for longer than the server waits for an answer, five minutes, may get a result twice by
	// its API: whether it worked on a request before the connection ended, nobody can tell.
	w.add("Icinga by its API, unharmed", newIcingaByAPI, func(s *site) []fault {
		smallDisk(s.t, s.dir)
		return []fault{heldUp(), serverDiskFull()}
	})
	w.run(t)
}
