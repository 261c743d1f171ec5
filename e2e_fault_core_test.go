//go:build e2e

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	command(lines ...string)
	commandFile() string
	pids() []int
	handOver()
}

// witness reads what a core wrote down of each passive result that it worked on. It holds each file open that it has
// seen: Icinga moves its file away when it stops and when it starts, to a name with the second in it, and one of the
// two may replace the other.
type witness struct {
	t     testing.TB
	files func() []string // by any name
	lines *regexp.Regexp  // of one result, to the newline: host;service, number

	held  []*heldFile // oldest first
	seen  []sighting
	times map[sighting]int
}

// heldFile is one that a core writes to, or wrote to.
type heldFile struct {
	*os.File
	info  fs.FileInfo
	taken int64 // up to the end of the last match
}

// door is a core, a way into it, and a witness of what it worked on.
type door struct {
	core    monitoringCore
	sink    []string // the server's options
	witness *witness
}

func pipeDoor(core monitoringCore, dialect string, w *witness) door {
	return door{core, []string{"--command-file", core.commandFile(), "--dialect", dialect}, w}
}

// newWitnessedNagios lays out a Nagios that logs each passive result. What Nagios 4.4.6 logs as the output there is
// that of the result before; the output itself is in the line of the command, which stands right before.
func newWitnessedNagios(t *testing.T, hosts []rigHost) door {
	r := newNagiosRig(t, hosts, "log_passive_checks=1")
	return pipeDoor(r, "nagios", newWitness(t, `EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;([^;\n]+;[^;\n]+);0;(\d+)\n\[\d+\] PASSIVE SERVICE CHECK: .*\n`, r.logFile))
}

// newWitnessedIcinga lays out an Icinga whose pipe is written to.
func newWitnessedIcinga(t *testing.T, hosts []rigHost) door {
	r, w := newWritingIcinga(t, hosts)
	return pipeDoor(r, "icinga", w)
}

// newWritingIcinga lays out an Icinga whose perfdata writer, the one that writes for each result in the order of
// work, writes the output. It writes whole buffers only.
func newWritingIcinga(t *testing.T, hosts []rigHost) (*icingaRig, *witness) {
	const writer = `object PerfdataWriter "witness" {
	service_temp_path = LogDir + "/service"
	service_perfdata_path = LogDir + "/service"
	host_temp_path = LogDir + "/host"
	host_perfdata_path = LogDir + "/host"
	service_format_template = "$host.name$;$service.name$;$service.output$"
	rotation_interval = 24h
}`
	r := newIcingaRig(t, hosts, writer)
	return r, newWitness(t, `(?m)^([^;\n]+;[^;\n]+);(\d+)\n`, func() string { return filepath.Join(r.dir, "log", "service") })
}

// newWitness reads the file that newest names, and those beside it with a time behind the same name.
func newWitness(t testing.TB, lines string, newest func() string) *witness {
	w := &witness{t: t, lines: regexp.MustCompile(lines), times: map[sighting]int{},
		files: func() []string {
			rotated, err := filepath.Glob(newest() + ".*")
			if err != nil {
				t.Fatal(err)
			}
			return append(rotated, newest())
		}}
	t.Cleanup(func() {
		for _, f := range w.held {
			f.Close()
		}
	})
	return w
}

// read takes in what was written since the last time.
func (w *witness) read() {
	w.t.Helper()
	for _, name := range w.files() {
		if err := w.hold(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatalf("read what the core wrote: %v", err)
		}
	}
	for _, f := range w.held {
		if err := w.readFile(f); err != nil {
			w.t.Fatalf("read what the core wrote: %v", err)
		}
	}
}

// hold opens a file that is not held yet.
func (w *witness) hold(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !slices.ContainsFunc(w.held, func(h *heldFile) bool { return os.SameFile(h.info, info) }) {
		w.held = append(w.held, &heldFile{File: f, info: info})
		return nil
	}
	f.Close()
	return err
}

func (w *witness) readFile(f *heldFile) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < f.taken {
		return fmt.Errorf("%s was cut off", f.Name())
	}
	data := make([]byte, info.Size()-f.taken)
	if _, err := f.ReadAt(data, f.taken); err != nil {
		return err
	}
	taken := 0
	for _, m := range w.lines.FindAllSubmatchIndex(data, -1) {
		s := sighting{string(data[m[2]:m[3]]), string(data[m[4]:m[5]])}
		w.seen = append(w.seen, s)
		w.times[s]++
		taken = m[1]
	}
	f.taken += int64(taken)
	return nil
}

// pushOut has the core write down some of what it may still have in a buffer, by results that are nobody's. They are
// few enough for one write, so that they cannot come between the bytes of another's line.
func pushOut(c monitoringCore) {
	line := fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;0;push", fenceHost, fenceService)
	c.command(slices.Repeat([]string{line}, 40)...)
}

// repeats is how often the core got a result again.
func (w *witness) repeats() int { return len(w.seen) - len(w.times) }

// compare holds all that the core got with the ledger and with the server's journal.
func (w *witness) compare(t testing.TB, l *ledger, inServer []entry, exactly bool) {
	t.Helper()
	rank := map[sighting]uint64{}
	for _, e := range inServer {
		rank[e.sighting] = e.sequence
	}
	missing, repeated, unknown := 0, 0, 0
	for _, e := range l.entries {
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
	if missing > 0 || unknown > 0 {
		t.Errorf("of %d results %d never came to the core; %d came that the server's journal does not have", len(l.entries), missing, unknown)
	}
	if exactly && repeated > 0 {
		t.Errorf("%d results came to the core more than once, although neither it nor the server was killed or restarted", repeated)
	}
	inOrder(t, "the core", w.seen, func(s sighting) (string, uint64) { return s.service, rank[s] })
}

// coreFaults end a core.
func coreFaults() []fault {
	return []fault{
		{"core killed", false, func(w *world) { w.core.kill(); w.core.start() }},
		{"core hangs and is killed", false, func(w *world) {
			w.core.signal(syscall.SIGSTOP) // its main process alone: who reads the pipe for it goes on, into nothing
			w.pause(time.Second + w.moment(time.Second))
			w.core.kill()
			w.core.start()
		}},
		{"core's main process killed", false, func(w *world) {
			w.core.killMain()
			w.pause(time.Second)
			w.core.kill() // what a service manager does with what is left
			w.core.start()
		}},
		{"core stopped for a while", false, func(w *world) { w.core.stop(); w.pause(w.long); w.core.start() }},
		{"core restarted", false, func(w *world) { w.core.stop(); w.core.start() }},
	}
}

func pipeMadeAgain() fault {
	return fault{"pipe removed and made again", false, func(w *world) { w.remakePipe() }}
}

func heldUp() fault {
	return fault{"core held up", true, func(w *world) {
		held := w.core.pids()
		signalAll(held, syscall.SIGSTOP)
		w.pause(w.long)
		signalAll(held, syscall.SIGCONT)
	}}
}

// reloaded is exact where the process that reads the pipe stays, as in Nagios. Icinga starts another one.
func reloaded(exact bool) fault {
	return fault{"core reloaded", exact, func(w *world) { w.core.reload() }}
}

// signalAll sends a signal to processes of a core. One that is gone needs none.
func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, s)
	}
}

// remakePipe removes the pipe under a running core, has another there that nobody reads, and restarts the core.
func (w *world) remakePipe() {
	w.t.Helper()
	path := w.core.commandFile()
	if err := os.Remove(path); err != nil {
		w.t.Fatal(err)
	}
	w.pause(time.Second)
	if err := syscall.Mkfifo(path, 0o660); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		w.t.Fatal(err)
	}
	w.core.handOver()
	w.pause(time.Second)
	w.core.stop()
	w.core.start()
}

// faultHosts are the services that the load's checks are for.
func faultHosts() (hosts []rigHost) {
	for h := range faultServices / servicesPerHost {
		host := rigHost{name: "h" + strconv.Itoa(h)}
		for s := range servicesPerHost {
			host.services = append(host.services, "s"+strconv.Itoa(s))
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// summary is one line about the rounds of a fault.
func summary(name string, took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("%s: %d rounds, all there after %v, at most %v", name, len(took),
		took[len(took)/2].Round(10*time.Millisecond), took[len(took)-1].Round(10*time.Millisecond))
}
