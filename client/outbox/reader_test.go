package outbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

func TestEntryEncodesAndDecodes(t *testing.T) {
	for _, want := range []entry{
		{wire.Instance{1, 15: 2}, []byte("result"), []string{"a", "b"}},
		{wire.Instance{3}, []byte{0}, []string{"only"}},
	} {
		b := want.append(nil)
		got, err := decodeEntry(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		if got, err := decodeEntry(b[:len(b)-1]); err == nil {
			t.Errorf("a cut entry decodes to %+v", got)
		}
	}
}

// plainOutbox is one without a journal of its own.
func plainOutbox(log zerolog.Logger) *Outbox {
	b := newOutbox(Options{MaxAge: time.Hour}, log, logx.NewThrottle(log, logx.Limits{}))
	b.Instances = &Instances{}
	return b
}

// newSources are two servers' views of one journal.
func newSources(t *testing.T) (*journal.Journal, *Reader, *Reader) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: t.TempDir(), ReadUnflushed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	view := func(server string) *Reader {
		reader, err := j.Reader(server, journal.Oldest)
		if err != nil {
			t.Fatal(err)
		}
		return &Reader{reader: reader, server: server, outbox: plainOutbox(zerolog.Nop())}
	}
	return j, view("a"), view("b")
}

func add(t *testing.T, j *journal.Journal, result string, servers ...string) {
	t.Helper()
	e := entry{instance: wire.Instance{1}, result: []byte(result), servers: servers}
	if _, err := j.Append(e.append(nil)); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, s *Reader) (results []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	items, err := s.Next(ctx, nil, 100, 1<<20)
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	for _, it := range items {
		results = append(results, fmt.Sprint(it.Sequence, " ", string(it.Result)))
	}
	return results
}

func TestASourceHasOnlyWhatIsForItsServer(t *testing.T) {
	j, a, b := newSources(t)
	add(t, j, "one", "a")
	add(t, j, "two", "b")
	add(t, j, "three", "a", "b")
	add(t, j, "four", "b")
	if got := take(t, a); !reflect.DeepEqual(got, []string{"1 one", "3 three"}) {
		t.Errorf("a has %v", got)
	}
	if got := take(t, b); !reflect.DeepEqual(got, []string{"2 two", "3 three", "4 four"}) {
		t.Errorf("b has %v", got)
	}
	a.Ack(1)
	if got := a.reader.Acked(); got != 1 {
		t.Errorf("with 3 in flight, acknowledged up to %d", got)
	}
	a.Ack(3)
	if got := a.reader.Acked(); got != 4 {
		t.Errorf("what is behind the last result of a and not for it holds the journal: acknowledged up to %d", got)
	}
	b.Rewind()
	if got := take(t, b); len(got) != 3 {
		t.Errorf("after a lost connection b has %v", got)
	}
}

func TestWhatIsForNobodyHoldsNothing(t *testing.T) {
	j, a, _ := newSources(t)
	for range 10 {
		add(t, j, "x", "b")
	}
	if got := take(t, a); got != nil {
		t.Errorf("a has %v", got)
	}
	if got := a.reader.Acked(); got != 10 {
		t.Errorf("acknowledged up to %d", got)
	}
}

func TestAnEntryThatMakesNoSenseIsCountedOnce(t *testing.T) {
	j, a, _ := newSources(t)
	add(t, j, "one", "a")
	if _, err := j.Append([]byte("no entry")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := take(t, a); !reflect.DeepEqual(got, []string{"1 one"}) {
			t.Errorf("a has %v", got)
		}
		a.Rewind()
	}
	if n := a.outbox.dropped.of("a")[unreadable]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestWhatCanBeReadGoesOnWhereAgesCannot(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(journal.Options{Dir: dir, ReadUnflushed: true})
	must(t, err)
	defer j.Close()
	reader, err := j.Reader("a", journal.Oldest)
	must(t, err)
	log := &words{}
	a := &Reader{reader: reader, server: "a", outbox: plainOutbox(zerolog.New(log))}
	add(t, j, "one", "a")
	must(t, j.Flush())
	if got := take(t, a); len(got) != 1 {
		t.Fatalf("a has %v", got)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	must(t, err)
	for _, s := range segments {
		must(t, os.Remove(s))
		must(t, os.Symlink(s, s)) // ELOOP, where its times are read
	}
	add(t, j, "two", "a")
	a.outbox.o.MaxAge, a.aged = 0, time.Time{} // last looked a while ago
	if got := take(t, a); !reflect.DeepEqual(got, []string{"2 two"}) || log.times("cannot tell which") != 1 {
		t.Errorf("a has %v, and says %s", got, &log.text)
	}
}

var _ sender.Source = (*Reader)(nil)
