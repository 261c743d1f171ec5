package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire/check"
)

// rawFrame is a frame with any length and body.
func rawFrame(kind Type, length uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	return append(append(b, byte(kind)), body...)
}

func whole(kind Type, body []byte) []byte { return rawFrame(kind, uint32(len(body)), body) }

// afterHello sends bytes behind a good HELLO and returns all that the server
// answered until it ended the connection.
func afterHello(t *testing.T, sent []byte, half bool) (answer []byte, served error) {
	conn, _, result := pipes(t, &taker{})
	go func() {
		conn.Write(append(appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance}), sent...))
		if half {
			conn.Close()
		}
	}()
	answer, _ = io.ReadAll(conn)
	return answer, <-result
}

func lastFrame(t *testing.T, answer []byte) (Type, []byte) {
	t.Helper()
	var kind Type
	var body []byte
	for len(answer) >= HeaderSize {
		n := binary.BigEndian.Uint32(answer)
		kind, body = Type(answer[4]), answer[HeaderSize:HeaderSize+n]
		answer = answer[HeaderSize+n:]
	}
	return kind, body
}

func TestViolationsEndTheConnection(t *testing.T) {
	batch := batchOf(5)
	good := batch.Append(nil)
	for name, sent := range map[string][]byte{
		"second hello":         appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance}),
		"server's frame":       appendFrame(nil, TypeAck, &Ack{Sequence: 1}),
		"unknown type":         whole(0x42, nil),
		"type zero":            whole(0, nil),
		"batch too long":       rawFrame(TypeBatch, MaxFrame+1, nil),
		"longest length":       rawFrame(TypeBatch, 1<<32-1, nil),
		"ping too long":        rawFrame(TypePing, MaxControl+1, nil),
		"empty batch":          whole(TypeBatch, nil),
		"batch of garbage":     whole(TypeBatch, bytes.Repeat([]byte{0xff}, 300)),
		"batch with a tail":    whole(TypeBatch, append(append([]byte(nil), good...), 0)),
		"sequence twice":       append(whole(TypeBatch, good), whole(TypeBatch, good)...),
		"malformed ping":       whole(TypePing, []byte{8, 0}),
		"malformed bye":        whole(TypeBye, []byte{0xff}),
		"plain HTTP":           []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"skippable but longer": rawFrame(0x80, MaxControl+1, nil),
	} {
		synctest.Test(t, func(t *testing.T) {
			answer, served := afterHello(t, sent, false)
			kind, body := lastFrame(t, answer)
			bye, err := DecodeBye(body)
			if kind != TypeBye || err != nil || bye.Reason != Violation {
				t.Errorf("%s: the last frame is a %s: %+v, %v", name, kind, bye, err)
			}
			if served == nil {
				t.Errorf("%s: Serve took it for an orderly end", name)
			}
		})
	}
}

// What only a server may say, a client may not say at length either, and no
// frame that ends a connection keeps the memory it was read into.
func TestFramesOutOfPlaceKeepNoMemory(t *testing.T) {
	before := appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance})
	for name, sent := range map[string][]byte{
		"a long ACK":                slices.Concat(before, whole(TypeAck, make([]byte, 2*firstPart))),
		"a long WELCOME":            slices.Concat(before, whole(TypeWelcome, make([]byte, 2*firstPart))),
		"an ACK":                    slices.Concat(before, whole(TypeAck, make([]byte, MaxControl))),
		"a long batch of garbage":   slices.Concat(before, whole(TypeBatch, make([]byte, 2*firstPart))),
		"a long batch before HELLO": whole(TypeBatch, make([]byte, 2*firstPart)),
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			client, server := buffer(near), buffer(far)
			defer client.Close()
			account := NewBudget(0, nil).Open("web1")
			go client.Write(sent)
			go io.Copy(io.Discard, client)
			err := Serve(t.Context(), server, ServerConfig{Account: account}, &taker{})
			server.Close()
			var violation *ProtocolError
			var format *check.FormatError
			if !errors.As(err, &violation) && !errors.As(err, &format) {
				t.Errorf("%s: %v", name, err)
			}
			repaid(t, name, account)
		})
	}
}

func TestUnknownSkippableFramesAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := append(whole(0x80, []byte("later")), whole(0xff, nil)...)
		sent = append(sent, appendFrame(nil, TypePing, &Ping{Token: 9})...)
		sent = append(sent, appendFrame(nil, TypeBye, &Bye{Reason: Done})...)
		answer, served := afterHello(t, sent, false)
		kind, body := lastFrame(t, answer)
		if pong, err := DecodePing(body); kind != TypePong || err != nil || pong.Token != 9 || served != nil {
			t.Errorf("got a %s %x, Serve %v", kind, body, served)
		}
	})
}

func TestTruncatedAtEveryByte(t *testing.T) {
	batch := batchOf(1)
	frame := appendFrame(nil, TypeBatch, &batch)
	for n := 1; n < len(frame); n++ {
		synctest.Test(t, func(t *testing.T) {
			_, served := afterHello(t, frame[:n], true)
			if !errors.Is(served, io.ErrUnexpectedEOF) && !errors.Is(served, io.ErrClosedPipe) {
				t.Errorf("cut after %d bytes: Serve returned %v", n, served)
			}
		})
	}
}

func TestSlowPeersCostABoundedTime(t *testing.T) {
	hello := appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance})
	for name, c := range map[string]struct {
		sent  []byte
		limit time.Duration
	}{
		"silence":         {nil, HelloTimeout},
		"half a header":   {hello[:3], BodyTimeout},
		"half a body":     {hello[:9], BodyTimeout},
		"half a batch":    {append(hello, rawFrame(TypeBatch, 1<<20, make([]byte, 70<<10))...), BodyTimeout},
		"silence, then":   {hello, IdleTimeout},
		"a byte too late": {append(hello, 0), BodyTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, _, result := pipes(t, &taker{})
			go conn.Write(c.sent)
			go io.Copy(io.Discard, conn)
			begin := time.Now()
			if err := <-result; err == nil {
				t.Errorf("%s: taken for an orderly end", name)
			}
			if d := time.Since(begin); d > c.limit {
				t.Errorf("%s: ended after %v, over %v", name, d, c.limit)
			}
		})
	}
}

func TestClientHoldsTheServerToTheProtocol(t *testing.T) {
	first := batchOf(3, 4)
	welcome := appendFrame(nil, TypeWelcome, &Welcome{MaxFrame: MaxFrame, Window: Window})
	for name, answer := range map[string][]byte{
		"no welcome":             appendFrame(nil, TypeAck, &Ack{Sequence: 4}),
		"welcome without limits": appendFrame(nil, TypeWelcome, &Welcome{}),
		"ack beyond the sent":    append(welcome, appendFrame(nil, TypeAck, &Ack{Sequence: 5})...),
		"ack of nothing":         append(welcome, appendFrame(nil, TypeAck, &Ack{})...),
		"rejection beyond its ack": append(welcome, appendFrame(nil, TypeAck,
			&Ack{Sequence: 3, Rejections: []Rejection{{Sequence: 4}}})...),
		"a client's frame": append(welcome, appendFrame(nil, TypePing, &Ping{})...),
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go server.Write(answer)
			go io.Copy(io.Discard, server)
			s, err := Connect(t.Context(), client, Hello{Instance: goldenInstance}, &first, nil)
			if err == nil {
				_, err = s.Receive(t.Context())
			}
			var violation *ProtocolError
			if !errors.As(err, &violation) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
