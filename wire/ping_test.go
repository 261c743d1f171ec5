package wire

import (
	"testing"
	"testing/synctest"
	"time"
)

// A PING that is asked for while an ACK is due is not sent, and so no PONG may
// be waited for once the ACK is there.
func TestPingWhileBusyIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{hold: make(chan struct{})}
		conn, _, _ := pipes(t, h)
		first := batchOf(1)
		s := connect(t, conn, &first, nil)
		if sent, err := s.Ping(); sent || err != nil {
			t.Fatalf("with a batch in flight: sent %v, %v", sent, err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := s.Receive(t.Context())
			for err == nil {
				_, err = s.Receive(t.Context())
			}
			ended <- err
		}()
		close(h.hold)
		time.Sleep(PingInterval)
		select {
		case err := <-ended:
			t.Fatalf("the session ended: %v", err)
		default:
		}
		if sent, err := s.Ping(); !sent || err != nil {
			t.Errorf("with nothing in flight: sent %v, %v", sent, err)
		}
		if sent, err := s.Ping(); sent || err != nil {
			t.Errorf("with a PING on its way: sent %v, %v", sent, err)
		}
		synctest.Wait()
		if sent, err := s.Ping(); !sent || err != nil {
			t.Errorf("after the PONG: sent %v, %v", sent, err)
		}
	})
}
