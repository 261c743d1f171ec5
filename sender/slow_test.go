package sender

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire"
)

// slowLine lets bytes through at a rate.
type slowLine struct {
	net.Conn
	perSecond int
}

func (l slowLine) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		chunk := b[n:min(len(b), n+1000)]
		time.Sleep(time.Duration(len(chunk)) * time.Second / time.Duration(l.perSecond))
		var m int
		m, err = l.Conn.Write(chunk)
		n += m
	}
	return n, err
}

// bySize holds to maxBytes, as the journal's reader does.
type bySize struct{ *queue }

func (q bySize) Next(ctx context.Context, dst []Item, maxItems, maxBytes int) ([]Item, error) {
	all, err := q.queue.Next(ctx, dst, maxItems, maxBytes)
	if err != nil {
		return nil, err
	}
	n, size := 0, 0
	for n < len(all) && (n == 0 || size+len(all[n].Result) <= maxBytes) {
		size += len(all[n].Result)
		n++
	}
	q.mu.Lock()
	q.next -= len(all) - n
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
	return all[:n], nil
}

// A backlog of 3 MB and a result of the largest size behind it, at 20 kB/s.
func TestABacklogGetsThroughASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, p := newQueue(), &peer{t: t}
		d := New(quiet(0), bySize{q})
		for range 3000 {
			q.add(strings.Repeat("x", 1000))
		}
		q.add(strings.Repeat("x", 1<<20))
		near, far := net.Pipe()
		go func() {
			wire.Serve(t.Context(), slowLine{far, 20000}, wire.ServerConfig{}, p)
			far.Close()
		}()
		line := slowLine{near, 20000}
		s, err := wire.Connect(t.Context(), line, wire.Hello{Instance: wire.Instance{1}}, nil, d.waiting)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() {
			_, err := d.deliver(t.Context(), line, s)
			over <- err
		}()
		time.Sleep(5 * time.Minute) // 4.05 MB take 3 min 22 s
		if q.ackedUpTo() != 3001 {
			t.Errorf("acknowledged up to %d", q.ackedUpTo())
		}
		time.Sleep(10 * time.Minute)
		select {
		case err := <-over:
			t.Errorf("the connection ended: %v", err)
		default:
			far.Close()
			<-over
		}
	})
}

// A line that breaks before a whole large batch is through: smaller ones get
// through, and once they do, batches grow again.
func TestBatchesShrinkWhereTheLineBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, p := newQueue(), &peer{t: t}
		d := New(quiet(0), bySize{q})
		for range 3000 {
			q.add(strings.Repeat("x", 1000))
		}
		var sizes []int64
		for q.ackedUpTo() == 0 && len(sizes) < 20 {
			sizes = append(sizes, d.bytes.Load())
			near, far := net.Pipe()
			line := &shortLived{Conn: near, left: 300 << 10}
			go func() {
				wire.Serve(t.Context(), far, wire.ServerConfig{}, p)
				far.Close()
			}()
			s, err := wire.Connect(t.Context(), line, wire.Hello{Instance: wire.Instance{1}}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.deliver(t.Context(), line, s); err == nil {
				t.Error("the connection did not break")
			}
		}
		if len(sizes) != 3 || sizes[2] != mostBytes/4 || d.bytes.Load() <= sizes[2] {
			t.Errorf("batches of %v bytes, then %d; acknowledged up to %d", sizes, d.bytes.Load(), q.ackedUpTo())
		}
	})
}

// shortLived is a connection that breaks after so many bytes, but not before
// the answer to those that came through.
type shortLived struct {
	net.Conn
	left int
}

func (c *shortLived) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		time.Sleep(time.Second)
		c.Close()
		return 0, errors.New("broken by the test")
	}
	return c.Conn.Write(b)
}
