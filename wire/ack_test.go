package wire

import (
	"context"
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
