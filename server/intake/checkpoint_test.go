package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/disk/disktest"
	"massive-passive/server/intake/record"
	"massive-passive/wire"

	"github.com/rs/zerolog"
)

// remembering returns a checkpoint's file of three instances and its bytes, but
// for the blanks at its end.
func remembering(t *testing.T) (file string, data []byte) {
	t.Helper()
	d := newDuplicates()
	for i := range 3 {
		d.add(&record.Origin{Client: fmt.Sprint("client ", i), Instance: wire.Instance{byte(i + 1)}, Sequence: uint64(100 + i), Received: 5e6, Remember: 60})
	}
	d.flushed()
	file = filepath.Join(t.TempDir(), checkpointFile)
	if err := d.save(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, bytes.TrimRight(data, " ")
}

// recall loads data as a checkpoint, and holds what it gives to what was saved.
func recall(t *testing.T, file string, data []byte) (known int, err error) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDuplicates()
	err = d.load(file)
	for client, instances := range d.clients {
		for instance, s := range instances {
			i := int(instance[0]) - 1
			if client != fmt.Sprint("client ", i) || s.last != uint64(100+i) || s.durable != s.last || s.expires != 65 {
				t.Errorf("%s %v: %+v", client, instance, s)
			}
			known++
		}
	}
	return known, err
}

// A start reads all that is in the journal before the first flush: what it
// keeps in memory must be of the instances, not of their results.
func TestAnInstanceIsTouchedOnceAFlush(t *testing.T) {
	d := newDuplicates()
	o := record.Origin{Client: "client", Instance: wire.Instance{1}}
	for range 2 {
		for range 1000 {
			o.Sequence++
			d.add(&o)
		}
		if len(d.notDurable) != 1 {
			t.Fatalf("%d are touched, want 1", len(d.notDurable))
		}
		d.flushed()
		if s := d.clients[o.Client][o.Instance]; s.durable != o.Sequence || len(d.notDurable) != 0 {
			t.Fatalf("durable up to %d, want %d; %d are still touched", s.durable, o.Sequence, len(d.notDurable))
		}
	}
}

// What a flush got onto the disk before the disk refused the rest may be
// delivered and removed before the rest is taken: a checkpoint has to tell of it.
func TestAFlushThatStopsHalfWay(t *testing.T) {
	for durable, want := range map[uint64]uint64{9: 5, 10: 7, 11: 9, 13: 12, 100: 12} {
		d := newDuplicates()
		o := record.Origin{Client: "client", Instance: wire.Instance{1}, Sequence: 5}
		d.add(&o)
		d.flushed()
		first := uint64(10)
		for _, parts := range [][]recordEnd{{{sequence: 7}, {sequence: 9}}, {{sequence: 10}, {sequence: 12}}} {
			o.Sequence = parts[1].sequence
			d.add(&o)
			d.noteUnflushed(&o, first, parts)
			first += 2
		}
		d.flushedUpTo(durable)
		s := d.clients[o.Client][o.Instance]
		if s.durable != want || s.last != 12 {
			t.Errorf("the journal has up to %d: durable up to %d of %d, want %d of 12", durable, s.durable, s.last, want)
		}
		if d.flushed(); s.durable != 12 || len(d.unflushed) > 0 {
			t.Errorf("all is flushed, and durable up to %d, %d unsure", s.durable, len(d.unflushed))
		}
	}
}

func TestACheckpointComesBack(t *testing.T) {
	file, data := remembering(t)
	if n, err := recall(t, file, data); n != 3 || err != nil {
		t.Errorf("%d instances, %v", n, err)
	}
	if err := newDuplicates().load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

// A client's name is that of a file, and may have any bytes.
func TestACheckpointKeepsAnyName(t *testing.T) {
	names := []string{"web1", "büro", "b\xfcro", "b\ufffdro", "\xff", "<&>\"\\\n"}
	d := newDuplicates()
	for i, name := range names {
		d.add(&record.Origin{Client: name, Instance: wire.Instance{byte(i + 1)}, Sequence: 10, Received: 5e6, Remember: 60})
	}
	d.flushed()
	file := filepath.Join(t.TempDir(), checkpointFile)
	if err := d.save(file); err != nil {
		t.Fatal(err)
	}
	e := newDuplicates()
	if err := e.load(file); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if e.highest(name, wire.Instance{byte(i + 1)}) != 10 || len(e.clients) != len(names) {
			t.Errorf("%q is not known after a restart, of %d names %d are", name, len(names), len(e.clients))
		}
	}
}

// Whatever bit is flipped: nobody is remembered with another sequence, at most
// one line is lost, and that is told.
func TestAFlippedBitInACheckpoint(t *testing.T) {
	file, data := remembering(t)
	body := bytes.IndexByte(data, '\n') + 1
	for i := body; i < len(data); i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		n, err := recall(t, file, bad)
		if n < 1 || n == 3 && err != nil || n < 3 && (err == nil || !strings.Contains(err.Error(), file)) {
			t.Errorf("byte %d of %q: %d instances, %v", i, bad, n, err)
		}
	}
}

func TestABadCheckpoint(t *testing.T) {
	file, data := remembering(t)
	title, lines, _ := strings.Cut(string(data), "\n")
	for name, c := range map[string]struct {
		data  string
		known int
		says  string
	}{
		"empty":          {"", 0, "empty"},
		"cut":            {string(data[:len(data)-5]), 2, "of 3 instances 2"},
		"a line missing": {title + "\n" + lines[strings.Index(lines, "\n")+1:], 2, "of 3 instances 2"},
		"only a title":   {title, 0, "of 3 instances 0"},
		"a later one":    {strings.Replace(string(data), " 1 3\n", " 2 3 more\n", 1), 3, "version 2"},
		"something else": {"[]", 0, "no such file"},
		"a bad title":    {"x" + string(data), 3, "3 instances could be read"},
	} {
		if n, err := recall(t, file, []byte(c.data)); n != c.known || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d instances, %v", name, n, err)
		}
	}
}

// A server starts whatever became of its checkpoint, and says so if that can
// matter.
func TestAServerStartsWithABadCheckpoint(t *testing.T) {
	dir := t.TempDir()
	p := newPost(t, dir, smallJournal)
	if err := p.submit(2, 10, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.end()
	file := filepath.Join(dir, checkpointFile)
	for name, c := range map[string]struct {
		data []byte // nil: no file
		told bool
	}{
		"none, and nothing went yet": {nil, false},
		"empty":                      {[]byte{}, true},
		"garbage":                    {[]byte("\x00\xff garbage"), true},
	} {
		os.Remove(file)
		if c.data != nil {
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		in, err := Open(testOptions(dir, smallJournal, zerolog.New(&log)), judgeAll{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !in.duplicates.has(&record.Origin{Client: "web1", Instance: wire.Instance{1}, Sequence: 2}) {
			t.Errorf("%s: what the journal holds is not known", name)
		}
		if told := strings.Contains(log.String(), "may be delivered twice"); told != c.told {
			t.Errorf("%s: said %s", name, log.String())
		}
		in.Journal.Close()
	}
}

// What a connection left in the queue when a newer one took its place is not
// taken: the newer one was told what is known.
func TestNothingIsTakenForAConnectionThatIsOver(t *testing.T) {
	in, err := Open(testOptions(t.TempDir(), smallJournal, zerolog.Nop()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Journal.Close()
	over := make(chan struct{})
	close(over)
	o := record.Origin{Client: "c", Instance: wire.Instance{1}, Sequence: 7}
	s := &submission{origin: o, records: []recordEnd{{7, 1}}, buffer: []byte("x"), abandoned: over}
	if err := in.append(s); err == nil || in.duplicates.highest("c", o.Instance) != 0 || in.Journal.Stats().Last != 0 {
		t.Errorf("%v, known up to %d", err, in.duplicates.highest("c", o.Instance))
	}
	s.abandoned = make(chan struct{})
	if err := in.append(s); err != nil || in.duplicates.highest("c", o.Instance) != 7 {
		t.Errorf("%v, known up to %d", err, in.duplicates.highest("c", o.Instance))
	}
}

func TestACheckpointThatIsAwayForAMomentIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, _ := remembering(t)
		disktest.TakeAwayFor(t, time.Second, file)
		d := newDuplicates()
		if err := d.load(file); err != nil || len(d.clients) != 3 {
			t.Errorf("%d clients are known, %v", len(d.clients), err)
		}
	})
}
