package sink

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/check"
)

// streamRig is a sink for standard output between a journal and a pipe.
type streamRig struct {
	*feedRig
	in   *os.File
	sink *Stream
}

// newStreamRig has n results in its journal that are longer than a pipe takes
// at once, and together longer than one holds.
func newStreamRig(t *testing.T, n int) *streamRig {
	t.Helper()
	r := &streamRig{feedRig: newFeedRig(t, FeedOptions{})}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	for range n {
		r.append("c", check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(strings.Repeat("x", 50_000)), Finish: 1e6})
	}
	r.in, r.sink = in, &Stream{Feed: r.feed, Out: out}
	return r
}

// start runs the sink until stop is called; stopped is closed when it ended.
func (r *streamRig) start() (stop func(), stopped chan struct{}) {
	ctx, cancel := context.WithCancel(r.t.Context())
	stopped = make(chan struct{})
	go func() {
		defer close(stopped)
		r.sink.Run(ctx)
	}()
	return cancel, stopped
}

func (r *streamRig) awaitAcked(seq uint64) {
	r.t.Helper()
	eventually(r.t, "acknowledged", func() bool { return r.reader.Acked() == seq })
}

// awaitFull waits until the sink can write no more.
func (r *streamRig) awaitFull() {
	r.t.Helper()
	eventually(r.t, "the pipe is full", func() bool { return r.sink.Status().Waiting != "" })
}

// read reads the pipe to its end, as slowly as a person or a busy program, and
// then sends the lines.
func (r *streamRig) read() <-chan []string {
	lines := make(chan []string, 1)
	go func() {
		var text strings.Builder
		for {
			if _, err := io.CopyN(&text, r.in, 16<<10); err != nil {
				lines <- strings.SplitAfter(strings.TrimSuffix(text.String(), "\n"), "\n")
				return
			}
			time.Sleep(busyTick / 4)
		}
	}()
	return lines
}

// expectLines ends the pipe and counts the lines that are an object, and the others.
func (r *streamRig) expectLines(read <-chan []string, objects, others int) {
	r.t.Helper()
	r.sink.Out.Close()
	for _, line := range <-read {
		var s streamed
		if err := json.Unmarshal([]byte(line), &s); err == nil {
			objects--
		} else {
			r.t.Logf("a line of %d bytes: %v", len(line), err)
			others--
		}
	}
	if objects != 0 || others != 0 {
		r.t.Errorf("%d objects and %d other lines are missing", objects, others)
	}
}

// A stop while who reads is slow leaves no half line, to which the next start
// would add its first.
func TestStreamFinishesItsLine(t *testing.T) {
	t.Parallel()
	r := newStreamRig(t, 3)
	stop, stopped := r.start()
	r.awaitFull()
	stop()
	lines := r.read()
	<-stopped
	r.reader.Rewind()
	r.sink = &Stream{Feed: NewFeed(r.reader, FeedOptions{}), Out: r.sink.Out}
	stop, stopped = r.start()
	r.awaitAcked(3)
	stop()
	<-stopped
	r.expectLines(lines, 3, 0)
}

// Where nobody reads, a stop does not wait for ever, and what comes after the
// half line is not joined to it.
func TestStreamDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := newStreamRig(t, 3)
	stop, stopped := r.start()
	r.awaitFull()
	stop()
	select {
	case <-stopped:
	case <-time.After(2 * finishMost):
		t.Fatalf("still there %v after the stop", 2*finishMost)
	}
	r.feed.rewind()
	lines := r.read()
	stop, stopped = r.start()
	r.awaitAcked(3)
	stop()
	<-stopped
	r.expectLines(lines, 3, 1)
}
