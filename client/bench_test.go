package client

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// BenchmarkAgainstSpawnLoop holds the whole client beside a C program that does
// nothing but start /bin/true and read its output, with as many at once, in
// turns: scheduler, plugin, journal, TLS and a server's ACK, all in this
// process, which takes the server's part of the machine's time as well. More
// checks are due each second than the machine can run. ratio is the median of
// the client's rate divided by the C loop's in the same turn.
func BenchmarkAgainstSpawnLoop(b *testing.B) {
	loop := filepath.Join(b.TempDir(), "spawnloop")
	if out, err := exec.Command("cc", "-O2", "-o", loop, "plugin/testdata/spawnloop.c").CombinedOutput(); err != nil {
		b.Fatalf("compile the C loop: %v\n%s", err, out)
	}
	for _, atOnce := range []int{8, 256} {
		b.Run(fmt.Sprint(atOnce), func(b *testing.B) {
			s := newStation(b)
			s.options.MaxConcurrentChecks = atOnce
			for i := range 4000 {
				s.write(fmt.Sprint("c", i), service(fmt.Sprint("c", i), 1, "/bin/true"))
			}
			var ours, theirs, ratios, ourCPU, theirCPU []float64
			for b.Loop() {
				c, cCPU := loopRate(b, loop, atOnce)
				g, gCPU := s.rate()
				ours, theirs, ratios = append(ours, g), append(theirs, c), append(ratios, g/c)
				ourCPU, theirCPU = append(ourCPU, gCPU), append(theirCPU, cCPU)
			}
			b.ReportMetric(median(ours), "checks/s")
			b.ReportMetric(median(theirs), "c-runs/s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(ourCPU), "cpu-us/check")
			b.ReportMetric(median(theirCPU), "c-cpu-us/run")
			b.ReportMetric(0, "ns/op") // of a turn, which says nothing
		})
	}
}

// loopRate is how many programs a second the C loop runs, and the processor
// time that each takes, in microseconds.
func loopRate(b *testing.B, loop string, atOnce int) (rate, cpu float64) {
	const runs = 5000
	before := processorTime(b)
	out, err := exec.Command(loop, strconv.Itoa(runs), strconv.Itoa(atOnce), "/bin/true").Output()
	must(b, err)
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	must(b, err)
	return runs / seconds, micros(processorTime(b)-before) / runs
}

// rate is the same of an agent that has more to do than it can, counted at the
// server. The server's processor time is in it.
func (s *station) rate() (rate, cpu float64) {
	_, stop := s.start(zerolog.Nop())
	defer stop()
	from := s.count()
	eventually(s.t, "the first thousand results", func() bool { return s.count() > from+1000 })
	const window = 3 * time.Second
	from = s.count()
	begin, before := time.Now(), processorTime(s.t)
	time.Sleep(window)
	n := float64(s.count() - from)
	return n / time.Since(begin).Seconds(), micros(processorTime(s.t)-before) / n
}

// processorTime is what this process and the children that it has waited for
// have used.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		must(t, syscall.Getrusage(who, &u))
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
