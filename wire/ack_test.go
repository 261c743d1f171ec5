package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// refuser rejects everything, with the longest text, once hold is closed.
type refuser struct{ hold chan struct{} }

func (h *refuser) Hello(Hello) (uint64, error) { return 0, nil }
func (h *refuser) Waiting() string             { return "" }

func (h *refuser) Submit(ctx context.Context, b Batch) ([]Rejection, error) {
	<-h.hold
	var all []Rejection
	for _, e := range b.Entries {
		all = append(all, Rejection{Sequence: e.Sequence, Reason: Denied, Text: strings.Repeat("x", MaxText+1)})
	}
	return all, ctx.Err()
}

// Batches that wait share an ACK, and may be rejected to the last result.
func TestAnAckOfRejectionsKeepsWithinItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &refuser{make(chan struct{})}
		conn := buffer(serveFor(t, NewBudget(1<<30, nil), "web1", h))
		defer conn.Close()
		s := connect(t, conn, nil, nil)
		const batches = 25
		go func() {
			sequence := uint64(1 << 60)
			for range batches {
				b := Batch{Instance: goldenInstance}
				for range MaxEntries {
					sequence++
					b.Entries = append(b.Entries, Entry{Sequence: sequence})
				}
				if err := s.Send(b); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		synctest.Wait()
		close(h.hold)
		rejected, acks := 0, 0
		for rejected < batches*MaxEntries {
			ack, err := s.Receive(t.Context())
			if err != nil {
				t.Fatalf("after %d rejections: %v", rejected, err)
			}
			if len(ack.Rejections[0].Text) != MaxText {
				t.Errorf("the first rejection says %d bytes", len(ack.Rejections[0].Text))
			}
			rejected += len(ack.Rejections)
			acks++
		}
		if acks == batches {
			t.Error("no batches shared an ACK")
		}
	})
}

// An ACK of two million rejections fits into its frame, and would take a hundred
// times as much memory in the client.
func TestAServerRejectsNoMoreThanItGot(t *testing.T) {
	ack := Ack{Sequence: 2, Rejections: []Rejection{{Sequence: 1}, {Sequence: 2}, {}}}
	for n := range len(ack.Rejections) {
		rejecting := Ack{Sequence: 2, Rejections: ack.Rejections[:n+1]}
		_, err := DecodeAck(rejecting.Append(nil), 2)
		if (err == nil) != (n < 2) {
			t.Errorf("%d rejections of 2 results: %v", n+1, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		first := batchOf(1, 2)
		go func() {
			server.Write(appendFrame(nil, TypeWelcome, &Welcome{MaxFrame: MaxFrame, Window: Window}))
			hostile := Ack{Sequence: 2, Rejections: make([]Rejection, 1<<21-10)}
			server.Write(appendFrame(nil, TypeAck, &hostile))
		}()
		go io.Copy(io.Discard, server)
		s := connect(t, client, &first, nil)
		_, err := s.Receive(t.Context())
		var bad *ProtocolError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, "more results than the 2 in flight") {
			t.Errorf("got %v", err)
		}
	})
}
