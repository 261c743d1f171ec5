package hostile

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"massive-passive/wire"
)

// halfHello is how a ClientHello begins.
var halfHello = []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

// crowdAttacks are many at once.
func crowdAttacks() []attack {
	return []attack{
		{"5,000 connections that say nothing", func(s *siege) { s.crowd(5000, nil) }},
		{"2,000 that begin a handshake", func(s *siege) { s.crowd(2000, halfHello) }},
		{"1,000 that come and go", func(s *siege) {
			for range 1000 {
				s.raw().Close()
			}
		}},
		{"500 that come and reset", func(s *siege) {
			for range 500 {
				conn := s.raw()
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}},
		{"100 handshakes that nobody finishes", func(s *siege) {
			for range 100 {
				conn := s.raw()
				go func() { // ends with the connection
					tls.Client(conn, s.config(s.file("stranger"))).Handshake()
				}()
			}
		}},
		{"one client with all connections that it may have", func(s *siege) {
			// Each is welcomed: of one that says nothing nobody here knows whether
			// the server counts it already, or has ended it for its silence.
			var open []*tls.Conn
			for n := range connectionsOfOne - 1 { // and one for the good client
				open = append(open, s.admitted(byte(n+1)))
			}
			s.serveTheNext()
			open = append(open, s.admitted(connectionsOfOne))
			s.expectBye(s.listed(), wire.Overloaded)
			for _, conn := range open {
				conn.Close()
			}
			s.recover()
		}},
		{"an instance that supersedes itself", func(s *siege) {
			last := s.greeted()
			for range 50 {
				next := s.greeted()
				s.expectBye(last, wire.Superseded)
				last.Close()
				last = next
			}
			last.Close()
		}},
	}
}

// crowd holds many connections open, and while they stand a good client is
// served.
func (s *siege) crowd(n int, words []byte) {
	s.Helper()
	var all []net.Conn
	for range n {
		conn, err := net.DialTimeout("tcp", fmt.Sprint("127.0.0.1:", s.pair.Port), 10*time.Second)
		if err != nil {
			s.Errorf("connection %d: %v", len(all)+1, err)
			break
		}
		if words != nil {
			s.write(conn, words)
		}
		all = append(all, conn)
	}
	during := s.vitals()
	begin := time.Now()
	s.serveTheNext()
	s.Logf("%d connections: %d goroutines more, %.1f KB each; beside them a good client took %v", len(all), during.goroutines-s.before.goroutines,
		float64(during.memory-s.before.memory)/1024/float64(n), time.Since(begin).Round(time.Millisecond))
	if most := n + 50; during.goroutines-s.before.goroutines > most {
		s.Errorf("%d silent connections cost %d goroutines", n, during.goroutines-s.before.goroutines)
	}
	for _, conn := range all {
		conn.Close()
	}
}

// admitted is a listed client's connection, with an instance of its own, once the
// server has welcomed it. It tries again while one that has ended still counts.
func (s *siege) admitted(instance byte) *tls.Conn {
	s.Helper()
	for {
		conn := s.listed()
		hello := wire.Hello{Instance: wire.Instance{instance}, Remember: 60}
		s.write(conn, frame(wire.TypeHello, hello.Append(nil)))
		switch kind, body := s.read(conn); kind {
		case wire.TypeWelcome:
			return conn
		case wire.TypeBye:
			conn.Close()
		default:
			s.Fatalf("HELLO was answered by %v %q", kind, body)
		}
	}
}
