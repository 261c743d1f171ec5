package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

func TestWhatIsTheDisksTrouble(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&fs.PathError{Op: "mkdir", Path: "x", Err: syscall.ENOSPC}, true},
		{fmt.Errorf("open: %w", &journal.DiskError{Op: "write", Path: "x", Err: syscall.EROFS}), true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false},
		{&journal.LockedError{Dir: "x", PID: 7}, false},
		{errors.New("another"), false},
	} {
		if got := isDiskTrouble(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A journal in the way of which a file stands, or that another process has
// open, is a mistake that must be mended; results in memory would hide it.
func TestAnOutboxThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	o := Options{StateDir: filepath.Join(dir, "used"), MaxBytes: 1 << 30, MaxAge: time.Hour}
	first, err := Open(o, zerolog.Nop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.journal.Load().Close()
	if _, err := Open(o, zerolog.Nop(), nil); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second one: %v", err)
	}
	o.StateDir = filepath.Join(dir, "file")
	if err := os.WriteFile(o.StateDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o, zerolog.Nop(), nil); err == nil || !strings.Contains(err.Error(), o.StateDir) {
		t.Errorf("a file in its place: %v", err)
	}
}

// A server whose checks are away for some minutes gets nothing twice when they
// come back: one of version 0.3.9 would not know it again.
func TestAServerThatWasForgottenGoesOnWhereItWas(t *testing.T) {
	b, err := Open(Options{StateDir: t.TempDir(), MaxBytes: 1 << 30, MaxAge: time.Hour}, zerolog.Nop(), nil)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- b.Run(ctx) }()
	defer func() { cancel(); must(t, <-over) }()
	put := func(output string) {
		r := check.Result{Kind: check.Host, Host: "h", Output: []byte(output)}
		b.put(entry{instance: wire.Instance{1}, result: r.Append(nil), servers: []string{"x"}})
	}
	// next reads for the server what it is to get, acknowledges it, and leaves.
	next := func() string {
		t.Helper()
		s, err := b.Reader("x")
		must(t, err)
		defer s.Close()
		items, err := s.Next(t.Context(), nil, 10, 1<<20)
		must(t, err)
		r, err := check.Decode(items[0].Result)
		must(t, err)
		s.Ack(items[0].Sequence)
		return string(r.Output)
	}
	for _, want := range []string{"one", "two", "three"} {
		put(want)
		if got := next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		b.Forget()
		if n := len(b.journal.Load().Stats().Readers); n != 0 {
			t.Fatalf("%d readers after all were forgotten", n)
		}
	}
}

// smallOutbox has room for some ten results of a KiB in memory. Its owner is
// who calls it, until run does.
func smallOutbox(t *testing.T, log zerolog.Logger) (b *Outbox, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(journal.Options{Dir: dir, ReadUnflushed: true, TailBytes: 12 << 10})
	must(t, err)
	b = newOutbox(Options{MaxBytes: 1 << 30, MaxAge: time.Hour}, log, logx.NewThrottle(log, logx.Limits{}))
	b.journal.Store(j)
	return b, dir
}

// kibibyte is an entry for a server.
func kibibyte(server string) []byte {
	e := entry{result: make([]byte, 1<<10), servers: []string{server}}
	return e.append(nil)
}

func TestMemoryThatIsFullIsFlushedBeforeAnythingIsGivenUp(t *testing.T) {
	b, _ := smallOutbox(t, zerolog.Nop())
	_, err := b.journal.Load().Reader("away", journal.Oldest)
	must(t, err)
	for range 100 {
		b.append(kibibyte("away"))
	}
	if stats := b.journal.Load().Stats(); len(b.dropped.of("away")) > 0 || stats.Readers[0].Pending != 100 {
		t.Errorf("given up %v, %d wait, though the disk takes all", b.dropped.of("away"), stats.Readers[0].Pending)
	}
	must(t, b.journal.Load().Close())
}

func TestTheOldestMakeRoomWhereTheDiskRefuses(t *testing.T) {
	b, dir := smallOutbox(t, zerolog.Nop())
	must(t, os.RemoveAll(dir))
	_, err := b.journal.Load().Reader("away", journal.Oldest)
	must(t, err)
	for range 100 {
		b.append(kibibyte("away"))
	}
	given, waits := b.dropped.of("away")[memoryFull], b.journal.Load().Stats().Readers[0].Pending
	if given == 0 || waits == 0 || given+waits != 100 {
		t.Errorf("%d given up, %d wait, of 100", given, waits)
	}
	b.journal.Load().Close()
}

func TestADiskThatRefusesIsTriedLessOftenAndHealsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := smallOutbox(t, zerolog.Nop())
		must(t, os.RemoveAll(dir))
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- b.Run(ctx) }()
		for range 600 { // memory is full all the time
			b.puts <- kibibyte("away")
			time.Sleep(100 * time.Millisecond)
		}
		if n := b.journal.Load().Stats().DiskErrors; n < 60 || n > 65 {
			t.Errorf("%d tries in a minute, want one a second", n)
		}
		must(t, os.Mkdir(dir, 0o700))
		time.Sleep(flushRetry + flushInterval)
		synctest.Wait()
		if stats := b.journal.Load().Stats(); stats.Durable != stats.Last {
			t.Errorf("of %d results %d are on the disk once it takes them", stats.Last, stats.Durable)
		}
		cancel()
		must(t, <-over)
	})
}

func TestAStopTriesTheDiskThatRefused(t *testing.T) {
	b, dir := smallOutbox(t, zerolog.Nop())
	_, err := b.journal.Load().Reader("away", journal.Oldest)
	must(t, err)
	must(t, os.RemoveAll(dir))
	b.append(kibibyte("away"))
	if b.flush() {
		t.Fatal("a disk without the directory took a result")
	}
	must(t, os.Mkdir(dir, 0o700))
	for range 100 {
		b.puts <- kibibyte("away")
	}
	must(t, b.close())
	if stats := b.journal.Load().Stats(); stats.Readers[0].Pending != 101 || stats.Durable != 101 {
		t.Errorf("of 101 results %d wait, the disk has those up to %d", stats.Readers[0].Pending, stats.Durable)
	}
}

func TestAStopTellsWhatAJournalInMemoryLoses(t *testing.T) {
	log := &words{}
	b, _ := smallOutbox(t, zerolog.New(log))
	must(t, b.journal.Load().Close())
	inMemory, err := journal.Open(journal.Options{ReadUnflushed: true})
	must(t, err)
	b.journal.Store(inMemory)
	b.noDisk(errors.New("no space left"))
	_, err = b.journal.Load().Reader("away", journal.Oldest)
	must(t, err)
	b.append(kibibyte("away"))
	b.puts <- kibibyte("away")
	must(t, b.close())
	if n := b.dropped.of("away")[stopped]; n != 2 || log.times(`"server":"away","up_to":2,"why":"no space left; results are kept in memory only`) != 1 {
		t.Errorf("counted %d, said %s", n, &log.text)
	}
}

// What comes after the last check that named a server is for others.
func TestForgettingAServerTellsWhatWaitedForIt(t *testing.T) {
	for _, c := range []struct {
		acked uint64 // of the two results that were for it
		lost  uint64
		words string
	}{
		{2, 0, `"level":"info","server":"gone","message":"forgot`},
		{1, 1, `"level":"error","server":"gone","up_to":1,`},
	} {
		log := &words{}
		b, _ := smallOutbox(t, zerolog.New(log))
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- b.Run(ctx) }()
		reader, err := b.Reader("gone")
		must(t, err)
		b.puts <- kibibyte("gone")
		b.puts <- kibibyte("gone")
		eventually(t, "both", func() bool { return b.journal.Load().Stats().Last == 2 })
		_, err = reader.reader.TryNext(nil, 2, 1<<20)
		must(t, err)
		reader.reader.Ack(c.acked)
		must(t, reader.Close())
		b.NoMore("gone")
		b.puts <- kibibyte("here")
		eventually(t, "another server's", func() bool { return b.journal.Load().Stats().Last == 3 })
		b.o.MaxAge = 0
		b.Forget()
		cancel()
		must(t, <-over)
		if n := b.dropped.of("gone")[tooOld]; n != c.lost || log.times(c.words) != 1 {
			t.Errorf("acknowledged %d of 2: counted %d, said %s", c.acked, n, &log.text)
		}
	}
}

// Of what waits for a server that no check names, only what is too old is given up.
func TestAServerThatNoCheckNamesLosesOnlyWhatIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &words{}
		b, _ := smallOutbox(t, zerolog.New(log))
		reader, err := b.journal.Load().Reader("gone", journal.Oldest)
		must(t, err)
		must(t, reader.Close())
		b.append(kibibyte("gone"))
		b.append(kibibyte("gone"))
		must(t, b.journal.Load().Flush())
		time.Sleep(b.o.MaxAge - time.Minute)
		b.append(kibibyte("gone"))
		must(t, b.journal.Load().Flush())
		b.begun = 3 // all of them are of an earlier run
		b.append(kibibyte("here"))
		for _, step := range []struct {
			after      time.Duration
			lost, left uint64
		}{{0, 0, 4}, {2 * time.Minute, 2, 2}, {time.Minute, 2, 2}, {b.o.MaxAge, 3, 0}} {
			time.Sleep(step.after)
			b.forget(b.journal.Load().Stats())
			var left uint64
			for _, r := range b.journal.Load().Stats().Readers {
				left = r.Pending
			}
			if lost := b.dropped.of("gone")[tooOld]; lost != step.lost || left != step.left {
				t.Errorf("after %v more: %d given up and %d waiting, want %d and %d", step.after, lost, left, step.lost, step.left)
			}
		}
		if n := len(b.journal.Load().Stats().Readers); n > 0 || log.times("were given up") != 2 {
			t.Errorf("%d servers are known, said %s", n, &log.text)
		}
		must(t, b.journal.Load().Close())
	})
}

func TestWhatKeepsTheJournalFullIsToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &words{}
		b, dir := smallOutbox(t, zerolog.New(log))
		b.o.MaxBytes = 0
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- b.Run(ctx) }()
		_, err := b.Reader("away")
		must(t, err)
		b.puts <- kibibyte("away")
		time.Sleep(2 * flushInterval)
		segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
		must(t, err)
		for _, s := range segments { // a directory of that name, with something in it, does not go
			must(t, os.Remove(s))
			must(t, os.MkdirAll(filepath.Join(s, "x"), 0o700))
		}
		time.Sleep(3 * time.Minute)
		cancel()
		<-over
		if n := log.times("cannot make room"); n < 2 || n > 4 {
			t.Errorf("said %d times in three minutes", n)
		}
	})
}
