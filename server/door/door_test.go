package door

import (
	"net"
	"testing"
)

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
