package sched

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asChild in the environment makes the test binary the process that
// TestSuspend stops and continues.
const asChild = "SCHED_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// record is a line that the child prints: a start, or skipped runs.
type record struct {
	At, Due time.Time
	Skipped int
	Why     SkipReason
}

const (
	childEvery = 100 * time.Millisecond
	childGrace = 50 * time.Millisecond
)

// child runs one job until its standard input ends, and prints records.
func child() int {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	print := func(r record) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(r) // a parent that is gone ends standard input too
	}
	s, err := New(Options{MaxConcurrent: 4, Skipped: func(s Skip) {
		print(record{At: time.Now(), Due: s.Due, Skipped: s.Runs, Why: s.Why})
	}})
	if err != nil {
		return 1
	}
	err = s.Apply([]Job{{Key: "a", Every: childEvery, MaxInstances: 1, MisfireGrace: childGrace,
		Run: func(due time.Time) { print(record{At: time.Now(), Due: due}) }}}, nil)
	if err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = os.Stdin.Read(make([]byte, 1))
	}()
	if s.Run(ctx) != nil {
		return 1
	}
	return 0
}

// TestSuspend stops a real process for a while and continues it: what it missed
// is skipped and counted, nothing runs in a burst, and the rhythm is the old one.
func TestSuspend(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const stopped = time.Second
	records := make(chan record, 1000)
	go func() {
		defer close(records)
		lines := json.NewDecoder(stdout)
		for {
			var r record
			if lines.Decode(&r) != nil {
				return
			}
			records <- r
		}
	}()
	for range 5 {
		<-records
	}
	signal(t, cmd, syscall.SIGSTOP)
	from := time.Now()
	time.Sleep(stopped) // how long it stands still is what this is about
	to := time.Now()
	signal(t, cmd, syscall.SIGCONT)
	runs, skipped := followSuspended(t, records, from, to)
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	for range records { // until it has ended
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
	missed := int(stopped / childEvery)
	if skipped < missed-3 || skipped > missed+6 { // on a busy machine a few more
		t.Errorf("%d runs were skipped while it stood still, want about %d", skipped, missed)
	}
	for i, r := range runs {
		if late := r.At.Sub(r.Due); late > childGrace+childEvery { // it is printed after it was started
			t.Errorf("run for %v started %v late", r.Due, late)
		}
		if i == 0 {
			continue
		}
		gap := r.Due.Sub(runs[i-1].Due)
		if off := gap % childEvery; min(off, childEvery-off) > 5*time.Millisecond || gap < childEvery/2 {
			t.Errorf("runs for %v and %v follow each other: not the old rhythm", runs[i-1].Due, r.Due)
		}
	}
}

func signal(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// followSuspended reads on until ten runs were due after to, and returns the
// runs since from and how many were skipped as misfires.
func followSuspended(t *testing.T, records <-chan record, from, to time.Time) (runs []record, skipped int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for after := 0; after < 10; {
		select {
		case r, ok := <-records:
			switch {
			case !ok:
				t.Fatal("the child is gone")
			case r.Skipped > 0 && r.Why == Misfire:
				skipped += r.Skipped
			case r.Skipped == 0:
				runs = append(runs, r)
				if r.Due.After(to) {
					after++
				}
			}
		case <-deadline:
			t.Fatalf("10 runs after %v did not come", to)
		}
	}
	return runs, skipped
}

// TestNothingStaysBehind starts and stops schedulers under changing jobs, on the
// real clock, and counts goroutines.
func TestNothingStaysBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		churn(t)
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// churn replaces, adds and removes jobs while they run, and holds that none runs
// in two rhythms and none is left out of the accounts.
func churn(t *testing.T) {
	var ran, skipped atomic.Int64
	s, err := New(Options{MaxConcurrent: 8, Skipped: func(s Skip) { skipped.Add(int64(s.Runs)) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var running [20]atomic.Int32
	job := func(i, round int) Job {
		every := time.Duration(5+(i+round)%3) * time.Millisecond
		return Job{Key: strconv.Itoa(i), Every: every, MaxInstances: 1, MisfireGrace: time.Second, Run: func(time.Time) {
			if running[i].Add(1) > 1 {
				t.Error("one key ran twice at once")
			}
			ran.Add(1)
			runtime.Gosched()
			running[i].Add(-1)
		}}
	}
	for round := range 40 {
		var set []Job
		for i := range running {
			if i != round%len(running) { // that one is away until the next round
				set = append(set, job(i, round))
			}
		}
		if err := s.Apply(set, []string{strconv.Itoa(round % 20)}); err != nil {
			t.Error(err)
		}
		for want := ran.Load() + 5; ran.Load() < want; {
			runtime.Gosched()
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	stats := s.Stats()
	if stats.Due != uint64(ran.Load()+skipped.Load()) || stats.Started != uint64(ran.Load()) || stats.Running+stats.Waiting != 0 {
		t.Errorf("%d ran, %d were skipped: %+v", ran.Load(), skipped.Load(), stats)
	}
}
