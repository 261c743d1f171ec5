package intake

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// judgeAll lets every result in.
type judgeAll struct{}

func (judgeAll) NamesOnly(string) bool { return true }

func (judgeAll) Judge(string, *check.Result) error { return nil }

// post is an intake that runs, with one reader and one client.
type post struct {
	*Intake
	t      *testing.T
	reader *journal.Reader
	last   uint64 // sequence sent
	stop   context.CancelFunc
	done   chan error
}

// smallJournal is as small as the server lets it be.
const smallJournal = 32 << 20

func testOptions(dir string, maxBytes int64, log zerolog.Logger) Options {
	return Options{StateDir: dir, JournalBytes: maxBytes, JournalFlush: true, Quota: Quota{ClientShare: 0.25, Output: check.MaxOutput}, Log: log}
}

func newPost(t *testing.T, dir string, maxBytes int64) *post {
	t.Helper()
	in, err := Open(testOptions(dir, maxBytes, zerolog.Nop()), judgeAll{})
	if err != nil {
		t.Fatal(err)
	}
	p := &post{Intake: in, t: t, done: make(chan error, 1)}
	if p.reader, err = in.Journal.Reader("core", journal.Oldest); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	go func() { p.done <- in.Run(ctx) }()
	return p
}

// submit sends so many results with outputs of size bytes. While they are not
// taken within limit it returns an error.
func (p *post) submit(results, size int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	r := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: bytes.Repeat([]byte("x"), size), Finish: 1e6}
	var entries []wire.Entry
	for range results {
		p.last++
		entries = append(entries, wire.Entry{Sequence: p.last, Result: r.Append(nil)})
	}
	_, err := p.Submit(ctx, record.Origin{Client: "web1", Instance: wire.Instance{1}, Received: time.Now().UnixMicro(), Remember: 86400}, entries)
	return err
}

// deliver has the reader acknowledge all that there is.
func (p *post) deliver() {
	p.t.Helper()
	for {
		records, err := p.reader.TryNext(nil, 1000, 1<<20)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(records) == 0 {
			return
		}
		p.reader.Ack(records[len(records)-1].Seq)
	}
}

// await waits until holds does.
func (p *post) await(what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("30 s without: %s; it says %q", what, p.Waiting("web1"))
		}
	}
}

// end stops the intake, which has to notice.
func (p *post) end() {
	p.t.Helper()
	p.stop()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.t.Fatal("it does not stop")
	}
}

// A full journal whose oldest segment nobody needs, but which cannot go: the
// reason is told, and a stop is not held up.
func TestAFullJournalWhoseOldestCannotGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inTheWay := swapFile{filepath.Join(dir, checkpointFile)}.other()
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := newPost(t, dir, 1<<20)
	defer os.RemoveAll(inTheWay) // whatever holds it up
	if err := p.submit(2, 900<<10, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	p.await("a reason", func() bool {
		p.deliver()
		p.submit(1, 10, 2*measureInterval)
		return strings.Contains(p.Waiting("web1"), "its oldest cannot go")
	})
	p.end()
}
