package client

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// holds is what a process holds.
type holds struct{ routines, files, threads int }

func (h holds) String() string {
	return fmt.Sprintf("%d goroutines, %d open files, %d threads", h.routines, h.files, h.threads)
}

// held counts what this process holds. A thread is never given back, so that
// only their number at the worst time says something.
func held(t testing.TB) holds {
	t.Helper()
	h := holds{routines: runtime.NumGoroutine()}
	for path, n := range map[string]*int{"/proc/self/fd": &h.files, "/proc/self/task": &h.threads} {
		entries, err := os.ReadDir(path)
		must(t, err)
		*n = len(entries)
	}
	return h
}

// wantBack waits until nothing more is held than before.
func wantBack(t *testing.T, before holds) {
	t.Helper()
	var now holds
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if now = held(t); now.routines <= before.routines && now.files <= before.files {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("now %v, before %v\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
}

// words is a log that several goroutines write.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// times counts how often text was said.
func (w *words) times(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Count(w.text.Bytes(), []byte(text))
}

// wantRhythm holds that a service ran at its interval, without a gap and
// without a second rhythm beside it. Each run may start late, as on a busy
// machine, but the mean of its phase may not move.
func wantRhythm(t *testing.T, name string, results []check.Result, every time.Duration) {
	t.Helper()
	if len(results) < 3 {
		t.Errorf("%s ran %d times", name, len(results))
		return
	}
	starts := make([]time.Duration, len(results))
	for i, r := range results {
		starts[i] = time.Duration(r.Start-results[0].Start) * time.Microsecond
	}
	slices.Sort(starts)
	for i, at := range starts {
		if off := at - time.Duration(i)*every; off < -every*9/10 || off > every*9/10 {
			t.Errorf("%s: run %d came at %v after the first, want about %v: a run was lost or there are two rhythms", name, i, at, time.Duration(i)*every)
			return
		}
	}
}

// TestReloadStorm changes a thousand check files while others run: those keep
// their rhythm, what is there at the end runs, each check in one rhythm, and
// nothing else is left.
func TestReloadStorm(t *testing.T) {
	const changes, burst, every = 1000, 200, 500 * time.Millisecond
	s := newStation(t)
	before := held(t)
	log := &words{}
	for i := range 10 {
		s.write(fmt.Sprint("steady", i), service(fmt.Sprint("steady", i), every.Seconds(), "/bin/echo", "steady"))
	}
	agent, stop := s.start(zerolog.New(log))
	eventually(t, "each steady check ran", func() bool { return s.count() >= 10 })
	for i := range changes {
		s.disturb(i)
		if (i+1)%burst == 0 {
			reloads := log.times(readAnew)
			eventually(t, "the changes were noticed", func() bool { return log.times(readAnew) > reloads })
		}
	}
	eventually(t, "the last check ran for a while", func() bool { return len(s.results(s.changed(changes-1))) >= 5 })
	if jobs := agent.scheduler.Stats().Jobs; jobs != 20 {
		t.Errorf("%d checks are scheduled, want the 10 steady ones and the last versions of 10 others", jobs)
	}
	stop()
	for i := range 10 {
		name := fmt.Sprint("steady", i)
		wantRhythm(t, name, s.results(name), every)
		name = s.changed(changes - 10 + i)
		wantRhythm(t, name, s.results(name), every)
	}
	if started := agent.scheduler.Stats().Started; started != uint64(s.count()) {
		t.Errorf("%d runs were started, %d results arrived", started, s.count())
	}
	wantBack(t, before)
}

// readAnew is in the log once for each reload that changed something.
const readAnew = "read the check files"

// changed is the service that change i leads to.
func (s *station) changed(i int) string { return fmt.Sprintf("changed%d-%d", i%10, i) }

// disturb makes one change to the directory: by rename, beside a file that is
// bad for a while, through a symlink, and by removal, in turns.
func (s *station) disturb(i int) {
	name := fmt.Sprint("changed", i%10)
	file, bad := filepath.Join(s.dir, name+".cfg"), filepath.Join(s.dir, "bad.cfg")
	if i%4 == 3 {
		must(s.t, os.RemoveAll(file))
	}
	s.write(name, service(s.changed(i), 0.5, "/bin/echo", name))
	switch i % 4 {
	case 1:
		must(s.t, os.WriteFile(bad, []byte("{"), 0o600))
	case 2:
		must(s.t, os.Remove(bad))
		elsewhere := filepath.Join(s.dir, ".elsewhere-"+name)
		must(s.t, os.Rename(file, elsewhere))
		must(s.t, os.Symlink(elsewhere, file))
	}
}

// TestAThousandAtOnce has a thousand plugins run at the same time: they take no
// thread each, all report, and what they took is given back.
func TestAThousandAtOnce(t *testing.T) {
	const count = 1000
	s := newStation(t)
	s.options.MaxConcurrentChecks = count
	fifo := filepath.Join(t.TempDir(), "hold")
	must(t, syscall.Mkfifo(fifo, 0o600))
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0)
	must(t, err)
	defer hold.Close()
	for i := range count {
		s.write(fmt.Sprint("c", i), service(fmt.Sprint("c", i), 3600, "/usr/bin/head", "-c", "1", fifo))
	}
	before := held(t)
	agent, stop := s.start(zerolog.Nop())
	eventually(t, "a thousand plugins at once", func() bool { return agent.scheduler.Stats().Running == count })
	if now := held(t); now.threads > before.threads+30 {
		t.Errorf("with %d plugins: %v, before: %v", count, now, before)
	}
	_, err = hold.Write(bytes.Repeat([]byte("."), count)) // one for each, whether it has opened the pipe yet or not
	must(t, err)
	eventually(t, "a result of each", func() bool { return s.count() == count })
	stop()
	wantBack(t, before)
}
