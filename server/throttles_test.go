package server

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
)

// A stranger chooses what it offers, and with it the words of the fault.
func TestAStrangerCannotFillTheLog(t *testing.T) {
	r := newRig(t)
	const strangers, most = 30, 1500 // the latter for a line of the log in bytes
	for n := range strangers {
		offers := make([]string, 200)
		for i := range offers {
			offers[i] = fmt.Sprintf("%d-%s", n, strings.Repeat("\x01", 200))
		}
		conn, err := tls.Dial("tcp", r.server.Addrs()[0].String(), &tls.Config{InsecureSkipVerify: true, NextProtos: offers})
		if err == nil {
			conn.Close()
			t.Fatal("the server takes any protocol")
		}
	}
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
	if said := r.log.lines("refused a connection"); len(said) != 1 || len(said[0]) > most {
		t.Errorf("%d connections made %d lines of the log, the first of %d bytes", strangers, len(said), len(said[0]))
	}
}

// A handshake message may announce 64 KB, which TLS would gather.
func TestAStrangerHasFewBytes(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Handshake = time.Hour })
	conn := r.silent(1)[0]
	part := append([]byte{0x16, 3, 1, 0x40, 0, 1, 0, 0xfa, 0}, make([]byte, 0x4000-4)...) // a record of a ClientHello of 64,000 bytes
	if _, err := conn.Write(part); err != nil {
		t.Fatal(err)
	}
	part = append([]byte{0x16, 3, 1, 0x40, 0}, make([]byte, 0x4000)...)
	conn.Write(part) // too many, with what stands before
	awaitEnd(t, conn)
	r.log.await(t, "refused a connection", "16 KiB")
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
}

// A client that breaks the protocol, or whose connections break, comes back at
// once and is told of once a minute.
func TestBadConnectionsOfAClientAreNotToldEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 20 {
		conn, err := r.dial(r.set.ClientCert, r.set.ClientKey, wire.ALPN)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte{0, 0, 0, 0, byte(wire.TypePing)}) // before a HELLO
		awaitEnd(t, conn)
		r.log.await(t, "the connection ended", "PING before HELLO") // of the first, which the next one must not overtake
		if conn, err = r.dial(r.set.ClientCert, r.set.ClientKey); err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("!"))
		awaitEnd(t, conn)
	}
	if said := r.log.lines("the connection ended"); len(said) != 1 {
		t.Errorf("said %d times: %q", len(said), said)
	}
	r.stop()
	r.log.await(t, "the connection ended: more of the same", `"times":39`, `"about":"web1"`)
}
