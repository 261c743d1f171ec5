//go:build e2e

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"massive-passive/server/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// The fault suite keeps its books outside the processes that it breaks: it copies the segments of both journals
// while they are written, so that those that are removed later are still there, and reads the copies.

// sighting is one result, as a journal or a core shows it.
type sighting struct {
	service string // HOST;SERVICE
	number  string // what the plugin printed, different in each run of a service
}

// entry is one result in a journal.
type entry struct {
	record   uint64 // its sequence in the journal that it was read from
	sequence uint64 // in the client's journal, which gives none twice
	sighting
	at time.Time // of its append
}

// copies are the segments of one journal.
type copies struct {
	t        testing.TB
	from, to string

	mu     sync.Mutex // held while from is looked at; who takes its file system away holds it
	copied map[string]fileState

	known map[string]fileState // what was read of the copies
	found []entry              // in it
}

type fileState struct {
	inode    uint64
	size     int64
	modified time.Time
}

const (
	// collectEvery is far below the second that a segment stays that is complete.
	collectEvery = 20 * time.Millisecond
	// cheap is up to where the segment that is being written to is copied after each flush. On a full disk it goes as
	// soon as nobody needs it.
	cheap = 4 << 20

	segmentSuffix = ".seg"
)

// collect copies until the test ends.
func collect(t testing.TB, from string) *copies {
	t.Helper()
	c := &copies{t: t, from: from, to: t.TempDir(), copied: map[string]fileState{}}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(collectEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				c.look(false)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	return c
}

// look copies what is complete, and, with all or where it is cheap, the segment that is being written to.
func (c *copies) look(all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names, err := filepath.Glob(filepath.Join(c.from, "*"+segmentSuffix))
	if err != nil {
		c.t.Errorf("look for segments: %v", err)
		return
	}
	for i, name := range names { // sorted, and so the newest is the last
		if i == len(names)-1 && !all && !resting(name) {
			break
		}
		if err := c.copy(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Errorf("copy a segment: %v", err)
		}
	}
}

// resting tells whether nothing was written to a file for longer than there is between two flushes, or it is cheap to
// copy. After a start a segment may go without a newer one.
func resting(name string) bool {
	info, err := os.Stat(name)
	return err == nil && (time.Since(info.ModTime()) > 300*time.Millisecond || info.Size() < cheap)
}

func (c *copies) copy(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	now := fileState{info.Sys().(*syscall.Stat_t).Ino, info.Size(), info.ModTime()}
	base := filepath.Base(name)
	if c.copied[base] == now {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	part := filepath.Join(c.to, "part") // who reads the copy meanwhile reads the last one
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	c.copied[base] = now
	return os.Rename(part, filepath.Join(c.to, base))
}

// entries returns what is in all copies, and where in it begins what was read now: the copies that changed since the
// last time, and the one before them, so that a gap is noticed. Damage is an error, but for a torn end of the journal,
// which is what a running process shows in the middle of a write. The copying goes on: reading may take longer than a
// segment stays.
func (c *copies) entries(decode func([]byte) (entry, error)) (all []entry, fresh int, err error) {
	c.look(true)
	c.mu.Lock()
	states := maps.Clone(c.copied)
	c.mu.Unlock()
	names := slices.Sorted(maps.Keys(states))
	first := slices.IndexFunc(names, func(name string) bool { return c.known[name] != states[name] })
	if first < 0 {
		return c.found, len(c.found), nil
	}
	names = names[max(first-1, 0):]
	start, err := strconv.ParseUint(strings.TrimSuffix(names[0], segmentSuffix), 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("the name of a segment: %w", err)
	}
	fresh, _ = slices.BinarySearchFunc(c.found, start, func(e entry, record uint64) int { return cmp.Compare(e.record, record) })
	read, err := c.read(names, decode)
	if err != nil {
		return nil, 0, err
	}
	c.known, c.found = states, append(c.found[:fresh], read...)
	return c.found, fresh, nil
}

// read opens copies of copies as a journal, for that may cut its end.
func (c *copies) read(names []string, decode func([]byte) (entry, error)) (found []entry, err error) {
	dir := filepath.Join(c.to, "read")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(c.to, name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	var bad error
	j, err := journal.Open(journal.Options{Dir: dir,
		Recovered: func(r journal.Record) {
			e, err := decode(r.Payload)
			if err != nil {
				bad = errors.Join(bad, fmt.Errorf("record %d: %w", r.Seq, err))
				return
			}
			if e.sequence == 0 {
				e.sequence = r.Seq
			}
			e.record, e.at = r.Seq, r.Time
			found = append(found, e)
		},
		Damaged: func(d journal.Damage) {
			if !strings.HasPrefix(d.What, "torn tail") {
				bad = errors.Join(bad, errors.New(d.String()))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return found, errors.Join(bad, j.Close())
}

// decodeServerEntry reads an entry of the server's journal.
func decodeServerEntry(b []byte) (entry, error) {
	var r record.Record
	if err := r.Decode(b); err != nil {
		return entry{}, err
	}
	e := entry{sequence: r.Sequence}
	var err error
	e.sighting, err = decodeResult(r.Result)
	return e, err
}

// decodeClientEntry reads an entry of the client's journal: an instance, a result, the names of servers.
func decodeClientEntry(b []byte) (e entry, err error) {
	f := check.NewRepeatedFields(b, 3)
	for f.Next(3) {
		switch f.Number() {
		case 2:
			e.sighting, err = decodeResult(f.Bytes())
		default:
			f.Bytes()
		}
	}
	_, bad := f.End()
	return e, errors.Join(err, bad)
}

func decodeResult(b []byte) (sighting, error) {
	r, err := check.Decode(b)
	return sighting{r.Host + ";" + r.Service, strings.TrimSpace(string(r.Output))}, err
}

// ledger is what must arrive: all that was ever seen in the client's journal.
type ledger struct {
	known   map[uint64]sighting // by sequence
	entries []entry             // in the order of the client's journal
}

func (l *ledger) add(entries []entry) error {
	if l.known == nil {
		l.known = map[uint64]sighting{}
	}
	for _, e := range entries {
		before, known := l.known[e.sequence]
		if known && before != e.sighting {
			return fmt.Errorf("the client's journal gave sequence %d to %v, and before to %v", e.sequence, e.sighting, before)
		}
		if !known {
			l.known[e.sequence] = e.sighting
			l.entries = append(l.entries, e)
		}
	}
	slices.SortFunc(l.entries, func(a, b entry) int { return cmp.Compare(a.sequence, b.sequence) })
	return nil
}

// onceInServer holds the server's journal to the ledger: each result exactly once, in order for each service,
// and nothing under the identity of another.
func (l *ledger) onceInServer(t testing.TB, found []entry) {
	t.Helper()
	times := map[uint64]int{}
	for _, e := range found {
		times[e.sequence]++
		if times[e.sequence] == 2 {
			t.Errorf("sequence %d, %v, is in the server's journal more than once", e.sequence, e.sighting)
		}
		if known, ok := l.known[e.sequence]; ok && known != e.sighting {
			t.Errorf("the server's journal has sequence %d as %v, the client's as %v", e.sequence, e.sighting, known)
		}
	}
	missing := 0
	for _, e := range l.entries {
		if times[e.sequence] == 0 {
			if missing++; missing <= 5 {
				t.Errorf("sequence %d, %v, appended at %v, is not in the server's journal", e.sequence, e.sighting, e.at)
			}
		}
	}
	if missing > 5 {
		t.Errorf("%d results are missing in the server's journal", missing)
	}
	inOrder(t, "the server's journal", found, func(e entry) (string, uint64) { return e.service, e.sequence })
}

// inOrder checks that for each service the first appearances are in the order of their ranks.
func inOrder[T any](t testing.TB, where string, list []T, rank func(T) (service string, rank uint64)) {
	t.Helper()
	highest := map[string]uint64{}
	seen := map[string]map[uint64]bool{}
	wrong := 0
	for _, x := range list {
		service, n := rank(x)
		if seen[service] == nil {
			seen[service] = map[uint64]bool{}
		}
		if !seen[service][n] && n < highest[service] {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: result %d of %s comes first after %d", where, n, service, highest[service])
			}
		}
		seen[service][n] = true
		highest[service] = max(highest[service], n)
	}
	if wrong > 5 {
		t.Errorf("%s: %d results came out of order", where, wrong)
	}
}
