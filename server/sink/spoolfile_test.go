package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// passed returns the file that the core is told to read next.
func (c *reader) passed() string {
	c.t.Helper()
	line := strings.TrimSpace(c.line())
	_, path, begins := strings.Cut(line, "] PROCESS_FILE;")
	path, ends := strings.CutSuffix(path, ";1")
	if !begins || !ends {
		c.t.Fatalf("got %q", line)
	}
	return path
}

// remove does what a core does once it has read a file.
func (c *reader) remove(path string) {
	c.t.Helper()
	if err := os.Remove(path); err != nil {
		c.t.Fatalf("the core cannot read what it was passed: %v", err)
	}
}

func TestLongLinesGoThroughAFile(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	stale := filepath.Join(r.sink.Spool, spoolPrefix+"left by a crash")
	if err := os.MkdirAll(r.sink.Spool, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.submit(1, 0)
	r.submit(1, 5000)
	r.submit(1, 0)
	c.expect(1, 1)
	path := c.passed()
	data, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(data), "[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number 2 xxx") || len(data) < 5000 {
		t.Errorf("the file holds %d bytes: %.80q, %v", len(data), data, err)
	}
	c.expect(3, 3)
	c.remove(path)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 3 })
	if entries, err := os.ReadDir(r.sink.Spool); err != nil || len(entries) > 0 {
		t.Errorf("left in the spool directory: %q, %v", entries, err)
	}
}

// A disk that takes no file holds a long line up for a while, and then its
// output is cut; what was delivered before it is not written again meanwhile.
func TestADiskThatRefusesDoesNotHoldUpTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.sink.Spool = filepath.Join(r.path, "below a pipe")
	r.start()
	r.submit(1, 0)
	r.submit(1, 5000)
	r.submit(1, 0)
	c.expect(1, 1)
	eventually(t, "says why", func() bool { return strings.Contains(r.sink.Status().Waiting, "not a directory") })
	c.file.SetReadDeadline(time.Now().Add(2 * spoolPatience))
	line, err := c.lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number 2 xxx") || !strings.Contains(line, "cut at") {
		t.Errorf("got %.80q, %v", line, err)
	}
	c.expect(3, 3)
	r.submit(1, 5000) // no patience with the next
	if line := c.line(); !strings.Contains(line, "number 4 xxx") || !strings.Contains(line, "cut at") {
		t.Errorf("got %.80q", line)
	}
	if n := r.sink.Status().Notes.OutputCut; n != 2 {
		t.Errorf("counted %d cut outputs", n)
	}
}

// A command cannot be cut. One that no file takes is given up, not all behind it.
func TestADiskThatRefusesDoesNotHoldUpWhatIsBehindACommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.sink.Spool = filepath.Join(r.path, "below a pipe")
	r.start()
	r.append(check.Result{Kind: check.Command, Command: "ACKNOWLEDGE_SVC_PROBLEM;h;s;1;1;1;me;" + strings.Repeat("c", 5000), Finish: 1e6})
	r.submit(1, 10)
	c.file.SetReadDeadline(time.Now().Add(2 * spoolPatience))
	if line, err := c.lines.ReadString('\n'); err != nil || !strings.Contains(line, "number 2 ") {
		t.Fatalf("got %.80q, %v", line, err)
	}
	r.append(check.Result{Kind: check.Command, Command: "ADD_SVC_COMMENT;h;s;1;me;" + strings.Repeat("c", 5000), Finish: 1e6})
	eventually(t, "the last is done with as well", func() bool { return r.reader.Acked() == 3 })
	r.expectCounts(map[Outcome]uint64{Delivered: 1, RejectedTooLong: 2})
}

// Who reads the pipe for the core may be quick, and the core itself slow: what
// is in a file, it has when the file is gone, and not when the pipe is empty.
func TestAFileThatTheCoreHasNotReadHoldsTheJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.start()
	r.submit(3, 0)
	r.submit(1, 5000) // 4
	r.submit(2, 0)
	r.submit(1, 5000) // 7
	r.submit(200, 0)
	c.expect(1, 3)
	first := c.passed()
	c.expect(5, 6)
	second := c.passed()
	c.expect(8, 207)
	eventually(t, "acknowledged up to the file", func() bool { return r.reader.Acked() == 3 })
	r.submit(1, 0)
	c.expect(208, 208)
	time.Sleep(4 * r.sink.Window)
	if acked := r.reader.Acked(); acked != 3 {
		t.Errorf("acknowledged up to %d, and the core has not read number 4", acked)
	}
	c.remove(first)
	eventually(t, "acknowledged up to the second file", func() bool { return r.reader.Acked() == 6 })
	c.remove(second)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 208 })
	r.expectCounts(map[Outcome]uint64{Delivered: 208})
}

// The window of what is in a file begins when the core has read that.
func TestAFileIsInItsWindowOnceItIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.sink.Window = time.Second
	r.start()
	r.submit(1, 5000)
	path := c.passed()
	time.Sleep(r.sink.Window)
	c.remove(path)
	removed := time.Now()
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 1 })
	if after := time.Since(removed); after < r.sink.Window {
		t.Errorf("acknowledged %v after the core had read the file, want the window of %v", after, r.sink.Window)
	}
}

func TestACoreThatRestartsGetsAnUnreadFileAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.start()
	r.submit(1, 5000)
	r.submit(1, 0)
	first := c.passed()
	c.expect(2, 2)
	time.Sleep(2 * r.sink.Window)
	c.file.Close()
	eventually(t, "the file is taken back", func() bool { _, err := os.Stat(first); return os.IsNotExist(err) })
	c = r.newCore()
	c.remove(c.passed())
	c.expect(2, 2)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
}

// A core that never reads files, for want of a permission, costs the result in
// the first one, and the others the rest of their output.
func TestACoreThatReadsNoFilesHoldsNothingForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var log strings.Builder
	rejects := filepath.Join(filepath.Dir(r.path), "rejects.log")
	r.sink.Feed.o.Rejects = NewRejects(rejects, logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: RejectsNames}))
	r.sink.Unread = time.Second
	c := r.newCore()
	r.start()
	r.submit(1, 5000)
	r.submit(1, 0)
	path := c.passed()
	c.expect(2, 2)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2 })
	r.expectCounts(map[Outcome]uint64{Delivered: 1, RejectedUnread: 1})
	r.submit(2, 5000)
	for range 2 {
		if line := c.line(); !strings.Contains(line, "cut at") {
			t.Errorf("got %.80q, want what fits the pipe", line)
		}
	}
	r.stop()
	text, err := os.ReadFile(rejects)
	if err != nil || !strings.Contains(string(text), path) || !strings.Contains(string(text), "number 1 xxx") {
		t.Errorf("the file of rejects says %q, %v", text, err)
	}
	if entries, err := os.ReadDir(r.sink.Spool); err != nil || len(entries) > 0 {
		t.Errorf("left in the spool directory: %q, %v", entries, err)
	}
}

// Nor is its output cut, nor a command given up: that is for a disk that refuses.
func TestACoreThatIsSlowWithFilesIsNotPassedTooMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.newCore()
	r.start()
	const size = 1 << 20
	const fit = spoolHeld/size - 1 // each is a little longer than its output
	r.submit(fit+1, size)
	var files []string
	for range fit {
		files = append(files, c.passed())
	}
	eventually(t, "says why", func() bool { return strings.Contains(r.sink.Status().Waiting, "yet to read") })
	time.Sleep(spoolPatience + 2*reopenMost)
	for _, path := range files {
		c.remove(path)
	}
	c.remove(c.passed())
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == fit+1 })
}
