package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"massive-passive/internal/disk"
)

// recovery is what Open finds in a directory.
type recovery struct {
	j       *Journal
	segs    []*segment
	aside   []asideFile // files with a segment's name that cannot be used
	cursors []string
	torn    bool   // the last segment ended badly
	state   slot   // zero if there was none
	highest uint64 // ordinal that the state or a cursor knows of
	newest  int64  // age of a mark that was read
	walker  walker
	asker   disk.Asker
}

// noLimit is the limit of the last segment.
const noLimit = ^uint64(0)

const endsEarly = "the segment ends early, the next one is used"

type asideFile struct {
	first  uint64
	damage Damage
	empty  bool
}

func (j *Journal) recover() error {
	r := &recovery{j: j}
	if err := r.list(); err != nil {
		return err
	}
	stateLost := r.loadState()
	r.loadClock()
	r.scanAll()
	r.loadCursors()
	r.tellMissing()
	j.segs = r.segs
	j.ordinal = r.highest
	next := uint64(1)
	if n := len(r.segs); n > 0 {
		last := r.segs[n-1]
		next = last.last() + 1
		if last.unread {
			next += seqReserve // beyond whatever its end holds
		}
		j.ordinal = max(j.ordinal, last.header.ordinal+last.count)
	}
	for _, rd := range j.readers {
		next = max(next, rd.acked+1)
	}
	for _, a := range r.aside {
		if !a.empty {
			next = max(next, a.first+seqReserve) // beyond whatever it holds
		}
	}
	if next = max(next, r.state.seq); stateLost {
		next += seqReserve
	}
	j.next, j.durable = next, next-1
	j.time.begin(r.newestAge())
	r.reopenLast()
	if n := len(r.segs); n > 0 && !j.o.NoSync {
		j.left = r.segs[n-1].path
		_ = r.asker.Ask(j.flushLeft) // else the next Flush tries again
	}
	j.state = r.state
	if j.reserved = next + j.reserveAhead(); j.o.ReadUnflushed || r.state.generation == 0 {
		// If the disk refuses, the next Trim tries again: a start must not fail
		// for it, although until then a crash may let sequences come again.
		j.stateOld = j.saveState(j.reserveAhead()) != nil
	}
	_ = j.saveClock(true) // the same
	return nil
}

func (r *recovery) list() error {
	var entries []os.DirEntry
	err := r.asker.Ask(func() (err error) {
		entries, err = os.ReadDir(r.j.o.Dir)
		return err
	})
	if err != nil {
		return fmt.Errorf("list journal: %w", err)
	}
	for _, e := range entries { // sorted by name, and so by sequence
		path := filepath.Join(r.j.o.Dir, e.Name())
		if first, ok := parseSegmentName(e.Name()); ok {
			r.load(path, first, e.Type().IsRegular())
		} else if strings.HasSuffix(e.Name(), cursorSuffix) {
			r.cursors = append(r.cursors, e.Name())
		}
	}
	return nil
}

// load reads the header of a segment, or sets the file aside.
func (r *recovery) load(path string, first uint64, regular bool) {
	var h header
	var size int64
	err := r.asker.Ask(func() (err error) {
		h, size, err = loadHeader(path, regular)
		return err
	})
	if err == nil && h.first != first {
		err = fmt.Errorf("its header says that it begins with record %d", h.first)
	}
	if err == nil {
		r.segs = append(r.segs, &segment{path: path, header: h, salt: saltCRC(h.salt), size: size})
		return
	}
	r.setAside(path, first, err)
}

func (r *recovery) setAside(path string, first uint64, err error) {
	a := asideFile{first: first, damage: Damage{File: path, Lost: -1}}
	if errors.Is(err, errEmpty) {
		a.empty = true
		a.damage.What = "segment without content, removed"
		_ = os.Remove(path) // else its name is in the way, and it is told again
	} else {
		a.damage.What = fmt.Sprintf("segment left untouched and not used: %v", err)
		if errors.Is(err, fs.ErrPermission) {
			a.damage.What = "segment left untouched and not used: " + withOwner(err, path).Error()
		} else {
			a.damage.What += " (move it to where it can be read, or away, to hear no more of it)"
		}
	}
	r.aside = append(r.aside, a)
}

var errEmpty = errors.New("the file is too short to hold a record")

func loadHeader(path string, regular bool) (header, int64, error) {
	if !regular {
		return header{}, 0, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return header{}, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return header{}, 0, err
	}
	b := make([]byte, headerBlock)
	n, readErr := f.ReadAt(b, 0)
	h, err := decodeHeader(b[:n])
	if err != nil && readErr != nil && !errors.Is(readErr, io.EOF) {
		return h, 0, readErr
	}
	if errors.Is(err, errNoHeader) && info.Size() < headerBlock {
		err = errEmpty // a crash in the first write to it, or it was cut since
	}
	return h, info.Size(), err
}

// loadState tells whether a state was there but could not be read.
func (r *recovery) loadState() (lost bool) {
	path := filepath.Join(r.j.o.Dir, stateName)
	s, err := readSlots(path)
	if errors.Is(err, fs.ErrNotExist) {
		return len(r.segs)+len(r.aside)+len(r.cursors) > 0
	}
	if err != nil {
		r.j.damage(Damage{path, 0, fmt.Sprintf("state not used (%v), sequences go on from far above", err), 0, false})
		return true
	}
	r.state, r.highest = s, s.ordinal
	return false
}

// scanAll finds out how many records each segment holds: from the ordinal of
// the next where the two follow on, else by reading it.
func (r *recovery) scanAll() {
	unused := map[*segment]bool{}
	for i, s := range r.segs {
		var next *segment
		limit := noLimit
		linked := false
		if i+1 < len(r.segs) {
			next = r.segs[i+1]
			limit = next.first()
			h := next.header
			linked = h.prev == s.first() && h.ordinal >= s.header.ordinal && h.ordinal-s.header.ordinal <= limit-s.first()
		}
		if linked {
			s.count = next.header.ordinal - s.header.ordinal
			limit = s.first() + s.count
		}
		if !linked || r.j.o.Recovered != nil {
			after, err := r.scan(s, limit, linked)
			if err != nil { // its header could be read a moment ago
				r.setAside(s.path, s.first(), err)
				unused[s] = true
			} else if !linked {
				s.count = after - s.first()
			}
		}
	}
	r.segs = slices.DeleteFunc(r.segs, func(s *segment) bool { return unused[s] })
	if n := len(r.segs); n > 0 && r.segs[n-1].count == 0 {
		// A crash between making a segment and its first batch leaves this. Its
		// name is needed again.
		_ = os.Remove(r.segs[n-1].path)
		r.segs = r.segs[:n-1]
	}
}

// scan reads a segment up to the sequence limit and returns the one behind its
// last record. That the segment must reach the limit is known if it is linked.
func (r *recovery) scan(s *segment, limit uint64, linked bool) (after uint64, err error) {
	f, err := r.asker.Open(s.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return r.walk(f, s, limit, linked)
}

func (r *recovery) walk(src io.ReaderAt, s *segment, limit uint64, linked bool) (after uint64, err error) {
	w := &r.walker
	w.src, w.salt, w.end, w.limit = r.asker.Reader(src), s.salt, s.size, limit
	w.start(headerBlock, s.first())
	s.indexed = true
	for {
		ev := w.step()
		if w.failed != nil && (ev == evGap || ev == evEnd) {
			s.indexed = false
		}
		switch ev {
		case evMark:
			r.newest = max(r.newest, w.mark.at.age)
			s.addPoint(point{w.mark.first, w.markOff, w.mark.at})
		case evRecord:
			if r.j.o.Recovered != nil {
				r.j.o.Recovered(Record{w.next - 1, time.Unix(0, w.mark.at.wall), w.payload})
			}
		case evGap:
			r.j.damage(Damage{s.path, w.gap.off, w.gap.what, int64(w.gap.to - w.gap.from), false})
		case evEnd:
			switch {
			case limit == noLimit && w.failed != nil && w.next == s.first():
				return 0, w.failed // nothing of it can be used now
			case limit == noLimit:
				r.finishLast(s, w)
			case linked && w.next < limit:
				r.j.damage(Damage{s.path, w.endedAt(), endsEarly, int64(limit - w.next), false})
			}
			return w.next, nil
		}
	}
}

// finishLast cuts the torn tail of the last segment. What the disk did not give
// is not cut off: a reader that is not beyond it at another start may get it.
func (r *recovery) finishLast(s *segment, w *walker) {
	if w.tornAt < 0 {
		return
	}
	r.torn = true
	what := fmt.Sprintf("torn tail, %d bytes cut behind the last good record", s.size-w.tornAt)
	if w.failed != nil {
		s.unread = true
		what = fmt.Sprintf("the end could not be read (%v), %d bytes are not used", w.failed, s.size-w.tornAt)
	} else if err := os.Truncate(s.path, w.tornAt); err != nil {
		what = fmt.Sprintf("torn tail, could not be cut (%v) and is not used", err)
	}
	r.j.damage(Damage{s.path, w.tornAt, what, w.tornLost, false})
	s.size = w.tornAt
}

// loadCursors makes the readers that are known.
func (r *recovery) loadCursors() {
	for _, file := range r.cursors {
		name, err := url.PathUnescape(strings.TrimSuffix(file, cursorSuffix))
		if err != nil || url.PathEscape(name)+cursorSuffix != file {
			continue // not made by this package
		}
		rd := r.j.newReaderLocked(name)
		s, err := readSlots(rd.path)
		if err != nil {
			r.j.damage(Damage{rd.path, 0, fmt.Sprintf("cursor not used (%v), %q reads again from the oldest record", err, name), 0, false})
			if len(r.segs) > 0 {
				rd.acked = r.segs[0].first() - 1
			}
			rd.handed = rd.acked
			continue
		}
		rd.stored, rd.acked, rd.handed = s, s.seq, s.seq
		r.highest = max(r.highest, s.ordinal)
	}
}

// tellMissing compares the ordinals of neighbours and so counts what files are
// missing, and tells of those set aside.
func (r *recovery) tellMissing() {
	for i, s := range r.segs {
		switch {
		case i == 0:
			if from, known := r.leastOrdinal(); known {
				r.tellHole(0, s.first(), s.header.prev, from, s.header.ordinal)
			}
		case s.header.prev != r.segs[i-1].first():
			p := r.segs[i-1]
			r.tellHole(p.first(), s.first(), s.header.prev, p.header.ordinal+p.count, s.header.ordinal)
		}
	}
	if n := len(r.segs); n > 0 && !r.torn {
		p := r.segs[n-1]
		r.tellHole(p.first(), noLimit, p.last()+1, p.header.ordinal+p.count, r.highest)
	} else if from, known := r.leastOrdinal(); n == 0 && known {
		r.tellHole(0, noLimit, 1, from, r.highest)
	}
	for _, a := range r.aside {
		if a.empty {
			a.damage.Lost = max(a.damage.Lost, 0)
		}
		r.j.damage(a.damage)
	}
}

// leastOrdinal is how many records the reader furthest back was done with.
func (r *recovery) leastOrdinal() (least uint64, known bool) {
	least = noLimit
	for _, rd := range r.j.readers {
		if rd.stored.generation > 0 {
			least = min(least, rd.stored.ordinal)
		}
	}
	return least, least < noLimit
}

// tellHole tells of the records with ordinals [from, to) that no segment holds
// between those that begin with lo and hi: by the file set aside there, or as a
// file that is missing, whose name was that of first.
func (r *recovery) tellHole(lo, hi, first, from, to uint64) {
	if to <= from {
		return
	}
	for i := range r.aside {
		if a := &r.aside[i]; a.first > lo && a.first < hi && a.damage.Lost < 0 {
			a.damage.Lost, a.damage.AtLeast = int64(to-from), hi == noLimit
			return
		}
	}
	path := filepath.Join(r.j.o.Dir, segmentName(first))
	r.j.damage(Damage{path, 0, "segment missing, the others are used", int64(to - from), hi == noLimit})
}

// reopenLast makes the last segment the one that the next flush writes to, if it
// ended well, has room, and no sequence was left out behind it.
func (r *recovery) reopenLast() {
	j := r.j
	n := len(r.segs)
	if n == 0 || r.torn {
		return
	}
	s := r.segs[n-1]
	if s.last()+1 != j.next || s.size >= j.o.SegmentBytes || s.header.ordinal+s.count != j.ordinal {
		return
	}
	// If it cannot be written, the next flush begins a new one.
	if f, err := os.OpenFile(s.path, os.O_RDWR, 0); err == nil {
		j.active = f
	}
}
