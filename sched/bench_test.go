package sched

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkScheduler runs checks with a trivial task for some intervals of 5 s,
// and reports how late they start, in milliseconds, the share of one processor
// that it takes, and the most memory that the process held.
//
// Run it as its own process: peak memory is the process's.
func BenchmarkScheduler(b *testing.B) {
	for _, first := range []struct {
		name     string
		min, max time.Duration
	}{{"spread", 2 * time.Second, 7 * time.Second}, {"same-instant", 2 * time.Second, 2 * time.Second}} {
		for _, n := range []int{1000, 10000, 50000} {
			b.Run(fmt.Sprintf("%s/%d", first.name, n), func(b *testing.B) {
				for b.Loop() {
					measure(b, n, first.min, first.max)
				}
			})
		}
	}
}

const (
	benchEvery = 5 * time.Second
	benchTime  = 12500 * time.Millisecond // 2 to 3 runs of each check
)

// lateness collects what each start is late by.
type lateness struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *lateness) note(due time.Time) {
	late := time.Since(due)
	l.mu.Lock()
	l.all = append(l.all, late)
	l.mu.Unlock()
}

func measure(b *testing.B, n int, firstMin, firstMax time.Duration) {
	opts := DefaultOptions()
	opts.FirstMin, opts.FirstMax = firstMin, firstMax
	opts.Skipped = func(s Skip) { b.Errorf("skipped %+v", s) }
	s, err := New(opts)
	if err != nil {
		b.Fatal(err)
	}
	late := &lateness{all: make([]time.Duration, 0, 3*n)}
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = Job{Key: strconv.Itoa(i), Every: benchEvery, MaxInstances: 1, MisfireGrace: benchEvery, Run: late.note}
	}
	debug.FreeOSMemory()
	resetPeak(b)
	ctx, cancel := context.WithTimeout(b.Context(), benchTime)
	defer cancel()
	cpu := processorTime(b)
	if err := s.Apply(jobs, nil); err != nil {
		b.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
	used := processorTime(b) - cpu
	slices.Sort(late.all)
	if len(late.all) < 2*n-n/10 {
		b.Fatalf("%d starts of %d checks", len(late.all), n)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(late.all[len(late.all)/2]), "p50-ms")
	b.ReportMetric(ms(late.all[len(late.all)*99/100]), "p99-ms")
	b.ReportMetric(ms(late.all[len(late.all)-1]), "max-ms")
	b.ReportMetric(100*used.Seconds()/benchTime.Seconds(), "cpu-%")
	b.ReportMetric(peak(b), "peak-MB")
	b.ReportMetric(0, "ns/op") // says nothing here
	runtime.KeepAlive(jobs)
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resetPeak has the kernel forget the peak of the process's memory so far.
func resetPeak(b *testing.B) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peak returns the most memory that the process held since, in MB.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kB) / 1000
		}
	}
	b.Fatal("no VmHWM in /proc/self/status")
	return 0
}
