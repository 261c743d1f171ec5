package hostile

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/check"
)

// batch makes the body of a BATCH with results that would reach the core, if
// it were taken.
func batch(sequences ...uint64) []byte {
	b := wire.Batch{Instance: wire.Instance{1}}
	r := check.Result{Kind: check.Service, Host: "evil", Service: "s", Output: []byte("evil"), Finish: 1e6}
	for _, n := range sequences {
		b.Entries = append(b.Entries, wire.Entry{Sequence: n, Result: r.Append(nil)})
	}
	return b.Append(nil)
}

func hello() []byte {
	h := wire.Hello{Instance: wire.Instance{1}, Version: "1", Host: "h", Remember: 60}
	return h.Append(nil)
}

// header is one that promises size bytes.
func header(kind wire.Type, size uint32) []byte {
	h := frame(kind, nil)
	h[0], h[1], h[2], h[3] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	return h
}

// frameAttacks break the protocol on a connection that is allowed.
func frameAttacks() []attack {
	// first sends bytes in the place of a HELLO, then a whole one behind it.
	violates := func(greeted bool, b ...[]byte) func(*siege) {
		return func(s *siege) {
			conn := s.listed
			if greeted {
				conn = s.greeted
			}
			c := conn()
			s.write(c, bytes.Join(b, nil))
			s.expectBye(c, wire.Violation)
		}
	}
	first := func(b ...[]byte) func(*siege) { return violates(false, b...) }
	later := func(b ...[]byte) func(*siege) { return violates(true, b...) }
	list := []attack{
		{"a batch before HELLO", first(frame(wire.TypeBatch, batch(1)))},
		{"an empty HELLO", first(frame(wire.TypeHello, nil))},
		{"garbage as HELLO", first(frame(wire.TypeHello, []byte("GET / HTTP/1.1\r\n\r\n")))},
		{"a HELLO without an instance", first(frame(wire.TypeHello, hello()[18:]))},
		{"an instance of zeros", first(frame(wire.TypeHello, check.AppendBytes(nil, 1, make([]byte, 16))))},
		{"an instance of 15 bytes", first(frame(wire.TypeHello, check.AppendBytes(nil, 1, make([]byte, 15))))},
		{"fields in the wrong order", first(frame(wire.TypeHello, append(check.AppendVarint(nil, 4, 9), hello()...)))},
		{"a field twice", first(frame(wire.TypeHello, append(hello()[:18:18], hello()...)))},
		{"a varint longer than it needs", first(frame(wire.TypeHello, append(hello()[:len(hello())-1:len(hello())-1], 0xbc, 0x00)))},
		{"a HELLO of 4097 bytes", first(header(wire.TypeHello, wire.MaxControl+1))},
		{"a HELLO of 4 GiB", first(header(wire.TypeHello, 1<<32-1))},
		{"two HELLOs", later(frame(wire.TypeHello, hello()))},
		{"type 0", later(frame(0, nil))},
		{"an unknown type", later(frame(0x09, []byte("x")))},
		{"the highest unknown type", later(frame(0x7f, nil))},
		{"a skippable frame that is too long", later(header(0x80, wire.MaxControl+1))},
		{"a WELCOME from a client", later(frame(wire.TypeWelcome, nil))},
		{"an ACK from a client", later(frame(wire.TypeAck, nil))},
		{"a WAIT from a client", later(frame(wire.TypeWait, nil))},
		{"a PONG from a client", later(frame(wire.TypePong, nil))},
		{"a PING of 4097 bytes", later(header(wire.TypePing, wire.MaxControl+1))},
		{"garbage as PING", later(frame(wire.TypePing, []byte("\xff\xff\xff")))},
		{"garbage as BYE", later(frame(wire.TypeBye, []byte("\x00")))},
		{"a BYE with a long text", later(frame(wire.TypeBye, check.AppendBytes(nil, 2, make([]byte, wire.MaxText+1))))},
		{"a batch one byte over the limit", later(header(wire.TypeBatch, wire.MaxFrame+1))},
		{"a batch of 4 GiB", later(header(wire.TypeBatch, 1<<32-1))},
		{"garbage at the limit of a batch", later(frame(wire.TypeBatch, bytes.Repeat([]byte{0xff}, wire.MaxFrame)))},
		{"a zero-length batch", later(frame(wire.TypeBatch, nil))},
		{"a batch without results", later(frame(wire.TypeBatch, check.AppendBytes(nil, 1, bytes.Repeat([]byte{1}, 16))))},
		{"sequence 0", later(frame(wire.TypeBatch, batch(0)))},
		{"a sequence twice in a batch", later(frame(wire.TypeBatch, batch(5, 5)))},
		{"a sequence backwards in a batch", later(frame(wire.TypeBatch, batch(5, 4)))},
		{"a batch of an instance of zeros", later(frame(wire.TypeBatch, append(check.AppendBytes(nil, 1, make([]byte, 16)), batch(1)[18:]...)))},
	}
	return append(list, streamAttacks()...)
}

// streamAttacks are about when bytes come, and whether they do.
func streamAttacks() []attack {
	return []attack{
		{"a sequence backwards between batches", func(s *siege) {
			conn := s.greeted()
			denied := wire.Batch{Instance: wire.Instance{1}, Entries: []wire.Entry{{Sequence: 9, Result: []byte("x")}}}
			s.write(conn, frame(wire.TypeBatch, denied.Append(nil)))
			if kind, _ := s.read(conn); kind != wire.TypeAck {
				s.Errorf("answered by %v", kind)
			}
			s.write(conn, frame(wire.TypeBatch, batch(9)))
			s.expectBye(conn, wire.Violation)
		}},
		{"a HELLO truncated at every byte", func(s *siege) { s.truncated(frame(wire.TypeHello, hello()), s.listed) }},
		{"a batch truncated at every byte", func(s *siege) { s.truncated(frame(wire.TypeBatch, batch(1)), s.greeted) }},
		{"a HELLO byte by byte", func(s *siege) {
			conn := s.listed()
			for _, c := range frame(wire.TypeHello, hello()) {
				s.write(conn, []byte{c})
			}
			if kind, _ := s.read(conn); kind != wire.TypeWelcome { // slow, and all right
				s.Errorf("answered by %v", kind)
			}
		}},
		{"skippable frames without end", func(s *siege) {
			conn := s.greeted()
			s.write(conn, bytes.Repeat(frame(0xff, []byte("skip me")), 5000))
			s.write(conn, frame(wire.TypePing, nil))
			if kind, _ := s.read(conn); kind != wire.TypePong {
				s.Errorf("answered by %v", kind)
			}
		}},
		{"PINGs without reading a PONG", func(s *siege) {
			conn := s.greeted()
			conn.SetWriteDeadline(time.Now().Add(time.Second)) // the server stops to read once it cannot write
			s.write(conn, bytes.Repeat(frame(wire.TypePing, nil), 500000))
		}},
		{"a large batch that never comes", func(s *siege) {
			for range 20 {
				s.write(s.greeted(), append(header(wire.TypeBatch, wire.MaxFrame), make([]byte, 100<<10)...))
			}
		}},
		{"silence after the handshake", func(s *siege) { s.listed().CloseWrite() }},
		{"a reset after the handshake", func(s *siege) {
			conn := s.listed()
			conn.NetConn().(*net.TCPConn).SetLinger(0)
			conn.NetConn().Close()
		}},
		{"a reset in the middle of a batch", func(s *siege) {
			conn := s.greeted()
			s.write(conn, append(header(wire.TypeBatch, 100000), batch(1)...))
			conn.NetConn().(*net.TCPConn).SetLinger(0)
			conn.NetConn().Close()
		}},
		{"words for the terminal", func(s *siege) {
			conn := s.listed()
			h := wire.Hello{Instance: wire.Instance{3}, Host: "\x1b[2J\n{\"level\":\"info\"}\r\x00", Version: "\x1b]0;owned\a\n"}
			s.write(conn, frame(wire.TypeHello, h.Append(nil)))
			if kind, _ := s.read(conn); kind != wire.TypeWelcome {
				s.Errorf("answered by %v", kind)
			}
			bye := wire.Bye{Reason: wire.Done, Text: "\x1b[31m\n"}
			s.write(conn, frame(wire.TypeBye, bye.Append(nil)))
			s.expectEnd(conn)
		}},
	}
}

// truncated sends all beginnings of a frame, each on a connection of its own.
func (s *siege) truncated(whole []byte, open func() *tls.Conn) {
	s.Helper()
	for n := range whole {
		c := open()
		s.write(c, whole[:n])
		c.CloseWrite()
		s.expectEnd(c)
		c.Close()
	}
	if len(whole) < 20 {
		s.Error(fmt.Errorf("only %d bytes were tried", len(whole)))
	}
}
