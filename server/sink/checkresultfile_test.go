package sink

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/core"
)

// A mark that somebody removed is made anew with the next renewal: without it the
// core passes the file over for ever.
func TestCheckResultsWithoutTheirMark(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 1)
		path := r.file()
		if err := os.Remove(path + okSuffix); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * renewMost)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		r.expectFile(1, 1)
	})
}

// A core that cannot open a file removes it, and leaves the mark.
func TestCheckResultsThatTheCoreCouldNotRead(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.start()
		r.number(1, 1)
		if err := os.Remove(r.file()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultWindow + time.Second)
		synctest.Wait()
		if acked := r.reader.Acked(); acked != 0 {
			t.Errorf("acknowledged up to %d, and the core did not read it", acked)
		}
		r.expectFile(1, 1)
	})
}

// Both cores take an age of 0 for what it says, and not for none.
func TestCheckResultsForACoreThatThrowsAwayAllThatHasAnAge(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		r.sink.MaxFileAge = 0
		r.start()
		r.number(1, 1)
		path := r.file()
		for range 3 {
			time.Sleep(renewMost)
			synctest.Wait()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(info.ModTime()); left < core.DefaultMaxFileAge/2 || left > core.DefaultMaxFileAge {
				t.Errorf("the file is of a time in %v", left)
			}
		}
		r.expectFile(1, 1)
	})
}

// What cannot be taken back, the core could read behind what comes next.
func TestCheckResultsThatCannotBeTakenBackAreWaitedFor(t *testing.T) {
	spoolTest(t, FeedOptions{}, func(r *spoolRig) {
		old := filepath.Join(r.dir, "cABCDEF")
		stuck := filepath.Join(old+okSuffix, "not empty") // so that it cannot be removed
		err := errors.Join(os.WriteFile(old, []byte(r.sink.header()), 0o600), os.MkdirAll(stuck, 0o700))
		if err != nil {
			t.Fatal(err)
		}
		r.start()
		r.number(1, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if names := r.names(); len(names) != 2 {
			t.Errorf("the directory holds %q", names)
		}
		if state := r.sink.Status().Waiting; !strings.Contains(state, "take a file of check results back") {
			t.Errorf("state %q", state)
		}
		if err := os.RemoveAll(old + okSuffix); err != nil {
			t.Fatal(err)
		}
		r.expectFile(1, 1)
	})
}
