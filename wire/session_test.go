package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// taker is a Handler that keeps what it is given.
type taker struct {
	hold chan struct{} // nil, or Submit waits for it to close

	mu      sync.Mutex
	hellos  []Hello
	batches []Batch
	refuse  error
	last    uint64
}

func (h *taker) Hello(m Hello) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hellos = append(h.hellos, m)
	return h.last, h.refuse
}

func (h *taker) Submit(ctx context.Context, b Batch) (rejections []Rejection, err error) {
	if h.hold != nil {
		select {
		case <-h.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	copied := Batch{Instance: b.Instance}
	for _, e := range b.Entries {
		copied.Entries = append(copied.Entries, Entry{Sequence: e.Sequence, Result: append([]byte(nil), e.Result...)})
		if string(e.Result) == "bad" {
			rejections = append(rejections, Rejection{Sequence: e.Sequence, Reason: Malformed, Text: "bad"})
		}
	}
	h.batches = append(h.batches, copied)
	return rejections, nil
}

func (h *taker) Waiting() string { return "the test holds it" }

func (h *taker) sequences() (all []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batches {
		for _, e := range b.Entries {
			all = append(all, e.Sequence)
		}
	}
	return all
}

// buffered gives a pipe's end what a socket has: room for what the other side
// did not read yet.
type buffered struct {
	net.Conn
	out   chan []byte
	ended chan struct{}
	once  sync.Once
}

func buffer(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, out: make(chan []byte, 1000), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		defer conn.Close()
		for p := range b.out {
			if _, err := conn.Write(p); err != nil {
				return
			}
		}
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	select {
	case b.out <- append([]byte(nil), p...):
		return len(p), nil
	case <-b.ended:
		return 0, io.ErrClosedPipe
	}
}

func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// Close lets what was written arrive.
func (b *buffered) Close() error {
	b.once.Do(func() { close(b.out) })
	return nil
}

// pipes begins to serve h and returns the client's end, a way to stop the
// server with a cause, and what Serve returned.
func pipes(t *testing.T, h Handler) (client net.Conn, stop context.CancelCauseFunc, result chan error) {
	near, far := net.Pipe()
	client, server := buffer(near), buffer(far)
	ctx, stop := context.WithCancelCause(t.Context())
	result = make(chan error, 1)
	go func() {
		result <- Serve(ctx, server, ServerConfig{Version: "test", Account: NewBudget(0, nil).Open("web1")}, h)
		server.Close()
	}()
	t.Cleanup(func() { stop(nil); client.Close() })
	return client, stop, result
}

func batchOf(sequences ...uint64) Batch {
	b := Batch{Instance: goldenInstance}
	for _, s := range sequences {
		b.Entries = append(b.Entries, Entry{Sequence: s, Result: []byte(fmt.Sprint("result ", s))})
	}
	return b
}

func connect(t *testing.T, conn net.Conn, first *Batch, waiting func(string)) *Session {
	t.Helper()
	s, err := Connect(t.Context(), conn, Hello{Instance: goldenInstance, Version: "test", Host: "h"}, first, waiting)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessionDeliversAndAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{}
		conn, _, result := pipes(t, h)
		first := batchOf(1, 2)
		s := connect(t, conn, &first, nil)
		var acks []Ack
		received := make(chan struct{})
		go func() {
			defer close(received)
			for len(acks) == 0 || acks[len(acks)-1].Sequence < 900 {
				ack, err := s.Receive(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				acks = append(acks, ack)
			}
		}()
		bad := Batch{Instance: goldenInstance, Entries: []Entry{{Sequence: 5, Result: []byte("bad")}, {Sequence: 6}}}
		for _, b := range []Batch{bad, batchOf(7, 8), batchOf(900)} {
			if err := s.Send(b); err != nil {
				t.Fatal(err)
			}
		}
		<-received
		if got := fmt.Sprint(h.sequences()); got != "[1 2 5 6 7 8 900]" {
			t.Errorf("arrived: %s", got)
		}
		var rejected []Rejection
		for _, a := range acks {
			rejected = append(rejected, a.Rejections...)
		}
		if len(rejected) != 1 || rejected[0].Sequence != 5 || rejected[0].Reason != Malformed {
			t.Errorf("rejected: %+v", rejected)
		}
		if s.InFlight() != 0 {
			t.Errorf("%d batches in flight after the last ACK", s.InFlight())
		}
		s.Close()
		if err := <-result; err != nil {
			t.Errorf("an orderly end gave %v", err)
		}
	})
}

func TestServerSaysWhyItTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{hold: make(chan struct{})}
		conn, _, _ := pipes(t, h)
		waits := make(chan string, 100)
		first := batchOf(1)
		s := connect(t, conn, &first, func(text string) { waits <- text })
		begin := time.Now()
		go func() {
			time.Sleep(10 * time.Minute) // fake time: a journal that stays full
			close(h.hold)
		}()
		if ack, err := s.Receive(t.Context()); err != nil || ack.Sequence != 1 {
			t.Fatalf("after %v: %+v, %v", time.Since(begin), ack, err)
		}
		if n := len(waits); n < 38 || n > 40 {
			t.Errorf("%d WAITs in ten minutes", n)
		}
		if text := <-waits; text != "the test holds it" {
			t.Errorf("WAIT says %q", text)
		}
	})
}

func TestIdleSessionLivesOnPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _, result := pipes(t, &taker{})
		s := connect(t, conn, nil, nil)
		ended := make(chan error, 1)
		go func() { _, err := s.Receive(t.Context()); ended <- err }()
		for range 10 {
			time.Sleep(PingInterval)
			if _, err := s.Ping(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the session ended: %v", err)
		default:
		}
		begin := time.Now() // now the client falls silent
		var bye *ByeError
		if err := <-ended; !errors.As(err, &bye) || bye.Reason != Idle {
			t.Errorf("the client heard %v", err)
		}
		if d := time.Since(begin); d > IdleTimeout {
			t.Errorf("noticed after %v", d)
		}
		if err := <-result; err == nil {
			t.Error("Serve took silence for an orderly end")
		}
	})
}

func TestClientNoticesADeadServer(t *testing.T) {
	for name, first := range map[string]*Batch{"no ACK": {Instance: goldenInstance, Entries: batchOf(1).Entries}, "no PONG": nil} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go func() {
				welcome := appendFrame(nil, TypeWelcome, &Welcome{MaxFrame: MaxFrame, Window: Window})
				server.Write(welcome)
			}()
			go io.Copy(io.Discard, server)
			s := connect(t, client, first, nil)
			if first == nil {
				if _, err := s.Ping(); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			_, err := s.Receive(t.Context())
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v", name, err)
			}
			if d := time.Since(begin); d > time.Minute {
				t.Errorf("%s: noticed after %v", name, d)
			}
		})
	}
}

func TestServerTellsWhyItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, stop, _ := pipes(t, &taker{})
		s := connect(t, conn, nil, nil)
		go stop(&ByeError{NotListed, "removed from the directory"})
		_, err := s.Receive(t.Context())
		var bye *ByeError
		if !errors.As(err, &bye) || bye.Reason != NotListed || !strings.Contains(bye.Text, "removed") {
			t.Errorf("the client heard %v", err)
		}
	})
}

func TestHandlerMayRefuseAHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _, _ := pipes(t, &taker{refuse: &ByeError{BadPolicy, "web1.json: line 3"}})
		_, err := Connect(t.Context(), conn, Hello{Instance: goldenInstance}, nil, nil)
		var bye *ByeError
		if !errors.As(err, &bye) || bye.Reason != BadPolicy {
			t.Errorf("the client heard %v", err)
		}
	})
}

func TestWindowHoldsTheClientBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{hold: make(chan struct{})}
		conn, _, _ := pipes(t, h)
		s := connect(t, conn, nil, nil)
		go func() {
			for {
				if _, err := s.Receive(t.Context()); err != nil {
					return
				}
			}
		}()
		var sent int
		done := make(chan error, 1)
		go func() {
			for i := range 10 {
				b := batchOf(uint64(i + 1))
				b.Entries[0].Result = make([]byte, 1<<20)
				if err := s.Send(b); err != nil {
					done <- err
					return
				}
				sent++
			}
			done <- nil
		}()
		synctest.Wait()
		if sent > 4 {
			t.Errorf("%d MiB went out over a window of 4", sent)
		}
		close(h.hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(h.sequences()); n != 10 {
			t.Errorf("%d of 10 arrived", n)
		}
	})
}

func TestStalledSubmitEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{hold: make(chan struct{})}
		conn, _, result := pipes(t, h)
		first := batchOf(1)
		connect(t, conn, &first, nil)
		conn.Close()
		if err := <-result; err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("Serve returned %v", err)
		}
		if n := len(h.sequences()); n != 0 {
			t.Errorf("%d results were taken after the client left", n)
		}
	})
}
