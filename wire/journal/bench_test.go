package journal

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

const benchPayload = 200

// BenchmarkFlush stores batches of records durably, here and in bbolt in turns,
// so that both meet the same disk. The rates are records a second.
func BenchmarkFlush(b *testing.B) {
	for _, batch := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			j, err := Open(Options{Dir: filepath.Join(b.TempDir(), "journal")})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			db, err := bolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			payloads := make([][]byte, batch)
			for i := range payloads {
				payloads[i] = make([]byte, benchPayload)
			}
			var ours, theirs time.Duration
			b.ResetTimer()
			for range b.N {
				begin := time.Now()
				if _, err := j.Append(payloads...); err != nil {
					b.Fatal(err)
				}
				if err := j.Flush(); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				if err := db.Update(func(tx *bolt.Tx) error { return putAll(tx, payloads) }); err != nil {
					b.Fatal(err)
				}
				ours += middle.Sub(begin)
				theirs += time.Since(middle)
			}
			records := float64(b.N * batch)
			b.ReportMetric(records/ours.Seconds(), "journal-rec/s")
			b.ReportMetric(records/theirs.Seconds(), "bbolt-rec/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
		})
	}
}

func putAll(tx *bolt.Tx, payloads [][]byte) error {
	bucket, err := tx.CreateBucketIfNotExists([]byte("records"))
	if err != nil {
		return err
	}
	bucket.FillPercent = 1 // as it is for keys that only rise
	for _, p := range payloads {
		seq, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		if err := bucket.Put(binary.BigEndian.AppendUint64(nil, seq), p); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a journal of n records without waiting for the disk.
func fill(tb testing.TB, dir string, n int) {
	tb.Helper()
	j, err := Open(Options{Dir: dir, NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	payloads := make([][]byte, 1000)
	for i := range payloads {
		payloads[i] = make([]byte, benchPayload)
	}
	for range n / len(payloads) {
		if _, err := j.Append(payloads...); err != nil {
			tb.Fatal(err)
		}
		if err := j.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkOpen opens a journal of a million records.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	fill(b, dir, 1_000_000)
	for name, recovered := range map[string]func(Record){"plain": nil, "Recovered": func(Record) {}} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				j, err := Open(Options{Dir: dir, Recovered: recovered})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := j.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkReadAck reads a million records at rest and acknowledges each.
func BenchmarkReadAck(b *testing.B) {
	dir := b.TempDir()
	const total = 1_000_000
	fill(b, dir, total)
	j, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	var acking time.Duration
	b.ResetTimer()
	for i := range b.N {
		r, err := j.Reader(fmt.Sprint(i), Oldest)
		if err != nil {
			b.Fatal(err)
		}
		var recs []Record
		for read := 0; read < total; read += len(recs) {
			if recs, err = r.TryNext(recs, 1000, 1<<20); err != nil {
				b.Fatal(err)
			}
			begin := time.Now()
			for _, rec := range recs {
				r.Ack(rec.Seq)
			}
			acking += time.Since(begin)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(total*float64(b.N)/b.Elapsed().Seconds(), "rec/s")
	b.ReportMetric(float64(acking.Nanoseconds())/float64(b.N)/total, "ns/ack")
}

// TestMemoryDoesNotGrowWithTheJournal opens and reads a small and a large one.
func TestMemoryDoesNotGrowWithTheJournal(t *testing.T) {
	allocated := func(records int) uint64 {
		dir := t.TempDir()
		fill(t, dir, records)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := 0
		h := open(t, Options{Dir: dir, NoSync: true, Recovered: func(Record) { n++ }})
		r := h.reader("a", Oldest)
		read := 0
		recs := make([]Record, 0, 1000)
		for {
			var err error
			if recs, err = r.TryNext(recs, cap(recs), 1<<20); err != nil {
				t.Fatal(err)
			}
			if len(recs) == 0 {
				break
			}
			read += len(recs)
		}
		runtime.ReadMemStats(&after)
		if n != records || read != records {
			t.Fatalf("recovered %d, read %d of %d", n, read, records)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(10_000), allocated(200_000)
	// Everything allocated, not only what stays: 40 MB more on disk.
	if large > small+1<<20 {
		t.Fatalf("%d bytes allocated for 200,000 records, %d for 10,000", large, small)
	}
}
