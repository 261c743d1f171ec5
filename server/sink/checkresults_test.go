package sink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire/check"
)

// spoolRig is a check-result sink between a journal and a directory in which
// the test does what the core would. It runs inside a synctest bubble.
type spoolRig struct {
	*feedRig
	dir  string
	sink *CheckResults
	stop func()
}

func newSpoolRig(t *testing.T, o FeedOptions) *spoolRig {
	t.Helper()
	r := &spoolRig{feedRig: newFeedRig(t, o), dir: t.TempDir()}
	r.sink = &CheckResults{Feed: r.feed, Dir: r.dir, Owner: "test", Dialect: Nagios, MaxFileAge: time.Hour, LatestOnly: o.LatestOnly,
		Window: DefaultWindow}
	return r
}

func (r *spoolRig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.sink.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
}

// number appends n results numbered on from seq.
func (r *spoolRig) number(from, n int) {
	for i := range n {
		r.append("c", check.Result{Kind: check.Service, Host: "h", Service: fmt.Sprint("s", i%3), Output: fmt.Append(nil, "number ", from+i), Finish: 1e6})
	}
}

func (r *spoolRig) names() []string {
	r.t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

var resultFile = regexp.MustCompile(`^c[A-Za-z0-9]{6}$`)

// file returns the one complete file that the core would find.
func (r *spoolRig) file() string {
	r.t.Helper()
	time.Sleep(2 * spoolGather)
	synctest.Wait()
	names := r.names()
	if len(names) != 2 || !resultFile.MatchString(names[0]) || names[1] != names[0]+okSuffix {
		r.t.Fatalf("the directory holds %q, want one file and its mark", names)
	}
	return filepath.Join(r.dir, names[0])
}

// reap takes the file as the core does and returns the numbers in it.
func (r *spoolRig) reap() (from, to, count int) {
	r.t.Helper()
	path := r.file()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "output=number %d", &n); err != nil {
			continue
		}
		if count++; count == 1 {
			from = n
		} else if n != to+1 {
			r.t.Fatalf("number %d behind %d", n, to)
		}
		to = n
	}
	for _, name := range []string{path, path + okSuffix} {
		if err := os.Remove(name); err != nil {
			r.t.Fatal(err)
		}
	}
	return from, to, count
}

func (r *spoolRig) expectFile(from, to int) {
	r.t.Helper()
	if f, l, n := r.reap(); f != from || l != to || n != to-from+1 {
		r.t.Errorf("the file holds %d results, %d to %d; want %d to %d", n, f, l, from, to)
	}
}

func spoolTest(t *testing.T, o FeedOptions, run func(r *spoolRig)) {
	synctest.Test(t, func(t *testing.T) {
		o.Log = nil
		r := newSpoolRig(t, o)
		run(r)
		r.stop()
		if names := r.names(); len(names) > 0 {
			t.Errorf("left in the directory: %q", names)
		}
	})
}

func TestCheckResultsOneFileAtATime(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 5000)
		r.file()
		r.number(5001, 3)
		time.Sleep(time.Second)
		r.number(5004, 7)
		r.expectFile(1, 5000)
		r.expectFile(5001, 5010)
		if acked := r.reader.Acked(); acked != 0 {
			t.Errorf("acknowledged up to %d inside the window", acked)
		}
		time.Sleep(DefaultWindow + time.Second)
		synctest.Wait()
		if acked := r.reader.Acked(); acked != 5010 {
			t.Errorf("acknowledged up to %d, want 5010", acked)
		}
		r.expectCounts(map[Outcome]uint64{Delivered: 5010})
	})
}

func TestCheckResultsStateAndRenewal(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.sink.MaxFileAge = 20 * time.Second
		r.start()
		r.number(1, 1)
		path := r.file()
		for range 10 {
			time.Sleep(5 * time.Second)
			synctest.Wait()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(info.ModTime()); age < 0 || age > 10*time.Second {
				t.Fatalf("the file is %v old", age)
			}
		}
		if state := r.sink.Status().Waiting; !strings.Contains(state, "does not take") {
			t.Errorf("state %q", state)
		}
		r.expectFile(1, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if state := r.sink.Status().Waiting; state != "" {
			t.Errorf("state %q", state)
		}
	})
}

// What waited in the next file for the core to take the one before is no older for the core than what comes now.
func TestCheckResultsMoveInYoung(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.number(1, 1)
		if err := errors.Join(r.sink.open(), r.sink.gather(r.t.Context()), r.sink.flush()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * r.sink.MaxFileAge)
		if err := r.sink.write(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(r.file())
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(info.ModTime()).Abs(); age > time.Second {
			t.Errorf("the file is %v old", age)
		}
		r.sink.leave()
		r.start()
		r.expectFile(1, 1)
	})
}

// The clock is set: at once the file is too old for the core, or of the future.
func TestCheckResultsAreRenewedByTheClockThatTheCoreGoesBy(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 1)
		path := r.file()
		for _, forward := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
			then := time.Now().Add(-forward)
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * spoolTick)
			synctest.Wait()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(info.ModTime()); age < 0 || age > time.Second {
				t.Errorf("a clock set by %v leaves the file %v old", forward, age)
			}
		}
		r.expectFile(1, 1)
	})
}

// A core that deletes a file for its age did not take it. Here nobody runs the
// sink, so that the clock can be set between two of its looks.
func TestCheckResultsThatTheCoreThrewAwayAreWrittenAgain(t *testing.T) {
	for forward, lost := range map[time.Duration]bool{0: false, 25 * time.Minute: false, -2 * time.Hour: false, 2 * time.Hour: true} {
		spoolTest(t, FeedOptions{}, func(r *spoolRig) {
			r.number(1, 1)
			if err := errors.Join(r.sink.open(), r.sink.gather(r.t.Context()), r.sink.write()); err != nil {
				t.Fatal(err)
			}
			if err := r.sink.look(time.Now().Add(forward)); lost != (err != nil) {
				t.Errorf("the clock was set by %v, and the core may be at it: %v", forward, err)
			}
			r.expectFile(1, 1)
			err := r.sink.look(time.Now().Add(forward))
			if lost != (err != nil && strings.Contains(err.Error(), "the clock was set")) {
				t.Errorf("the clock was set by %v: %v", forward, err)
			}
			r.sink.leave()
			r.start()
			r.expectFile(1, 1) // it is inside its window
		})
	}
}

// A file that somebody removes before it is complete is written again.
func TestCheckResultsLoseTheirNextFile(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 1)
		r.file()
		const many = 20_000 // more than stays in memory
		r.number(2, many)
		time.Sleep(time.Second)
		synctest.Wait()
		removed := 0
		for _, name := range r.names() {
			if strings.HasPrefix(name, spoolPrefix) {
				removed++
				if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if removed != 1 {
			t.Fatalf("%d files were being written, want one: %q", removed, r.names())
		}
		r.expectFile(1, 1)
		time.Sleep(time.Second)
		r.expectFile(1, many+1) // the first is inside its window
	})
}

// What a server that was killed left behind would be read beside the new file,
// in no order.
func TestCheckResultsLeftovers(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		ours := "# massive-passive test\nhost_name=h\n\n"
		theirs := map[string]string{"cAAAAAA": "### another program's\n", "cBBBBBB.ok": "", "checkXX": ours, "cCCCCCC": "# massive-passive another\n"}
		for name, text := range theirs {
			if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"cABCDEF": ours, "cABCDEF.ok": "", "cABCDEG": ours, "massive-passive-test-123": "half"} {
			if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		delete(theirs, "checkXX") // it has the name of one of ours
		r.start()
		time.Sleep(time.Second)
		synctest.Wait()
		for _, name := range r.names() {
			if _, ok := theirs[name]; !ok {
				t.Errorf("%s is still there", name)
			}
			os.Remove(filepath.Join(r.dir, name))
			delete(theirs, name)
		}
		if len(theirs) > 0 {
			t.Errorf("removed, though another program's: %v", theirs)
		}
	})
}

func TestCheckResultsLatestOnly(t *testing.T) {
	spoolTest(t, FeedOptions{LatestOnly: true}, func(r *spoolRig) {
		r.start()
		r.number(1, 100)
		r.file()
		first := r.file()
		time.Sleep(2 * backlogAge)
		second := r.file()
		time.Sleep(backlogAge / 2) // it may be at work on this one, which gets longer
		if first == second || second != r.file() {
			t.Errorf("first %s, then %s, then %s", first, second, r.file())
		}
		r.expectFile(98, 100) // three services
		r.number(101, 1)
		r.expectFile(101, 101)
	})
}

// A file system that cannot tell says nothing of the core.
func TestCheckResultsWaitForADirectoryThatCannotBeSeen(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 2)
		file := r.file()
		if err := errors.Join(os.Rename(r.dir, r.dir+".away"), os.Symlink(r.dir, r.dir)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if state := r.sink.Status().Waiting; !strings.Contains(state, r.dir) {
			t.Errorf("state %q", state)
		}
		if err := errors.Join(os.Remove(r.dir), os.Rename(r.dir+".away", r.dir)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if state := r.sink.Status().Waiting; state != "" {
			t.Errorf("seen again, and the state is %q", state)
		}
		if again := r.file(); again != file {
			t.Errorf("%s took the place of %s", again, file)
		}
		r.expectFile(1, 2)
	})
}

func TestCheckResultsCommandsAndAReplacedDirectory(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		if err := os.RemoveAll(r.dir); err != nil {
			t.Fatal(err)
		}
		r.start()
		r.append("c", check.Result{Kind: check.Command, Command: "ENABLE_NOTIFICATIONS"})
		time.Sleep(time.Second)
		synctest.Wait()
		if state := r.sink.Status().Waiting; !strings.Contains(state, "does not exist") {
			t.Errorf("state %q", state)
		}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		r.expectCounts(map[Outcome]uint64{RejectedCommand: 1})
		r.number(1, 2)
		r.file()
		if err := os.Rename(r.dir, r.dir+".old"); err != nil { // another directory in its place
			t.Fatal(err)
		}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.expectFile(1, 2)
	})
}
