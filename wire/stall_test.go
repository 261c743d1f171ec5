package wire

import (
	"bytes"
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

// A client may be silent while it is owed an ACK, but not in the middle of a
// frame: what comes after that silence is the rest of a plugin's output, and
// that could be written to look like frames.
func TestAStalledFrameIsNotReadOnAsFrames(t *testing.T) {
	forged := Batch{Instance: goldenInstance, Entries: []Entry{{Sequence: 7, Result: []byte("forged")}}}
	tail := bytes.Repeat([]byte("x"), 100)
	evil := append(appendFrame(nil, TypeBatch, &forged), rawFrame(skippable, uint32(len(tail)), tail)...)
	honest := Batch{Instance: goldenInstance, Entries: []Entry{{Sequence: 2, Result: append([]byte("OK - the page says: "), evil...)}}}
	frame := appendFrame(nil, TypeBatch, &honest)
	for name, cut := range map[string]int{
		"before the forged frame": bytes.Index(frame, evil),
		"behind the header":       HeaderSize,
		"inside the header":       1,
		"before the last byte":    len(frame) - 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &taker{hold: make(chan struct{})}
			conn, _, result := pipes(t, h)
			s := connect(t, conn, nil, nil)
			if err := s.Send(batchOf(1)); err != nil { // its ACK is owed from now on
				t.Fatal(err)
			}
			conn.Write(frame[:cut])
			time.Sleep(BodyTimeout + time.Second)
			conn.Write(frame[cut:])
			time.Sleep(time.Second)
			close(h.hold)
			var bye *ByeError
			if _, err := receiveAll(t.Context(), s); !errors.As(err, &bye) || bye.Reason != Idle || !strings.Contains(bye.Text, "stopped after") {
				t.Errorf("%s: the client heard %v", name, err)
			}
			var stalled *StalledError
			if err := <-result; !errors.As(err, &stalled) {
				t.Errorf("%s: Serve returned %v", name, err)
			}
			for _, n := range h.sequences() {
				if n != 1 {
					t.Errorf("%s: result %d was taken out of a frame that did not come whole", name, n)
				}
			}
		})
	}
}

// receiveAll receives to the end of the session.
func receiveAll(ctx context.Context, s *Session) (acks []Ack, err error) {
	for {
		ack, err := s.Receive(ctx)
		if err != nil {
			return acks, err
		}
		acks = append(acks, ack)
	}
}

// While the journal takes nothing, what others have in hand uses up the memory,
// and whoever comes then waits for it. When it goes on, nobody was silent.
func TestWhoWaitsForMemoryIsNotSilent(t *testing.T) {
	for name, size := range map[string]int{"the first part": 10 << 10, "the rest": 100 << 10} {
		synctest.Test(t, func(t *testing.T) {
			h, budget := &taker{hold: make(chan struct{})}, NewBudget(0, nil)
			var release []func()
			take := func(client string, p memoryPool) {
				other, size := budget.Open(client), int(budget.most[p])
				if err := other.pay(t.Context(), p, size, nil); err != nil {
					t.Fatal(err)
				}
				release = append(release, func() { other.repay(p, size) })
			}
			for i := range 4 {
				take(fmt.Sprint("other ", i), firstPool)
			}
			take("other", restPool)
			conn := buffer(serveFor(t, budget, "web1", h))
			defer conn.Close()
			s := connect(t, conn, nil, nil)
			if err := s.Send(batchOf(1)); err != nil { // short: it waits for nothing
				t.Fatal(err)
			}
			b := batchOf(2)
			b.Entries[0].Result = make([]byte, size)
			if err := s.Send(b); err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(BodyTimeout + 10*time.Second)
				for _, f := range release {
					f()
				}
				close(h.hold)
			}()
			for n := uint64(0); n < 2; {
				ack, err := s.Receive(t.Context())
				if err != nil {
					t.Errorf("%s: %v", name, err)
					break
				}
				n = ack.Sequence
			}
		})
	}
}

// A frame of a later version that is skipped leaves an idle connection as it
// was, at either end.
func TestASkippedFrameDoesNotEndAnIdleConnection(t *testing.T) {
	later := rawFrame(skippable, 5, []byte("later"))
	t.Run("to the server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &taker{}
			conn, _, _ := pipes(t, h)
			s := connect(t, conn, nil, nil)
			conn.Write(later)
			time.Sleep(IdleTimeout - time.Second)
			if err := s.Send(batchOf(1)); err != nil {
				t.Fatal(err)
			}
			if ack, err := s.Receive(t.Context()); err != nil || ack.Sequence != 1 {
				t.Errorf("after a silence: ACK of %d, %v", ack.Sequence, err)
			}
			conn.Write(later)
			time.Sleep(IdleTimeout + time.Second)
			var bye *ByeError
			if _, err := s.Receive(t.Context()); !errors.As(err, &bye) || bye.Reason != Idle {
				t.Errorf("after too long a silence: %v", err)
			}
		})
	})
	t.Run("to the client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			server := buffer(far)
			defer server.Close()
			go io.Copy(io.Discard, far)
			server.Write(appendFrame(nil, TypeWelcome, &Welcome{MaxFrame: MaxFrame, Window: Window}))
			s := connect(t, near, nil, nil)
			go func() {
				server.Write(later)
				time.Sleep(IdleTimeout)
				if err := s.Send(batchOf(1)); err != nil {
					t.Error(err)
				}
				server.Write(append(later, appendFrame(nil, TypeAck, &Ack{Sequence: 1})...))
			}()
			if ack, err := s.Receive(t.Context()); err != nil || ack.Sequence != 1 {
				t.Errorf("after a silence: ACK of %d, %v", ack.Sequence, err)
			}
		})
	})
}
