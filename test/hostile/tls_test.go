package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
)

// issueBad makes the certificates of the attackers. Most are listed as well,
// so that it is not the directory that saves the day.
func (s *siege) issueBad() {
	s.Helper()
	ca, now := s.pair.Set.Authority, time.Now()
	forClients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	stranger, err := certstest.New(ca.Cert.Subject.CommonName)
	if err != nil {
		s.Fatal(err)
	}
	s.issue(ca, "twin", certstest.Request{Name: "client-1", Usage: forClients}, false)
	s.issue(stranger, "stranger", certstest.Request{Name: "client-1", Usage: forClients}, true)
	s.issue(ca, "expired", certstest.Request{Name: "expired", Usage: forClients, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Minute)}, true)
	s.issue(ca, "early", certstest.Request{Name: "early", Usage: forClients, NotBefore: now.Add(time.Hour), NotAfter: now.Add(48 * time.Hour)}, true)
	s.issue(ca, "revoked", certstest.Request{Name: "revoked", Usage: forClients}, true)
	s.issue(ca, "removed", certstest.Request{Name: "removed", Usage: forClients}, true)
	s.issue(ca, "refused", certstest.Request{Name: "refused", Usage: forClients}, true)
	s.issue(ca, "narrow", certstest.Request{Name: "narrow", Usage: forClients}, true)
	for name, policy := range map[string]string{"refused": `{"hosts": ["*"]`, "narrow": `{"hosts": ["$CN"], "services": ["a*", "!ab"]}`} {
		if err := os.WriteFile(filepath.Join(s.pair.Set.AllowedDir, name+".json"), []byte(policy), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	s.list("server", rig.ReadFile(s.T, s.pair.Set.ServerCert))
	s.list("ca", rig.ReadFile(s.T, s.pair.Set.CA))
}

func (s *siege) leafOf(name string) *x509.Certificate {
	s.Helper()
	list, err := certs.ReadFile(s.file(name))
	if err != nil {
		s.Fatal(err)
	}
	return list[0]
}

// turnedAway holds a handshake to failing, or to being of no use: not a byte
// comes, and it is not by a time-out that it ends.
func (s *siege) turnedAway(config *tls.Config) {
	s.Helper()
	conn := tls.Client(s.raw(), config)
	n, err := conn.Read(make([]byte, 1)) // shakes hands first
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		s.Errorf("the server answered %d bytes, %v", n, err)
	}
}

func (s *siege) withPair(pair tls.Certificate) *tls.Config {
	s.Helper()
	config := s.config(s.pair.Set.ClientCert)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return config
}

// forged makes a certificate for client-1 that is signed by itself, or by a
// client that is no CA.
func (s *siege) forged(byClient bool) tls.Certificate {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "client-1"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	parent, signer, chain := template, any(key), [][]byte(nil)
	if byClient {
		own, err := tls.LoadX509KeyPair(s.pair.Set.ClientCert, s.pair.Set.ClientKey)
		if err != nil {
			s.Fatal(err)
		}
		parent, signer, chain = own.Leaf, own.PrivateKey, own.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		s.Fatal(err)
	}
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key}
}

func (s *siege) tlsAttacks() []attack {
	bytesOf := func(b string) func(*siege) {
		return func(s *siege) {
			conn := s.raw()
			s.write(conn, []byte(b))
			conn.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				s.Error("the server does not end it")
			}
		}
	}
	as := func(name string) func(*siege) { return func(s *siege) { s.turnedAway(s.config(s.file(name))) } }
	with := func(change func(*tls.Config)) func(*siege) {
		return func(s *siege) {
			config := s.config(s.pair.Set.ClientCert)
			change(config)
			s.turnedAway(config)
		}
	}
	return []attack{
		{"nothing at all", bytesOf("")},
		{"garbage", bytesOf("\x00\xff\x1b[2J garbage\r\n\r\n")},
		{"plain HTTP", bytesOf("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"an old message without TLS", bytesOf("8 WzFdIFg=")},
		{"half a ClientHello", bytesOf(string(halfHello))},
		{"a record of 65535 bytes", bytesOf("\x16\x03\x01\xff\xff" + string(make([]byte, 65535)))},
		{"a ClientHello of 16 MB", bytesOf("\x16\x03\x01\x40\x00\x01\xff\xff\xff" + string(make([]byte, 16380)))},
		{"SSL 2", bytesOf("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80")},
		{"an alert first", bytesOf("\x15\x03\x01\x00\x02\x02\x28")},
		{"records without an end", bytesOf(string(repeat("\x16\x03\x01\x00\x00", 5000)))},
		{"no certificate", func(s *siege) { s.turnedAway(s.withPair(tls.Certificate{})) }},
		{"another CA, the same subject", as("stranger")},
		{"expired", as("expired")},
		{"not yet valid", as("early")},
		{"revoked", as("revoked")},
		{"the CA itself", func(s *siege) { s.turnedAway(s.withPair(s.pair.Set.Authority.Pair())) }},
		{"the server's own certificate", func(s *siege) { s.turnedAway(s.config(s.pair.Set.ServerCert)) }},
		{"signed by itself", func(s *siege) { s.turnedAway(s.withPair(s.forged(false))) }},
		{"signed by a client", func(s *siege) { s.turnedAway(s.withPair(s.forged(true))) }},
		{"a listed certificate without its key", func(s *siege) {
			forged := s.forged(false)
			block, _ := pem.Decode(rig.ReadFile(s.T, s.pair.Set.ClientCert))
			s.turnedAway(s.withPair(tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: forged.PrivateKey}))
		}},
		{"TLS 1.1", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })},
		{"TLS 1.0", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 })},
		{"weak ciphers alone", with(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
		})},
		{"another protocol", with(func(c *tls.Config) { c.NextProtos = []string{"h2", "massive-passive/2"} })},
		{"the same subject, another key", func(s *siege) {
			s.expectBye(tls.Client(s.raw(), s.config(s.file("twin"))), wire.NotListed)
		}},
		{"a policy that does not parse", func(s *siege) {
			s.expectBye(tls.Client(s.raw(), s.config(s.file("refused"))), wire.BadPolicy)
		}},
		{"a resumed session", resumeSession},
		{"removed while connected", removeWhileConnected},
		{"a handshake byte by byte", func(s *siege) {
			conn := tls.Client(&trickle{s.raw()}, s.config(s.pair.Set.ClientCert))
			if err := conn.Handshake(); err != nil { // slow, within its time: an honest peer
				s.Error(err)
			}
			conn.Close()
		}},
	}
}

func repeat(text string, times int) []byte {
	var b []byte
	for range times {
		b = append(b, text...)
	}
	return b
}

// trickle writes every byte by itself.
type trickle struct{ net.Conn }

func (c *trickle) Write(b []byte) (int, error) {
	for n := range b {
		if _, err := c.Conn.Write(b[n : n+1]); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// resumeSession asks for a ticket and tries to come back with it: there is
// none, so that each connection proves itself.
func resumeSession(s *siege) {
	config := s.config(s.pair.Set.ClientCert)
	config.SessionTicketsDisabled = false
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	config.ServerName = "localhost"
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config.MaxVersion = version
		for range 3 {
			conn := tls.Client(s.raw(), config)
			if err := conn.Handshake(); err != nil {
				s.Fatal(err)
			}
			if conn.ConnectionState().DidResume {
				s.Error("a session was resumed")
			}
			s.write(conn, frame(wire.TypePing, nil)) // has the server say something, which brings tickets in TLS 1.3
			s.expectBye(conn, wire.Violation)
			conn.Close()
		}
	}
}

func removeWhileConnected(s *siege) {
	conn := tls.Client(s.raw(), s.config(s.file("removed")))
	hello := wire.Hello{Instance: wire.Instance{2}}
	s.write(conn, frame(wire.TypeHello, hello.Append(nil)))
	if kind, _ := s.read(conn); kind != wire.TypeWelcome {
		s.Fatalf("at first it was answered by %v", kind)
	}
	if err := os.Remove(filepath.Join(s.pair.Set.AllowedDir, "removed.pem")); err != nil {
		s.Fatal(err)
	}
	s.expectBye(conn, wire.NotListed)
}
