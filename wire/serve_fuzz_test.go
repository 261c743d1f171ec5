package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"massive-passive/wire/check"
)

// strict is a server's handler that holds what it gets to what Serve promises.
type strict struct {
	t     *testing.T
	hello Hello
	last  uint64
}

func (h *strict) Hello(hello Hello) (uint64, error) {
	if hello.Instance == (Instance{}) || h.hello.Instance != (Instance{}) {
		h.t.Errorf("HELLO of %v after %v", hello.Instance, h.hello.Instance)
	}
	h.hello = hello
	return 0, nil
}

func (h *strict) Submit(_ context.Context, b Batch) ([]Rejection, error) {
	if b.Instance == (Instance{}) || len(b.Entries) == 0 || h.hello.Instance == (Instance{}) {
		h.t.Errorf("a batch of %d results of %v", len(b.Entries), b.Instance)
	}
	for _, e := range b.Entries {
		if e.Sequence <= h.last {
			h.t.Errorf("sequence %d after %d", e.Sequence, h.last)
		}
		h.last = e.Sequence
	}
	return nil, nil
}

func (h *strict) Waiting() string { return "" }

// repaid tells whether nobody holds memory that came from an account.
func repaid(t *testing.T, who string, a *Account) {
	t.Helper()
	for p := range memoryPools {
		if !a.own[p].TryAcquire(a.budget.most[p]) {
			t.Errorf("%s: memory of purse %d is not given back", who, p)
		}
	}
}

// FuzzServe: whatever a client says, a session comes to its end with the last
// of its bytes, gives all memory back and hands on nothing that is not in
// order.
func FuzzServe(f *testing.F) {
	hello := Hello{Instance: Instance{1}, Version: "1", Host: "h", Remember: 60}
	r := check.Result{Kind: check.Host, Host: "h"}
	batch := Batch{Instance: Instance{1}, Entries: []Entry{{Sequence: 1, Result: r.Append(nil)}, {Sequence: 7, Result: []byte("x")}}}
	large := Batch{Instance: Instance{1}, Entries: []Entry{{Sequence: 9, Result: make([]byte, firstPart+1000)}}}
	start := appendFrame(nil, TypeHello, &hello)
	f.Add(start)
	f.Add(append(appendFrame(append([]byte(nil), start...), TypeBatch, &batch), appendFrame(nil, TypeBye, &Bye{Reason: Done})...))
	f.Add(appendFrame(appendFrame(append([]byte(nil), start...), TypePing, &Ping{Token: 5}), TypeBatch, &large))
	f.Add(append(append([]byte(nil), start...), whole(TypeAck, make([]byte, firstPart+1000))...))
	f.Add(append(append([]byte(nil), start...), 0, 0, 0, 1, 0x80, 'x', 0xff, 0xff, 0xff, 0xff, byte(TypeBatch)))
	f.Fuzz(func(t *testing.T, words []byte) {
		server, client := net.Pipe()
		defer server.Close()
		account := NewBudget(0, nil).Open("web1")
		done := make(chan error, 1)
		go func() {
			done <- Serve(t.Context(), server, ServerConfig{Account: account}, &strict{t: t})
			server.Close()
		}()
		heard := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, client)
			heard <- err
		}()
		client.SetDeadline(time.Now().Add(10 * time.Second))
		io.Copy(client, bytes.NewReader(words))
		client.Close()
		<-done
		<-heard
		repaid(t, "the session", account)
	})
}
