package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// model is a journal as a slice, beside the real one.
type model struct {
	harness
	rng     *rand.Rand
	o       Options
	dirs    int
	records []modelRecord // those that have not been pushed out
	flushed int           // of records, those that survive a crash
	next    int           // number of the next record
	highest uint64        // sequence handed out so far
	safe    uint64        // and flushed
	readers map[string]*modelReader
}

type modelRecord struct {
	seq uint64
	n   int
}

type modelReader struct {
	*Reader
	acked, pos, handed uint64
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(16) {
		o := Options{SegmentBytes: 40 << 10, TailBytes: 150 << 10, ReadUnflushed: seed%2 == 0, NoSync: seed%3 != 0}
		if seed%4 < 3 {
			o.Dir = t.TempDir()
		}
		name := fmt.Sprintf("seed %d, disk %v, unflushed %v", seed, o.Dir != "", o.ReadUnflushed)
		t.Run(name, func(t *testing.T) {
			m := &model{rng: rand.New(rand.NewPCG(seed, 1)), o: o, readers: map[string]*modelReader{"a": {}, "b": {}}}
			m.start(t)
			for range 400 {
				m.act()
				m.check()
			}
			m.wantDamages(0)
		})
	}
}

func (m *model) start(t *testing.T) {
	m.harness = open(t, m.o)
	for name, r := range m.readers {
		r.Reader = m.reader(name, Oldest)
		r.acked = r.Acked()
		r.pos, r.handed = r.acked+1, r.acked
	}
}

func (m *model) act() {
	r := m.readers[[]string{"a", "b"}[m.rng.IntN(2)]]
	switch p := m.rng.IntN(100); {
	case p < 30:
		m.append()
	case p < 45:
		if err := m.Flush(); err != nil {
			m.t.Fatal(err)
		}
		m.flushed, m.safe = len(m.records), m.highest
	case p < 65:
		m.readNext(r)
	case p < 78:
		seq := r.acked + m.rng.Uint64N(r.handed-r.acked+5)
		r.Ack(seq)
		r.acked = max(r.acked, min(seq, r.handed))
	case p < 82:
		r.Rewind()
		r.pos = r.acked + 1
	case p < 90:
		if err := m.Trim(); err != nil {
			m.t.Fatal(err)
		}
	case p < 92:
		m.pushOut()
	case p < 94:
		m.dropTail(m.rng.IntN(50))
	case p < 97:
		m.restart()
	default:
		m.crash()
	}
}

func (m *model) append() {
	k := 1 + m.rng.IntN(30)
	all := make([][]byte, 0, k)
	var size int64
	for i := range k {
		all = append(all, []byte(payload(m.next+i)))
		size += recordHeader + int64(len(all[i]))
	}
	first, err := m.Append(all...)
	if err != nil {
		if m.Stats().TailBytes+size <= m.o.TailBytes {
			m.t.Fatalf("append refused although there was room: %v", err)
		}
		m.dropTail(k)
		return
	}
	if first <= m.highest {
		m.t.Fatalf("sequence %d was handed out before, up to %d", first, m.highest)
	}
	for i := range k {
		m.records = append(m.records, modelRecord{first + uint64(i), m.next})
		m.next++
		m.highest = first + uint64(i)
	}
}

// visible returns the records that r would get from its position on.
func (m *model) visible(r *modelReader) []modelRecord {
	seen := m.records[:m.flushed]
	if m.o.ReadUnflushed {
		seen = m.records
	}
	from := max(r.pos, r.acked+1)
	return seen[m.index(seen, from):]
}

func (m *model) index(recs []modelRecord, seq uint64) int {
	i, _ := slices.BinarySearchFunc(recs, seq, func(r modelRecord, seq uint64) int {
		if r.seq < seq {
			return -1
		}
		return 1
	})
	return i
}

func (m *model) readNext(r *modelReader) {
	most := 1 + m.rng.IntN(60)
	recs, err := r.TryNext(nil, most, 1+m.rng.IntN(20000))
	if err != nil {
		m.t.Fatal(err)
	}
	want := m.visible(r)
	if len(recs) > most || len(recs) > len(want) || len(recs) == 0 && len(want) > 0 {
		m.t.Fatalf("reader %s got %d records, at most %d, of %d", r.Name(), len(recs), most, len(want))
	}
	for i, rec := range recs {
		if rec.Seq != want[i].seq || number(m.t, rec) != want[i].n {
			m.t.Fatalf("reader %s got %d, want %v", r.Name(), rec.Seq, want[i])
		}
		r.pos = rec.Seq + 1
		r.handed = max(r.handed, rec.Seq)
	}
}

func (m *model) pushOut() {
	upTo := uint64(0)
	switch {
	case m.o.Dir == "" && len(m.tail) > 0:
		upTo = m.tail[0].last()
	case m.o.Dir != "" && len(m.segs) > 0:
		upTo = m.segs[0].last()
	}
	lost, err := m.PushOut(0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.lose(0, upTo, lost)
}

func (m *model) dropTail(n int) {
	if len(m.tail) == 0 || n == 0 {
		return
	}
	first := m.tail[0].first
	i := m.index(m.records, first)
	upTo := m.records[min(i+n, len(m.records))-1].seq
	m.lose(first, upTo, m.DropTailOldest(n))
}

// lose takes [first, upTo] out of the model and compares who lost how many.
func (m *model) lose(first, upTo uint64, got map[string]int) {
	want := map[string]int{}
	for name, r := range m.readers {
		older := false // one that the reader still has to get
		for _, rec := range m.records {
			if rec.seq >= first && rec.seq <= upTo && rec.seq > r.acked {
				want[name]++
			}
			older = older || rec.seq > r.acked && rec.seq < first
		}
		if want[name] > 0 && !older {
			r.acked = upTo
			r.handed = max(r.handed, upTo)
		}
	}
	if !maps.Equal(got, want) {
		m.t.Fatalf("lost %v, want %v", got, want)
	}
	lo, hi := m.index(m.records, first), m.index(m.records, upTo+1)
	if hi > lo {
		m.records = slices.Delete(m.records, lo, hi)
		m.flushed -= max(0, min(m.flushed, hi)-lo)
	}
}

func (m *model) restart() {
	if m.o.Dir == "" {
		return
	}
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.flushed, m.safe = len(m.records), m.highest
	acked := map[string]uint64{}
	for name, r := range m.readers {
		acked[name] = r.acked
	}
	m.start(m.t)
	for name, r := range m.readers {
		if r.acked != acked[name] {
			m.t.Fatalf("reader %s continues behind %d, acknowledged %d", name, r.acked, acked[name])
		}
	}
}

// crash goes on with a copy of the directory as it is now.
func (m *model) crash() {
	if m.o.Dir == "" {
		return
	}
	m.dirs++
	dir := filepath.Join(m.t.TempDir(), "copy")
	copyDir(m.t, m.o.Dir, dir)
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.o.Dir = dir
	m.records = m.records[:m.flushed]
	acked := map[string]uint64{}
	for name, r := range m.readers {
		acked[name] = r.acked
	}
	m.start(m.t)
	if !m.o.ReadUnflushed {
		m.highest = m.safe // the others were never seen
	}
	for name, r := range m.readers {
		if r.acked > acked[name] {
			m.t.Fatalf("reader %s continues behind %d, acknowledged %d", name, r.acked, acked[name])
		}
		// What a reader has given up or acknowledged may have gone with its
		// segment, although its cursor is older; nothing else may.
		r.pos = r.acked + 1
	}
}

func (m *model) check() {
	for _, s := range m.Stats().Readers {
		r := m.readers[s.Name]
		want := uint64(len(m.records) - m.index(m.records, r.acked+1))
		if s.Acked != r.acked || s.Pending != want {
			m.t.Fatalf("reader %s: acked %d, %d pending; want %d, %d", s.Name, s.Acked, s.Pending, r.acked, want)
		}
		if (want == 0) != s.Oldest.IsZero() {
			m.t.Fatalf("reader %s: %d pending, oldest %v", s.Name, want, s.Oldest)
		}
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
