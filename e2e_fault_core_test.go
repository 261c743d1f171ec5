//go:build e2e

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// monitoringCore is what both rigs can do.
type monitoringCore interface {
	start()
	stop()
	kill()
	killMain()
	signal(syscall.Signal)
	reload()
	commandFile() string
	pids() []int
	handOver()
}

// witness reads what a core wrote down of each passive result that it worked on, in a file that only grows.
type witness struct {
	t     testing.TB
	file  string
	lines *regexp.Regexp // of one result, to the newline: host;service, number

	taken  int64 // of the file, up to the end of the last match
	seen   []sighting
	times  map[sighting]int
	newest int64 // the highest number, which is the time at which a plugin ran
}

// door is a core, a way into it, and a witness of what it worked on.
type door struct {
	core    monitoringCore
	sink    []string // the server's options
	witness *witness
}

// newWitnessedNagios lays out a Nagios that logs each passive result. What Nagios 4.4.6 logs as the output there is
// that of the result before; the output itself is in the line of the command, which stands right before.
func newWitnessedNagios(t *testing.T, hosts []rigHost) door {
	r := newNagiosRig(t, hosts, "log_passive_checks=1")
	w := newWitness(t, r.logFile(), fmt.Sprintf(`EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;(h\d+;s\d+);%d;(\d+)\n\[\d+\] PASSIVE SERVICE CHECK: .*\n`, critical))
	return door{core: r, sink: []string{"--command-file", r.commandFile(), "--dialect", "nagios"}, witness: w}
}

// newWitnessedIcinga lays out an Icinga whose pipe is written to.
func newWitnessedIcinga(t *testing.T, hosts []rigHost) door {
	r, w := newTellingIcinga(t, hosts)
	return door{core: r, sink: []string{"--command-file", r.commandFile(), "--dialect", "icinga"}, witness: w}
}

// newTellingIcinga lays out an Icinga that says of each result that it worked on it, in the order of work. It does so
// to its very end: its writers of perfdata stop before its API does, and lose what comes in between.
func newTellingIcinga(t *testing.T, hosts []rigHost) (*icingaRig, *witness) {
	const handler = `object EventCommand "witness" {
	execute = function(checkable, resolvedMacros, useResolvedMacros) {
		log(LogInformation, "witness", checkable.host.name + ";" + checkable.name + ";" + checkable.last_check_result.output)
	}
}
template Service "witnessed" default {
	event_command = "witness"
	volatile = true
}`
	r := newIcingaRig(t, hosts, handler)
	return r, newWitness(t, r.outputFile(), `information/witness: (h\d+;s\d+);(\d+)\n`)
}

func newWitness(t testing.TB, file, lines string) *witness {
	return &witness{t: t, file: file, lines: regexp.MustCompile(lines), times: map[sighting]int{}}
}

// read takes in what was written since the last time.
func (w *witness) read() {
	w.t.Helper()
	data, err := readFrom(w.file, w.taken)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatalf("read what the core wrote: %v", err)
	}
	taken := 0
	for _, m := range w.lines.FindAllSubmatchIndex(data, -1) {
		s, err := parseSighting(string(data[m[2]:m[3]]), string(data[m[4]:m[5]]))
		if err != nil {
			w.t.Fatalf("%s: %v", data[m[0]:m[1]], err)
		}
		w.seen = append(w.seen, s)
		w.times[s]++
		w.newest = max(w.newest, s.number)
		taken = m[1]
	}
	w.taken += int64(taken)
}

// readFrom reads a file from an offset to its end.
func readFrom(file string, offset int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < offset {
		return nil, fmt.Errorf("%s was cut off", file)
	}
	return io.ReadAll(io.NewSectionReader(f, offset, info.Size()-offset))
}

// about returns the lines that the core wrote of a result and of those right before and after it of the same service,
// also such as do not tell that it worked on them: it may have dropped the result.
func (w *witness) about(s sighting) string {
	data, err := os.ReadFile(w.file)
	if err != nil {
		return err.Error()
	}
	service := fmt.Sprintf("h%d;s%d;", s.host, s.service)
	number := strconv.FormatInt(s.number, 10)
	near := number[:len(number)-10] // within ten seconds
	var lines strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, service) && strings.Contains(line, ";"+near) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// repeats is how often the core got a result again.
func (w *witness) repeats() int { return len(w.seen) - len(w.times) }

// compare holds all that the core got with the server's journal.
func (w *witness) compare(t testing.TB, inServer []entry, exactly bool) {
	t.Helper()
	rank, highest, last := map[sighting]uint64{}, map[sighting]uint64{}, map[sighting]uint64{}
	missing, repeated, unknown, stale := 0, 0, 0, 0
	for _, e := range inServer {
		rank[e.sighting] = e.sequence
		highest[e.object()] = max(highest[e.object()], e.sequence)
		if w.times[e.sighting] == 0 {
			missing++
		}
	}
	for s, n := range w.times {
		if n > 1 {
			repeated++
		}
		if rank[s] == 0 {
			unknown++
		}
	}
	for _, s := range w.seen {
		last[s.object()] = rank[s]
	}
	for object, rank := range highest {
		if last[object] != rank {
			stale++
		}
	}
	if missing > 0 || unknown > 0 || stale > 0 {
		t.Errorf("of %d results %d never came to the core; %d came that the server's journal does not have; %d services were left with an older result than their last",
			len(inServer), missing, unknown, stale)
	}
	if exactly && repeated > 0 {
		t.Errorf("%d results came to the core more than once, although neither it nor the server was killed or restarted", repeated)
	}
	inOrder(t, "the core", w.seen, func(s sighting) (sighting, uint64) { return s.object(), rank[s] })
}

// coreFaults end a core.
func coreFaults() []fault { return append(coreKilled(), restarted()) }

func coreKilled() []fault {
	return []fault{
		{"core killed", false, func(s *site) { s.core.kill(); s.core.start() }},
		{"core hangs and is killed", false, func(s *site) {
			s.core.signal(syscall.SIGSTOP) // its main process alone: who reads the pipe for it goes on, into nothing
			s.pause(time.Second + s.moment(time.Second))
			s.core.kill()
			s.core.start()
		}},
		{"core's main process killed", false, func(s *site) {
			s.core.killMain()
			s.pause(time.Second)
			s.core.kill() // what a service manager does with what is left
			s.core.start()
		}},
	}
}

func restarted() fault {
	return fault{"core restarted", false, func(s *site) { s.core.stop(); s.core.start() }}
}

func stopped() fault {
	return fault{"core stopped for a while", false, func(s *site) { s.core.stop(); s.pause(s.world.long); s.core.start() }}
}

func pipeMadeAgain() fault {
	return fault{"pipe removed and made again", false, func(s *site) { s.remakePipe() }}
}

func heldUp() fault {
	return fault{"core held up", true, func(s *site) {
		held := s.core.pids()
		signalAll(held, syscall.SIGSTOP)
		s.pause(s.while())
		signalAll(held, syscall.SIGCONT)
	}}
}

// reloaded is exact where the process that reads the pipe stays, as in Nagios. Icinga starts another one.
func reloaded(exact bool) fault {
	return fault{"core reloaded", exact, func(s *site) { s.core.reload() }}
}

// signalAll sends a signal to processes of a core. One that is gone needs none.
func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, s)
	}
}

// remakePipe removes the pipe under a running core, has another there that nobody reads, and restarts the core.
func (s *site) remakePipe() {
	s.t.Helper()
	path := s.core.commandFile()
	if err := os.Remove(path); err != nil {
		s.t.Fatal(err)
	}
	s.pause(time.Second)
	if err := syscall.Mkfifo(path, 0o660); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		s.t.Fatal(err)
	}
	s.core.handOver()
	s.pause(time.Second)
	s.core.stop()
	s.core.start()
}
