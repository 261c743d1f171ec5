//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"bytes"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// numberDigits is how long the number is that ends each line of the load.
const numberDigits = 12

// arrivals is a named pipe in the place of a core's. It is read as fast as can
// be, and each line's number is crossed off.
type arrivals struct {
	b    testing.TB
	path string
	pipe *os.File
	// Of the goroutine that begins turns.
	next    uint64 // the first number that no turn has
	reading sync.WaitGroup

	mu   sync.Mutex
	turn *turn // the running one
}

// turn is a row of numbered results that must arrive, each once.
type turn struct {
	first uint64
	begun time.Time
	done  chan struct{} // closed when all arrived

	sent []atomic.Int64 // for each number, when it was handed over, since begun; nil: not asked for

	// Of the goroutine that reads, until done.
	seen    []bool
	missing int
	twice   int
	strange int             // lines whose number is not of this turn
	late    []time.Duration // of each number, with sent
	ended   time.Time       // when the last one did
}

// newArrivals makes the pipe.
func newArrivals(b testing.TB, path string) *arrivals {
	b.Helper()
	a := &arrivals{b: b, path: path}
	if err := syscall.Mkfifo(a.path, 0o600); err != nil {
		b.Fatal(err)
	}
	pipe, err := os.OpenFile(a.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	a.pipe = pipe
	b.Cleanup(func() { pipe.Close(); a.reading.Wait() })
	return a
}

// begin expects n results. Those that are timed tell later how long each took.
func (a *arrivals) begin(n int, timed bool) *turn {
	t := &turn{first: a.next, seen: make([]bool, n), missing: n, done: make(chan struct{}), begun: time.Now()}
	if timed {
		t.sent, t.late = make([]atomic.Int64, n), make([]time.Duration, n)
	}
	if a.next == 0 { // what came before would be lost
		defer a.reading.Go(a.read)
	}
	a.next += uint64(n)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn = t
	return t
}

// cut tells that no more than the first n results of a turn were sent.
func (a *arrivals) cut(t *turn, n int) *turn {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.missing -= len(t.seen) - n
	t.seen = t.seen[:n]
	if t.missing == 0 {
		t.ended = time.Now()
		close(t.done)
	}
	return t
}

// read crosses off until the pipe is closed.
func (a *arrivals) read() {
	buf := make([]byte, 64<<10)
	have := 0
	for {
		n, err := a.pipe.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		a.mu.Lock()
		left := a.turn.take(buf[:have], time.Now())
		a.mu.Unlock()
		have = copy(buf, left)
	}
}

// take crosses off all whole lines and returns what is behind them.
func (t *turn) take(b []byte, now time.Time) []byte {
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return b
		}
		line := b[:end]
		number, ok := parseNumber(line)
		b = b[end+1:]
		if marker, is := rig.MarkerIn(string(line)); !ok && is {
			os.Remove(marker) // as a core does
			continue
		}
		if !ok || number < t.first || number-t.first >= uint64(len(t.seen)) {
			t.strange++
			continue
		}
		t.cross(int(number-t.first), now)
	}
}

func (t *turn) cross(i int, now time.Time) {
	if t.seen[i] {
		t.twice++
		return
	}
	t.seen[i] = true
	if t.sent != nil {
		t.late[i] = now.Sub(t.begun) - time.Duration(t.sent[i].Load())
	}
	t.ended = now
	if t.missing--; t.missing == 0 {
		close(t.done)
	}
}

func parseNumber(line []byte) (n uint64, ok bool) {
	if len(line) < numberDigits {
		return 0, false
	}
	for _, c := range line[len(line)-numberDigits:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

// await waits until all arrived, and fails the benchmark if they do not within
// limit, or if any came twice.
func (a *arrivals) await(t *turn, limit time.Duration) {
	a.b.Helper()
	select {
	case <-t.done:
	case <-time.After(limit):
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.missing > 0 || t.twice > 0 || t.strange > 0 {
		a.b.Fatalf("of %d results %d did not arrive within %v, %d came more than once, and %d lines were of no result (%d is the first missing)",
			len(t.seen), t.missing, limit, t.twice, t.strange, slices.Index(t.seen, false))
	}
}

// settle waits until all arrived, or nothing did for a while, and returns how
// many are missing: for a sender that is told of no loss.
func (a *arrivals) settle(t *turn, quiet time.Duration) (lost int) {
	for before := len(t.seen); ; {
		select {
		case <-t.done:
			return 0
		case <-time.After(quiet):
		}
		a.mu.Lock()
		lost = t.missing
		a.mu.Unlock()
		if lost == before {
			return lost
		}
		before = lost
	}
}

// came is how many lines there were since the turn began, whatever their
// numbers.
func (a *arrivals) came(t *turn) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(t.seen) - t.missing + t.twice + t.strange
}

// rate is how many results a second arrived, from the turn's begin to the last
// one's end.
func (t *turn) rate() float64 {
	return float64(len(t.seen)-t.missing) / t.ended.Sub(t.begun).Seconds()
}
