//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// monitoringCore is what both rigs can do.
type monitoringCore interface {
	Start()
	Stop()
	Kill()
	KillMain()
	Signal(syscall.Signal)
	Reload()
	CommandFile() string
	Pids() []int
	HandOver()
}

// witness reads what a core wrote down of each passive result that it worked on, in a file that only grows.
type witness struct {
	t     testing.TB
	file  string
	lines *regexp.Regexp // of one result, to the newline: host;service, number

	// tongueTied also has the command that hands in a result, and the line that says of a service that it worked on a
	// result without a word. It is for where that line is: it takes its time.
	tongueTied *regexp.Regexp

	taken  int64 // of the file, up to the end of the last match
	seen   []sighting
	times  map[sighting]int
	newest int64 // the highest number, which is the time at which a plugin ran

	silent map[sighting]*silentStretch // by service: the last that its results came to
	untold int                         // results that can only be in one
}

// silentStretch are results of one service that a core worked on without telling which: no command handed them in.
// Those that it told before and after say what they can be.
type silentStretch struct {
	results  int   // of them, those that were not missed yet
	from, to int64 // numbers that it told; to is 0 until then
}

const silence = "Skipping event handler for HA-paused checkable"

// door is a core, a way into it, and a witness of what it worked on.
type door struct {
	core    monitoringCore
	sink    []string // the server's options
	witness *witness
}

// newWitnessedNagios lays out a Nagios that logs each passive result. What Nagios 4.4.6 logs as the output there is
// that of the result before; the output itself is in the line of the command, which stands right before.
func newWitnessedNagios(t *testing.T, hosts []rig.Host) door {
	r := rig.NewNagiosRig(t, hosts, "log_passive_checks=1")
	w := newWitness(t, r.LogFile(), fmt.Sprintf(`EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;(h\d+;s\d+);%d;(\d+)\n\[\d+\] PASSIVE SERVICE CHECK: .*\n`, critical))
	return door{core: r, sink: []string{"--command-file", r.CommandFile(), "--dialect", "nagios"}, witness: w}
}

// newWitnessedIcinga lays out an Icinga whose pipe is written to.
func newWitnessedIcinga(t *testing.T, hosts []rig.Host) door {
	r, w := newTellingIcinga(t, hosts)
	return door{core: r, sink: []string{"--command-file", r.CommandFile(), "--dialect", "icinga"}, witness: w}
}

// newTellingIcinga lays out an Icinga that says of each result that it worked on it, in the order of work. It does so
// to its very end: its writers of perfdata stop before its API does, and lose what comes in between. But what it works
// on in its first moments, before it knows that no other of a cluster is in charge, has no event handlers: that, it says
// in a notice.
func newTellingIcinga(t *testing.T, hosts []rig.Host) (*rig.IcingaRig, *witness) {
	const handler = `object EventCommand "witness" {
	execute = function(checkable, resolvedMacros, useResolvedMacros) {
		log(LogInformation, "witness", checkable.host.name + ";" + checkable.name + ";" + checkable.last_check_result.output)
	}
}
template Service "witnessed" default {
	event_command = "witness"
	volatile = true
}`
	r := rig.NewIcingaRig(t, hosts, handler)
	r.Args = append(r.Args, "--log-level", "notice")
	const lines = `information/witness: (h\d+;s\d+);(\d+)\n`
	w := newWitness(t, r.OutputFile(), lines)
	w.tongueTied = regexp.MustCompile(lines + `|Executing external command: \[\d+\] PROCESS_SERVICE_CHECK_RESULT;(h\d+;s\d+);\d+;(\d+)\n` +
		`|` + silence + ` '(h\d+)!(s\d+)'\n`)
	return r, w
}

func newWitness(t testing.TB, file, lines string) *witness {
	return &witness{t: t, file: file, lines: regexp.MustCompile(lines), times: map[sighting]int{}, silent: map[sighting]*silentStretch{}}
}

// read takes in what was written since the last time.
func (w *witness) read() {
	w.t.Helper()
	data, err := readFrom(w.file, w.taken)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatalf("read what the core wrote: %v", err)
	}
	lines := w.lines
	if w.tongueTied != nil && bytes.Contains(data, []byte(silence)) {
		lines = w.tongueTied
	}
	taken := 0
	handedIn := map[sighting]sighting{} // by service, the last
	for _, m := range lines.FindAllSubmatchIndex(data, -1) {
		group := func(n int) string { return string(data[m[2*n]:m[2*n+1]]) }
		switch {
		case m[2] >= 0:
			w.saw(w.parse(group(1), group(2)))
		case m[6] >= 0:
			s := w.parse(group(3), group(4))
			handedIn[s.object()] = s
			continue // what became of it may come with the next read
		default:
			object := w.parse(group(5)+";"+group(6), "0")
			if s, ok := handedIn[object]; ok {
				w.saw(s)
			} else {
				w.sawSilence(object)
			}
		}
		taken = m[1]
	}
	w.taken += int64(taken)
}

func (w *witness) parse(service, number string) sighting {
	w.t.Helper()
	s, err := parseSighting(service, number)
	if err != nil {
		w.t.Fatalf("%s: %s %s: %v", w.file, service, number, err)
	}
	return s
}

func (w *witness) saw(s sighting) {
	w.seen = append(w.seen, s)
	w.times[s]++
	w.newest = max(w.newest, s.number)
	if stretch := w.silent[s.object()]; stretch != nil && stretch.to == 0 {
		stretch.to = s.number
	}
}

func (w *witness) sawSilence(object sighting) {
	stretch := w.silent[object]
	if stretch == nil || stretch.to != 0 {
		stretch = &silentStretch{}
		for _, s := range slices.Backward(w.seen) {
			if s.object() == object {
				stretch.from = s.number
				break
			}
		}
		w.silent[object] = stretch
	}
	stretch.results++
}

// has tells whether the core worked on a result.
func (w *witness) has(s sighting) bool {
	if w.times[s] > 0 {
		return true
	}
	stretch := w.silent[s.object()]
	if stretch == nil || stretch.results == 0 || s.number <= stretch.from || s.number >= stretch.to {
		return false
	}
	stretch.results--
	w.times[s]++
	w.untold++
	return true
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
	service, untold := fmt.Sprintf("h%d;s%d;", s.host, s.service), fmt.Sprintf("%s 'h%d!s%d'", silence, s.host, s.service)
	number := strconv.FormatInt(s.number, 10)
	near := number[:len(number)-10] // within ten seconds
	var lines strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, service) && strings.Contains(line, ";"+near) || strings.Contains(line, untold) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// complaints returns the last that the core wrote of what went wrong for it, as that it made its pipe anew by itself.
func (w *witness) complaints() string {
	data, err := os.ReadFile(w.file)
	if err != nil {
		return err.Error()
	}
	found := regexp.MustCompile(`(?m)^.*(?:(?:warning|critical)/|Warning: |Error: ).*\n`).FindAll(data, -1)
	return string(bytes.Join(found[max(0, len(found)-20):], nil))
}

// repeats is how often the core got a result again.
func (w *witness) repeats() int { return len(w.seen) + w.untold - len(w.times) }

// compare holds all that the core got with the server's journal.
func (w *witness) compare(t testing.TB, inServer []entry, exactly bool) {
	t.Helper()
	rank, highest, last := map[sighting]uint64{}, map[sighting]uint64{}, map[sighting]uint64{}
	missing, repeated, unknown, stale := 0, 0, 0, 0
	for _, e := range inServer {
		rank[e.sighting] = e.sequence
		highest[e.object()] = max(highest[e.object()], e.sequence)
		if !w.has(e.sighting) {
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
	// Its first moments are short: a loss that hides in them hides only now and then.
	if w.untold > len(inServer)/20 {
		t.Errorf("of %d results %d can only be among those that the core did not tell apart", len(inServer), w.untold)
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
		{"core killed", false, func(s *site) { s.core.Kill(); s.core.Start() }},
		{"core hangs and is killed", false, func(s *site) {
			s.core.Signal(syscall.SIGSTOP) // its main process alone: who reads the pipe for it goes on, into nothing
			s.pause(time.Second + s.moment(time.Second))
			s.core.Kill()
			s.core.Start()
		}},
		{"core's main process killed", false, func(s *site) {
			s.core.KillMain()
			s.pause(time.Second)
			s.core.Kill() // what a service manager does with what is left
			s.core.Start()
		}},
	}
}

func restarted() fault {
	return fault{"core restarted", false, func(s *site) { s.core.Stop(); s.core.Start() }}
}

func stopped() fault {
	return fault{"core stopped for a while", false, func(s *site) { s.core.Stop(); s.pause(s.world.long); s.core.Start() }}
}

func pipeMadeAgain() fault {
	return fault{"pipe removed and made again", false, func(s *site) { s.remakePipe() }}
}

func heldUp() fault {
	return fault{"core held up", true, func(s *site) {
		held := s.core.Pids()
		signalAll(held, syscall.SIGSTOP)
		s.pause(s.while())
		signalAll(held, syscall.SIGCONT)
	}}
}

// reloaded is exact where the process that reads the pipe stays, as in Nagios. Icinga starts another one.
func reloaded(exact bool) fault {
	return fault{"core reloaded", exact, func(s *site) { s.core.Reload() }}
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
	path := s.core.CommandFile()
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
	s.core.HandOver()
	s.pause(time.Second)
	s.core.Stop()
	s.core.Start()
}
