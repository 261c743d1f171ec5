package door

import (
	"context"
	"errors"
	"net"
	"testing"

	"massive-passive/server/intake"
	"massive-passive/wire"
)

// password is the proof of a peer without a certificate.
type password struct{ changed bool }

func (p *password) Refused(string) *wire.ByeError {
	if p.changed {
		return &wire.ByeError{Reason: wire.NotListed, Text: "the password is another one now"}
	}
	return nil
}

// What a peer proved is asked again, whatever it proved itself by.
func TestOpenConnectionsAreAskedForTheirProofAgain(t *testing.T) {
	d := New(Options{Limits: Limits{ClientConnections: 10, FrameMemory: wire.LeastBudget}}, nil, &intake.Intake{})
	kept, changed := &password{}, &password{}
	first, firstCtx := d.open(t.Context(), Peer{Client: "web1", Proof: kept})
	defer first.close()
	second, secondCtx := d.open(t.Context(), Peer{Client: "web2", Proof: changed})
	defer second.close()
	d.Recheck()
	if firstCtx.Err() != nil || secondCtx.Err() != nil {
		t.Fatalf("ended with a good proof: %v, %v", context.Cause(firstCtx), context.Cause(secondCtx))
	}
	changed.changed = true
	d.Recheck()
	var bye *wire.ByeError
	if !errors.As(context.Cause(secondCtx), &bye) || bye.Reason != wire.NotListed {
		t.Errorf("with a password that was changed: %v", context.Cause(secondCtx))
	}
	if firstCtx.Err() != nil {
		t.Errorf("the other client was ended as well: %v", context.Cause(firstCtx))
	}
	third, thirdCtx := d.open(t.Context(), Peer{Client: "web2", Proof: changed}) // it changed since the handshake
	defer third.close()
	if thirdCtx.Err() == nil || d.Connections()["web1"] != 1 {
		t.Errorf("a proof that ended during the handshake lets in; connections: %v", d.Connections())
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7",
		"::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2::7":  "2001:db8:1:2::/64",
		"fe80::1%eth0":     "fe80::/64",
	} {
		addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(address, "1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := network(addr); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := network(&net.UnixAddr{Name: "/x", Net: "unix"}); got != "/x" {
		t.Errorf("a socket: %s", got)
	}
}

// Each connection that ends makes its place free, whoever ends it.
func TestEndedConnectionsTakeNoPlace(t *testing.T) {
	a := &admission{most: 2}
	var all []*pendingConn
	for range 3 { // the third one takes the first one's place
		mine, other := net.Pipe()
		t.Cleanup(func() { other.Close() })
		c, ok := a.enter(mine)
		if !ok {
			t.Fatal("no place")
		}
		all = append(all, c)
	}
	if len(a.open) != 2 || a.pending.Len() != 2 || !all[0].wasEvicted() {
		t.Errorf("%d are open, %d pending, the oldest evicted: %v", len(a.open), a.pending.Len(), all[0].wasEvicted())
	}
	all[1].proved()
	if a.pending.Len() != 1 {
		t.Errorf("%d are pending, want the one that has not proved itself", a.pending.Len())
	}
	all[1].Close()
	a.close()
	if len(a.open) != 0 || a.pending.Len() != 0 {
		t.Errorf("%d connections are still counted, %d of them pending", len(a.open), a.pending.Len())
	}
	mine, other := net.Pipe()
	t.Cleanup(func() { other.Close(); mine.Close() })
	if _, ok := a.enter(mine); ok {
		t.Error("a closed door lets somebody in")
	}
}
