package sink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/intake/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// rig is a command file sink between a journal and a pipe of the test's.
type rig struct {
	t       *testing.T
	path    string
	journal *journal.Journal
	reader  *journal.Reader
	sink    *CommandFile
	stop    func()
	next    int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, journal.Options{ReadUnflushed: true})
}

func newRigOn(t *testing.T, o journal.Options) *rig {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := j.Reader("core", journal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, path: filepath.Join(dir, "nagios.cmd"), journal: j, reader: reader}
	feed := NewFeed(reader, FeedOptions{Target: r.path})
	r.sink = &CommandFile{Feed: feed, Path: r.path, Dialect: Nagios, Spool: filepath.Join(dir, "spool"), Window: 300 * time.Millisecond,
		Unread: time.Hour}
	return r
}

func (r *rig) start() {
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
	r.t.Cleanup(r.stop)
}

// submit appends n numbered results with output of size bytes.
func (r *rig) submit(n, size int) {
	r.t.Helper()
	for range n {
		output := fmt.Sprint("number ", r.next+1, " ", strings.Repeat("x", size))
		r.append(check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(output), Finish: 1e6})
	}
}

func (r *rig) append(res check.Result) {
	r.t.Helper()
	r.next++
	rec := record.Record{Origin: record.Origin{Client: "c", Sequence: uint64(r.next), Received: 2e6}, Result: res.Append(nil)}
	if _, err := r.journal.Append(rec.Append(nil)); err != nil {
		r.t.Fatal(err)
	}
}

// reader reads the pipe in the place of a core.
type reader struct {
	t     *testing.T
	file  *os.File
	lines *bufio.Reader
}

func (r *rig) newCore() *reader {
	r.t.Helper()
	if err := syscall.Mkfifo(r.path, 0o600); err != nil && !os.IsExist(err) {
		r.t.Fatal(err)
	}
	// Like Nagios: opened for reading and writing, so that it never ends.
	file, err := os.OpenFile(r.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { file.Close() })
	return &reader{r.t, file, bufio.NewReaderSize(file, 1<<16)}
}

func (c *reader) line() string {
	c.t.Helper()
	c.file.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read the pipe: %v", err)
	}
	return line
}

func (c *reader) expect(from, to int) {
	c.t.Helper()
	for n := from; n <= to; n++ {
		want := fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number %d ", n)
		if line := c.line(); !strings.HasPrefix(line, want) {
			c.t.Fatalf("got %.80q, want %q", line, want)
		}
	}
}

func (r *rig) expectCounts(want map[Outcome]uint64) {
	r.t.Helper()
	if got := r.sink.Status().Outcomes; !maps.Equal(got, want) {
		r.t.Errorf("counted %v, want %v", got, want)
	}
}

// eventually waits for something that the sink does by itself.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestResultsReachTheCoreAndLeaveAfterTheWindow(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	r.start()
	r.submit(2000, 30)
	c.expect(1, 2000)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 2000 })
	r.submit(1, 0)
	c.expect(2001, 2001)
}

func TestResultsStayInsideTheirWindow(t *testing.T) {
	r := newRig(t)
	r.sink.Window = time.Hour
	c := r.newCore()
	r.start()
	r.submit(10, 0)
	c.expect(1, 10)
	r.submit(1, 0) // a later round of the sink, after it saw the pipe empty
	c.expect(11, 11)
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d inside the window", acked)
	}
}

func TestUnreadResultsAreNotAcknowledged(t *testing.T) {
	r := newRig(t)
	r.sink.Window = 0
	c := r.newCore()
	r.start()
	r.submit(3, 0)
	eventually(t, "written", func() bool { return r.sink.Status().Waiting == "" && pending(t, c.file) > 0 })
	time.Sleep(3 * busyTick) // the sink looks at the pipe a few times
	if acked := r.reader.Acked(); acked != 0 {
		t.Errorf("acknowledged up to %d, but nobody read it", acked)
	}
	c.expect(1, 3)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 3 })
}

func TestACoreThatRestartsGetsTheWindowAgain(t *testing.T) {
	for name, remove := range map[string]bool{"same pipe": false, "pipe made anew": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.sink.Window = time.Hour
			c := r.newCore()
			r.start()
			r.submit(20, 0)
			c.expect(1, 20)
			if remove {
				if err := os.Remove(r.path); err != nil {
					t.Fatal(err)
				}
			}
			c.file.Close()
			eventually(t, "noticed", func() bool { return r.sink.Status().Waiting != "" })
			r.submit(5, 0)
			c = r.newCore()
			c.expect(1, 25)
		})
	}
}

func TestACoreThatIsAwayGetsAllOfIt(t *testing.T) {
	r := newRig(t)
	r.submit(100, 100)
	r.start()
	eventually(t, "says why", func() bool { return strings.Contains(r.sink.Status().Waiting, "does not exist") })
	if _, err := os.Stat(r.path); err == nil {
		t.Fatal("the sink made the command file")
	}
	c := r.newCore()
	c.expect(1, 100)
}

func TestABusyCoreIsWaitedFor(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	r.start()
	r.submit(3000, 200) // far more than a pipe holds
	eventually(t, "says why", func() bool { return strings.Contains(r.sink.Status().Waiting, "busy") })
	c.expect(1, 3000)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 3000 })
}

// Here nobody runs the sink, so that the pipe can be full for as long as it
// takes.
// What a slow core has not read by the time of a stop waits for the next start.
func TestAStopDoesNotWaitForABacklog(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	const backlog = 50_000
	r.submit(backlog, 100)
	var read atomic.Int64
	go func() {
		for {
			if _, err := c.lines.ReadString('\n'); err != nil {
				return // the test is over
			}
			if read.Add(1)%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	r.start()
	eventually(t, "something is read", func() bool { return read.Load() > 100 })
	r.stop()
	if n := read.Load(); n > backlog/2 {
		t.Errorf("the core had read %d of %d results when the sink had stopped", n, backlog)
	}
}

func TestACoreThatHangsIsToldOf(t *testing.T) {
	r := newRig(t)
	var log strings.Builder
	r.sink.Feed.o.Log = logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: 10})
	c := r.newCore()
	if err := r.sink.open(); err != nil {
		t.Fatal(err)
	}
	defer r.sink.leave(t.Context())
	line := []byte(strings.Repeat("x", pipeBuf-1) + "\n")
	try := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*busyTick)
		defer cancel()
		return r.sink.write(ctx, line)
	}
	for try() == nil { // however much the pipe holds
	}
	if log.Len() > 0 {
		t.Errorf("told at once: %s", log.String())
	}
	r.sink.full = time.Now().Add(-spoolOverdue)
	if err := try(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("written to a full pipe: %v", err)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, r.path+" is full and the core reads nothing") {
		t.Errorf("the log says: %s", text)
	}
	c.line()
	if err := r.sink.write(t.Context(), line); err != nil || !strings.Contains(log.String(), "takes results again") {
		t.Errorf("%v; the log says: %s", err, log.String())
	}
}

func TestARegularFileIsLeftAlone(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.submit(1, 0)
	r.start()
	eventually(t, "says why", func() bool { return strings.Contains(r.sink.Status().Waiting, "no named pipe") })
	if data, err := os.ReadFile(r.path); err != nil || string(data) != "precious" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// Every write must fit PIPE_BUF, or another writer's line could land in it.
func TestOtherWritersAreNotInterleaved(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	r.start()
	other, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const rounds = 2000
	go func() {
		for range rounds {
			other.WriteString("[9] OTHER;" + strings.Repeat("o", 150) + "\n")
		}
	}()
	r.submit(rounds, 120)
	ours, theirs := 0, 0
	for ours < rounds || theirs < rounds {
		line := c.line()
		switch {
		case strings.HasPrefix(line, fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number %d xxx", ours+1)):
			ours++
		case line == "[9] OTHER;"+strings.Repeat("o", 150)+"\n":
			theirs++
		default:
			t.Fatalf("a torn line after %d and %d: %.200q", ours, theirs, line)
		}
	}
}

// All of the window is written again after the end of a core. What ended it must
// not be.
func TestACommandThatEndsTheCoreIsWrittenOnce(t *testing.T) {
	r := newRig(t)
	c := r.newCore()
	r.start()
	r.submit(1, 0)
	r.append(check.Result{Kind: check.Command, Command: "SHUTDOWN_PROGRAM", Finish: 1e6})
	r.submit(1, 0)
	c.expect(1, 1)
	if line := c.line(); line != "[1] SHUTDOWN_PROGRAM\n" {
		t.Errorf("got %q", line)
	}
	c.expect(3, 3)
	c.file.Close()
	eventually(t, "its end is noticed", func() bool { return r.sink.Status().Waiting != "" })
	c = r.newCore()
	c.expect(1, 1)
	c.expect(3, 3)
	eventually(t, "acknowledged", func() bool { return r.reader.Acked() == 3 })
	r.expectCounts(map[Outcome]uint64{Delivered: 3})
}
