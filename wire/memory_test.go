package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serveFor begins to serve a client of a budget and returns the client's end,
// with nothing between it and the server.
func serveFor(t *testing.T, b *Budget, name string, h Handler) net.Conn {
	client, server := net.Pipe()
	ctx, stop := context.WithCancelCause(t.Context())
	account := b.Open(name)
	go func() {
		Serve(ctx, server, ServerConfig{Version: "test", Account: account}, h)
		server.Close()
		account.Close()
	}()
	t.Cleanup(func() { stop(nil); client.Close() })
	return client
}

func TestTooManyResultsInABatch(t *testing.T) {
	b := Batch{Instance: goldenInstance}
	for n := range MaxEntries + 1 {
		b.Entries = append(b.Entries, Entry{Sequence: uint64(n + 1)})
	}
	var bad *ProtocolError
	if _, err := DecodeBatch(b.Append(nil)); !errors.As(err, &bad) {
		t.Errorf("one too many: %v", err)
	}
	b.Entries = b.Entries[:MaxEntries]
	if got, err := DecodeBatch(b.Append(nil)); err != nil || len(got.Entries) != MaxEntries || cap(got.Entries) != MaxEntries {
		t.Errorf("as many as may be: %d with room for %d, %v", len(got.Entries), cap(got.Entries), err)
	}
}

// A frame of 40 bytes takes ten times as much until it is in the journal: a
// window full of such frames is paid for.
func TestShortBatchesInTheQueueArePaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, h := NewBudget(0, nil), &taker{hold: make(chan struct{})}
		conn := serveFor(t, budget, "web1", h)
		go io.Copy(io.Discard, conn)
		const frames = 8000 // far from filling the window
		var written atomic.Int64
		done := make(chan error, 1)
		go func() {
			_, err := conn.Write(appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance}))
			for n := 0; n < frames && err == nil; n++ {
				b := Batch{Instance: Instance{byte(n), byte(n >> 8), byte(n >> 16), 1}, Entries: []Entry{{Sequence: uint64(n + 1), Result: []byte("result")}}}
				_, err = conn.Write(appendFrame(nil, TypeBatch, &b))
				written.Add(1)
			}
			done <- err
		}()
		synctest.Wait()
		if most := budget.most[decodedPool] / (batchCost + entryCost); written.Load() > most {
			t.Errorf("%d batches wait in the memory of %d", written.Load(), most)
		}
		close(h.hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(h.sequences()); n != frames {
			t.Errorf("%d of %d arrived", n, frames)
		}
		if !budget.all[decodedPool].TryAcquire(LeastBudget / 4) {
			t.Error("the session kept memory")
		}
	})
}

// Peers of one client that announce much and send little stand in the way of
// that client alone.
func TestOneClientTakesAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan string, 1000)
		budget := NewBudget(256<<20, func(client string, own bool) { told <- fmt.Sprint(client, " ", own) })
		for range 40 {
			bad := serveFor(t, budget, "bad", &taker{})
			go io.Copy(io.Discard, bad)
			go func() {
				bad.Write(appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance}))
				bad.Write(rawFrame(TypeBatch, MaxFrame, make([]byte, firstPart+1)))
			}()
		}
		synctest.Wait()
		time.Sleep(BodyTimeout - 2*time.Second)
		if len(told) == 0 {
			t.Error("nobody is told")
		}
		for range len(told) {
			if said := <-told; said != "bad true" {
				t.Errorf("told %q", said)
			}
		}
		h := &taker{}
		conn := buffer(serveFor(t, budget, "good", h))
		defer conn.Close()
		s := connect(t, conn, nil, nil)
		b := batchOf(1)
		b.Entries[0].Result = make([]byte, 3*firstPart)
		begin := time.Now()
		if err := s.Send(b); err != nil {
			t.Fatal(err)
		}
		if ack, err := s.Receive(t.Context()); err != nil || ack.Sequence != 1 || time.Since(begin) > time.Second {
			t.Errorf("after %v: %+v, %v", time.Since(begin), ack, err)
		}
	})
}

func TestAnAccountIsOneForAllConnections(t *testing.T) {
	budget := NewBudget(0, nil)
	a, b := budget.Open("web1"), budget.Open("web1")
	release, err := a.Take(t.Context(), 0, MaxTake)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("given up by the test")
	cancel(why)
	if _, err := b.Take(ctx, smallTake, 1); !errors.Is(err, why) {
		t.Errorf("beyond the share: %v", err)
	}
	if _, err := b.Take(ctx, 0, smallTake); err != nil {
		t.Errorf("of another purse: %v", err)
	}
	release()
	a.Close()
	if budget.Open("web1") != b {
		t.Error("an account that is in use was forgotten")
	}
	b.Close()
	b.Close()
	if len(budget.accounts) != 0 {
		t.Errorf("%d accounts of nobody", len(budget.accounts))
	}
}
