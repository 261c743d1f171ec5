package wire

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// recorded is a connection that reads ahead, as TLS does with what came in one
// record, and notes each write.
type recorded struct {
	net.Conn
	ahead  *bufio.Reader
	writes chan []byte
}

func (c *recorded) Read(p []byte) (int, error) { return c.ahead.Read(p) }

func (c *recorded) Write(p []byte) (int, error) {
	c.writes <- append([]byte(nil), p...)
	return len(p), nil
}

// fly sends HELLO, and batch with it unless it is nil, to a server with h, and
// returns what the server writes.
func fly(t *testing.T, h Handler, batch *Batch) (writes chan []byte) {
	t.Helper()
	near, far := net.Pipe()
	server := &recorded{far, bufio.NewReader(far), make(chan []byte, 100)}
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), server, ServerConfig{}, h) }()
	t.Cleanup(func() { near.Close(); <-ended })
	flight := appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance})
	if batch != nil {
		flight = appendFrame(flight, TypeBatch, batch)
	}
	if _, err := near.Write(flight); err != nil {
		t.Fatal(err)
	}
	return server.writes
}

// kinds are the types of the frames in b.
func kinds(b []byte) (types []Type) {
	for len(b) >= HeaderSize {
		types = append(types, Type(b[4]))
		b = b[HeaderSize+(int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3])):]
	}
	return types
}

func TestWelcomeGoesWithTheAckOfTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batch := batchOf(1)
		writes := fly(t, &taker{}, &batch)
		if got := kinds(<-writes); len(got) != 2 || got[0] != TypeWelcome || got[1] != TypeAck {
			t.Errorf("the first write has %v", got)
		}
	})
}

func TestWelcomeDoesNotWaitForASlowAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &taker{hold: make(chan struct{})}
		batch := batchOf(1)
		begin := time.Now()
		writes := fly(t, h, &batch)
		if got := kinds(<-writes); len(got) != 1 || got[0] != TypeWelcome || time.Since(begin) != holdTime {
			t.Errorf("the first write has %v, after %v", got, time.Since(begin))
		}
		close(h.hold)
		if got := kinds(<-writes); len(got) != 1 || got[0] != TypeAck {
			t.Errorf("the second write has %v", got)
		}
	})
}

func TestWelcomeIsSaidAtOnceWithoutABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		writes := fly(t, &taker{}, nil)
		if got := kinds(<-writes); len(got) != 1 || got[0] != TypeWelcome || time.Since(begin) != 0 {
			t.Errorf("the first write has %v, after %v", got, time.Since(begin))
		}
	})
}
