package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowLine lets bytes through at a rate. What holds is that of a pipe, nothing,
// or, behind buffer, all of it.
type slowLine struct {
	net.Conn
	perSecond int
}

func (l slowLine) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		chunk := p[n:min(len(p), n+1024)]
		time.Sleep(time.Duration(len(chunk)) * time.Second / time.Duration(l.perSecond))
		var m int
		m, err = l.Conn.Write(chunk)
		n += m
	}
	return n, err
}

// slowPeers joins a client and a server by a line that carries so many bytes a
// second in each direction. With deep buffers a write returns at once, as
// one does that the kernel takes whole.
func slowPeers(t *testing.T, perSecond int, deep bool, h Handler) (client net.Conn, account *Account, result chan error) {
	near, far := net.Pipe()
	client, server := net.Conn(slowLine{near, perSecond}), net.Conn(slowLine{far, perSecond})
	if deep {
		client, server = buffer(client), buffer(server)
	}
	account, result = NewBudget(0, nil).Open("web1"), make(chan error, 1)
	go func() {
		result <- Serve(t.Context(), server, ServerConfig{Version: "test", Account: account}, h)
		server.Close()
	}()
	t.Cleanup(func() { client.Close() })
	return client, account, result
}

// A result of the largest size, others behind it, and, at a rate of which the
// documentation speaks, a smaller batch.
func TestASlowLineGetsThrough(t *testing.T) {
	for _, c := range []struct{ perSecond, size int }{{20000, 1 << 20}, {3000, 512 << 10}, {700, 64 << 10}} {
		for _, deep := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				h := &taker{}
				conn, account, result := slowPeers(t, c.perSecond, deep, h)
				waits := 0
				s := connect(t, conn, nil, func(string) { waits++ })
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for n := uint64(1); n <= 3; n++ {
						b := batchOf(n)
						b.Entries[0].Result = make([]byte, c.size)
						if err := s.Send(b); err != nil {
							t.Errorf("%+v, deep buffers %v: send batch %d: %v", c, deep, n, err)
						}
					}
				}()
				begin := time.Now()
				for last := uint64(0); last < 3; {
					ack, err := s.Receive(t.Context())
					if err != nil {
						t.Errorf("%+v, deep buffers %v: after %v: %v", c, deep, time.Since(begin), err)
						break
					}
					last = ack.Sequence
				}
				if waits < int(time.Since(begin)/WaitInterval)*3/4 {
					t.Errorf("%+v, deep buffers %v: %d WAITs in %v", c, deep, waits, time.Since(begin))
				}
				<-sent
				s.Close()
				if err := <-result; err != nil {
					t.Errorf("%+v, deep buffers %v: Serve returned %v", c, deep, err)
				}
				repaid(t, fmt.Sprint(c), account)
			})
		}
	}
}

// talker rejects with a long text, so that the ACK is long.
type talker struct{ taker }

func (h *talker) Submit(_ context.Context, b Batch) (rejections []Rejection, err error) {
	for _, e := range b.Entries {
		rejections = append(rejections, Rejection{Sequence: e.Sequence, Reason: Denied, Text: strings.Repeat("no", MaxText/2)})
	}
	return rejections, nil
}

func TestALongAckGetsThroughASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _, _ := slowPeers(t, 10000, false, &talker{})
		s := connect(t, conn, nil, nil)
		var b Batch
		for n := range uint64(1000) {
			b.Entries = append(b.Entries, Entry{Sequence: n + 1, Result: []byte("x")})
		}
		b.Instance = goldenInstance
		if err := s.Send(b); err != nil {
			t.Fatal(err)
		}
		if ack, err := s.Receive(t.Context()); err != nil || len(ack.Rejections) != 1000 {
			t.Errorf("%d rejections, %v", len(ack.Rejections), err)
		}
	})
}

// Less than a Part in BodyTimeout is no progress, on either side.
func TestATrickleCostsABoundedTime(t *testing.T) {
	for name, perSecond := range map[string]int{"a byte a second": 1, "just too slow": Part/int(BodyTimeout/time.Second) - 10} {
		synctest.Test(t, func(t *testing.T) {
			conn, account, result := slowPeers(t, 1<<30, false, &taker{})
			s := connect(t, conn, nil, nil)
			go receiveAll(t.Context(), s)
			begin := time.Now()
			b := batchOf(1)
			b.Entries[0].Result = make([]byte, 1<<20)
			trickle, trickled := slowLine{conn, perSecond}, make(chan struct{})
			go func() {
				defer close(trickled)
				for frame := appendFrame(nil, TypeBatch, &b); len(frame) > 0; frame = frame[1:] {
					if _, err := trickle.Write(frame[:1]); err != nil {
						return
					}
				}
			}()
			var stalled *StalledError
			if err := <-result; !errors.As(err, &stalled) {
				t.Errorf("%s: Serve returned %v", name, err)
			}
			if took := time.Since(begin); took > BodyTimeout+10*time.Second {
				t.Errorf("%s: ended after %v", name, took)
			}
			conn.Close()
			<-trickled
			repaid(t, name, account)
		})
	}
}

// A server that takes nothing and says nothing is given up, however much of a
// batch waits to be written, and however many more are asked for.
func TestAServerThatReadsNoMoreIsGivenUp(t *testing.T) {
	for name, deep := range map[string]bool{"shallow": false, "deep": true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			go far.Write(appendFrame(nil, TypeWelcome, &Welcome{MaxFrame: MaxFrame, Window: Window}))
			go io.CopyN(io.Discard, far, 100) // the HELLO, and no more
			conn := net.Conn(near)
			if deep {
				conn = buffer(near)
			}
			defer conn.Close()
			s := connect(t, conn, nil, nil)
			begin, over := time.Now(), make(chan struct{})
			go func() {
				defer close(over)
				for n := uint64(1); s.Send(batchOf(n)) == nil; n++ {
					time.Sleep(time.Second)
				}
			}()
			if _, err := s.Receive(t.Context()); err == nil || time.Since(begin) > time.Minute {
				t.Errorf("%s: %v after %v", name, err, time.Since(begin))
			}
			s.Hurry()
			<-over
		})
	}
}
