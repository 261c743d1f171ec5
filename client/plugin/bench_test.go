package plugin

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkAgainstSpawnLoop holds the Runner beside testdata/spawnloop.c, in
// turns, so that what else the machine does falls on both. ratio is the median
// of the Runner's rate divided by the C loop's in the same turn. The CPU time of
// a run, its plugin included, is steadier where others use the machine.
func BenchmarkAgainstSpawnLoop(b *testing.B) {
	loop := filepath.Join(b.TempDir(), "spawnloop")
	if out, err := exec.Command("cc", "-O2", "-o", loop, "testdata/spawnloop.c").CombinedOutput(); err != nil {
		b.Fatalf("compile the C loop: %v\n%s", err, out)
	}
	for _, program := range []string{"/bin/true", "/bin/echo OK - nothing to see"} {
		for _, atOnce := range []int{1, 8, 256} {
			words := strings.Fields(program)
			b.Run(fmt.Sprintf("%s/%d", filepath.Base(words[0]), atOnce), func(b *testing.B) {
				compare(b, loop, words, atOnce)
			})
		}
	}
}

func compare(b *testing.B, loop string, words []string, atOnce int) {
	const runs = 300
	var ours, theirs, ratios []float64
	var ourCPU, theirCPU time.Duration
	r := newRunner(b, 0)
	args := append([]string{strconv.Itoa(runs), strconv.Itoa(atOnce)}, words...)
	for b.Loop() {
		before := cpuTime(b)
		out, err := exec.Command(loop, args...).Output()
		if err != nil {
			b.Fatal(err)
		}
		between := cpuTime(b)
		c, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			b.Fatal(err)
		}
		g := runMany(b, r, words, runs, atOnce).Seconds()
		theirCPU, ourCPU = theirCPU+between-before, ourCPU+cpuTime(b)-between
		ours, theirs, ratios = append(ours, runs/g), append(theirs, runs/c), append(ratios, c/g)
	}
	all := float64(len(ratios) * runs)
	b.ReportMetric(median(ours), "go-runs/s")
	b.ReportMetric(median(theirs), "c-runs/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(float64(ourCPU.Microseconds())/all, "go-cpu-us/run")
	b.ReportMetric(float64(theirCPU.Microseconds())/all, "c-cpu-us/run")
	b.ReportMetric(0, "ns/op") // of a turn, which says nothing
}

// cpuTime is what this process and the children that it waited for have used.
func cpuTime(b *testing.B) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// runMany runs a plugin so often, so many at once, and returns the time taken.
func runMany(b *testing.B, r *Runner, words []string, runs, atOnce int) time.Duration {
	c, err := List(words, nil)
	if err != nil {
		b.Fatal(err)
	}
	due := make(chan struct{})
	var workers sync.WaitGroup
	begin := time.Now()
	for range atOnce {
		workers.Go(func() {
			for range due {
				if o := r.Run(context.Background(), Spec{Command: c, Timeout: time.Minute}); o.Trouble != None {
					b.Errorf("%s: %s", o.Trouble, o.Output)
				}
			}
		})
	}
	for range runs {
		due <- struct{}{}
	}
	close(due)
	workers.Wait()
	return time.Since(begin)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
