//go:build e2e

package faults

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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

	"massive-passive/server/intake/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// The fault suite keeps its books outside the processes that it breaks: it copies the segments of both journals
// while they are written, so that those that are removed later are still there, and reads the copies.

// sighting is one result, as a journal or a core shows it. There are millions of them, and so neither it nor an entry
// has a pointer, for the garbage collector to follow.
type sighting struct {
	host, service uint16 // faultHosts' numbers
	number        int64  // what the plugin printed, different in each run of a service
}

// parseSighting reads HOST;SERVICE and what the plugin printed.
func parseSighting(service, number string) (s sighting, err error) {
	_, err = fmt.Sscanf(service+" "+number+"\n", "h%d;s%d %d\n", &s.host, &s.service, &s.number)
	return s, err
}

func (s sighting) String() string { return fmt.Sprintf("h%d;s%d %d", s.host, s.service, s.number) }

// object is the service alone.
func (s sighting) object() sighting { return sighting{host: s.host, service: s.service} }

// entry is one result in a journal.
type entry struct {
	record   uint64 // its sequence in the journal that it was read from
	sequence uint64 // in the client's journal, which gives none twice
	sighting
	appended int64 // Unix time in ns
}

func (e entry) at() time.Time { return time.Unix(0, e.appended) }

// copies are the segments of one journal.
type copies struct {
	t        testing.TB
	from, to string

	mu     sync.Mutex          // held while from is looked at; who takes its file system away holds it
	open   map[string]*os.File // so that the end of one that is removed can still be copied
	copied map[string]fileState
	looked time.Time
	apart  time.Duration // the longest between two looks: a segment that lives shorter is missing here alone

	known map[string]fileState // what was read of the copies
	found []entry              // in it
}

type fileState struct {
	inode    uint64
	size     int64
	modified time.Time
}

const (
	collectEvery  = 20 * time.Millisecond
	segmentSuffix = ".seg"
)

// collect copies until the test ends.
func collect(t testing.TB, from string) *copies {
	t.Helper()
	c := &copies{t: t, from: from, to: t.TempDir(), open: map[string]*os.File{}, copied: map[string]fileState{}}
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
	t.Cleanup(func() { close(stop); <-done; c.letGo() })
	return c
}

// look copies the segments that are complete or gone, and with all the one that is being written to.
func (c *copies) look(all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.looked.IsZero() {
		c.apart = max(c.apart, now.Sub(c.looked))
	}
	c.looked = now
	names, err := filepath.Glob(filepath.Join(c.from, "*"+segmentSuffix))
	if err != nil {
		c.t.Errorf("look for segments: %v", err)
		return
	}
	for base, f := range c.open {
		if !isAt(filepath.Join(c.from, base), f) {
			c.copy(base, f)
			f.Close()
			delete(c.open, base)
		}
	}
	for i, name := range names { // sorted, and so the newest is the last
		base := filepath.Base(name)
		if c.open[base] == nil {
			f, err := os.Open(name)
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					c.t.Errorf("copy a segment: %v", err)
				}
				continue
			}
			c.open[base] = f
		}
		if all || i < len(names)-1 {
			c.copy(base, c.open[base])
		}
	}
}

// letGo is for who holds mu and takes the file system away.
func (c *copies) letGo() {
	for _, f := range c.open {
		f.Close()
	}
	clear(c.open)
}

func isAt(path string, f *os.File) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	opened, err := f.Stat()
	return err == nil && os.SameFile(there, opened)
}

func (c *copies) copy(base string, f *os.File) {
	if err := c.tryCopy(base, f); err != nil {
		c.t.Errorf("copy a segment: %v", err)
	}
}

func (c *copies) tryCopy(base string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	now := fileState{info.Sys().(*syscall.Stat_t).Ino, info.Size(), info.ModTime()}
	if c.copied[base] == now || now.size == 0 { // it was made this moment, and has no header yet
		return nil
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
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
		c.mu.Lock()
		defer c.mu.Unlock()
		return nil, 0, fmt.Errorf("%w (of the copies %q; it was looked for segments after %v at the latest)", err, names, c.apart)
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
			e.record, e.appended = r.Seq, r.Time.UnixNano()
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
	if err != nil {
		return sighting{}, err
	}
	return parseSighting(r.Host+";"+r.Service, strings.TrimSpace(string(r.Output)))
}

// ledger is what must arrive: all that was ever seen in the client's journal.
type ledger struct {
	known   map[uint64]sighting // by sequence
	entries []entry             // in the order of the client's journal, and so of their sequences
}

func (l *ledger) add(entries []entry) error {
	if l.known == nil {
		l.known = map[uint64]sighting{}
	}
	inOrder := true
	for _, e := range entries {
		before, known := l.known[e.sequence]
		if known && before != e.sighting {
			return fmt.Errorf("the client's journal gave sequence %d to %v, and before to %v", e.sequence, e.sighting, before)
		}
		if !known {
			l.known[e.sequence] = e.sighting
			inOrder = inOrder && (len(l.entries) == 0 || e.sequence > l.entries[len(l.entries)-1].sequence)
			l.entries = append(l.entries, e)
		}
	}
	if !inOrder {
		return errors.New("the client's journal has a sequence that is lower than one before it")
	}
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
				t.Errorf("sequence %d, %v, appended at %v, is not in the server's journal", e.sequence, e.sighting, e.at())
			}
		}
	}
	if missing > 5 {
		t.Errorf("%d results are missing in the server's journal", missing)
	}
	inOrder(t, "the server's journal", found, func(e entry) (sighting, uint64) { return e.object(), e.sequence })
}

// inOrder checks that for each service the last appearances are in the order of their ranks. What a core that ended
// had taken and lost comes again with all that followed it: then a result may first come behind a newer one, which
// comes once more behind it.
func inOrder[T any](t testing.TB, where string, list []T, rank func(T) (object sighting, rank uint64)) {
	t.Helper()
	lowest := map[sighting]uint64{}
	seen := map[sighting]map[uint64]bool{}
	wrong := 0
	for _, x := range slices.Backward(list) {
		object, n := rank(x)
		if seen[object] == nil {
			seen[object], lowest[object] = map[uint64]bool{}, n
		}
		if !seen[object][n] && n > lowest[object] {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: result %d of %s comes last before %d", where, n, object, lowest[object])
			}
		}
		seen[object][n] = true
		lowest[object] = min(lowest[object], n)
	}
	if wrong > 5 {
		t.Errorf("%s: %d results came out of order", where, wrong)
	}
}
