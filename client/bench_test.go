package client

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
			var ours, theirs, ratios []float64
			for b.Loop() {
				theirs = append(theirs, loopRate(b, loop, atOnce))
				ours = append(ours, s.rate())
				ratios = append(ratios, ours[len(ours)-1]/theirs[len(theirs)-1])
			}
			b.ReportMetric(median(ours), "checks/s")
			b.ReportMetric(median(theirs), "c-runs/s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(0, "ns/op") // of a turn, which says nothing
		})
	}
}

// loopRate is how many programs a second the C loop runs.
func loopRate(b *testing.B, loop string, atOnce int) float64 {
	const runs = 5000
	out, err := exec.Command(loop, strconv.Itoa(runs), strconv.Itoa(atOnce), "/bin/true").Output()
	must(b, err)
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	must(b, err)
	return runs / seconds
}

// rate is how many results a second arrive at the server from an agent that
// has more to do than it can.
func (s *station) rate() float64 {
	_, stop := s.start(zerolog.Nop())
	defer stop()
	from := s.count()
	eventually(s.t, "the first thousand results", func() bool { return s.count() > from+1000 })
	const window = 3 * time.Second
	from = s.count()
	begin := time.Now()
	time.Sleep(window)
	return float64(s.count()-from) / time.Since(begin).Seconds()
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
