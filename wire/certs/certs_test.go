package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs/certstest"
)

func load(t *testing.T, cert, key, ca string) End {
	t.Helper()
	pair, err := LoadPair(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := LoadPool(ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	return End{Pair: pair, Pool: pool}
}

func serverConfig(e End) *tls.Config {
	return ServerConfig(e, tls.RequireAndVerifyClientCert, wire.ALPN)
}

// handshake connects both ends over loopback and returns what each one saw.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		tlsConn := tls.Server(conn, server)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		err = tlsConn.Handshake()
		if err == nil {
			_, err = tlsConn.Write([]byte("x"))
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	tlsConn := tls.Client(conn, client)
	if clientErr = tlsConn.Handshake(); clientErr == nil {
		_, clientErr = tlsConn.Read(make([]byte, 1)) // TLS 1.3: a refusal shows here
	}
	state = tlsConn.ConnectionState()
	conn.Close()
	return state, <-done, clientErr
}

func TestMutualTLS(t *testing.T) {
	set, err := certstest.WriteSet(t.TempDir(), "web1", "nagios.example")
	if err != nil {
		t.Fatal(err)
	}
	server := load(t, set.ServerCert, set.ServerKey, set.CA)
	client := load(t, set.ClientCert, set.ClientKey, set.CA)
	config := ClientConfig(client, VerifyName, "nagios-1", "127.0.0.1")
	state, serverErr, clientErr := handshake(t, serverConfig(server), config)
	if serverErr != nil || clientErr != nil {
		t.Fatalf("server: %v, client: %v", serverErr, clientErr)
	}
	if state.NegotiatedProtocol != wire.ALPN || state.Version != tls.VersionTLS13 {
		t.Errorf("ALPN %q, version %x", state.NegotiatedProtocol, state.Version)
	}
	without := config.Clone()
	without.NextProtos = nil
	state, serverErr, clientErr = handshake(t, serverConfig(server), without)
	if serverErr != nil || clientErr != nil || state.NegotiatedProtocol != "" {
		t.Errorf("without ALPN: server %v, client %v, ALPN %q", serverErr, clientErr, state.NegotiatedProtocol)
	}
}

func TestServerIsVerified(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "other-ca")
	if err := authority.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	serverAuth := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for name, c := range map[string]struct {
		request certstest.Request
		verify  Verify
		ca      string
		names   []string
		want    []string // parts of the client's error; none: it is accepted
	}{
		"by name":           {certstest.Request{Hosts: []string{"mon.example"}}, VerifyName, ca, []string{"mon.example", "127.0.0.1"}, nil},
		"by address":        {certstest.Request{Hosts: []string{"127.0.0.1"}}, VerifyName, ca, []string{"mon", "127.0.0.1"}, nil},
		"by CA alone":       {certstest.Request{Hosts: []string{"else"}}, VerifyCA, ca, []string{"mon"}, nil},
		"CN only, by CA":    {certstest.Request{Name: "mon"}, VerifyCA, ca, []string{"mon"}, nil},
		"another name":      {certstest.Request{Hosts: []string{"else", "10.0.0.9"}}, VerifyName, ca, []string{"mon"}, []string{`"else"`, `"10.0.0.9"`, `"mon"`, "--ssl-verify=ca"}},
		"CN only":           {certstest.Request{Name: "mon"}, VerifyName, ca, []string{"mon"}, []string{"CN=mon", "alternative names", "--ssl-verify=ca"}},
		"another CA":        {certstest.Request{Hosts: []string{"mon"}}, VerifyName, set.CA, []string{"mon"}, []string{"CN=CA", set.CA, "--ssl-ca-cert"}},
		"expired":           {certstest.Request{Hosts: []string{"mon"}, NotBefore: now.Add(-9e12), NotAfter: now.Add(-3e12)}, VerifyName, ca, []string{"mon"}, []string{"expired on", "clock"}},
		"not yet valid":     {certstest.Request{Hosts: []string{"mon"}, NotBefore: now.Add(3e12), NotAfter: now.Add(9e12)}, VerifyName, ca, []string{"mon"}, []string{"not valid before", "the server's clock or yours is off"}},
		"a client's":        {certstest.Request{Hosts: []string{"mon"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, VerifyName, ca, []string{"mon"}, []string{"not for servers"}},
		"CA mode, other CA": {certstest.Request{Hosts: []string{"mon"}}, VerifyCA, set.CA, nil, []string{"--ssl-ca-cert"}},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
			if c.request.Usage == nil {
				c.request.Usage = serverAuth
			}
			if err := authority.Write(c.request, cert, key); err != nil {
				t.Fatal(err)
			}
			server := load(t, cert, key, set.CA)
			client := load(t, set.ClientCert, set.ClientKey, c.ca)
			_, _, err := handshake(t, serverConfig(server), ClientConfig(client, c.verify, c.names...))
			if len(c.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
		})
	}
}

func TestServerProvesTheChain(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	server := load(t, set.ServerCert, set.ServerKey, set.CA)
	for name, files := range map[string][2]string{
		"another CA's client":     {stranger.ClientCert, stranger.ClientKey},
		"the server's own as one": {set.ServerCert, set.ServerKey},
	} {
		client := load(t, files[0], files[1], set.CA)
		_, serverErr, clientErr := handshake(t, serverConfig(server), ClientConfig(client, VerifyCA))
		if serverErr == nil || clientErr == nil {
			t.Errorf("%s: server %v, client %v", name, serverErr, clientErr)
		}
	}
	anonymous := ClientConfig(server, VerifyCA)
	anonymous.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	if _, serverErr, _ := handshake(t, serverConfig(server), anonymous); serverErr == nil {
		t.Error("a client without a certificate got in")
	}
}

// A listener that proves its clients by other means asks for no certificate. One that
// takes clients with and without still refuses a certificate of another CA.
func TestTheRuleForClientCertificates(t *testing.T) {
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	server := load(t, set.ServerCert, set.ServerKey, set.CA)
	listed, unknown := load(t, set.ClientCert, set.ClientKey, set.CA), load(t, stranger.ClientCert, stranger.ClientKey, set.CA)
	for _, c := range []struct {
		rule    tls.ClientAuthType
		client  *End // nil: shows no certificate
		refused bool
	}{
		{tls.NoClientCert, nil, false}, {tls.NoClientCert, &unknown, false},
		{tls.VerifyClientCertIfGiven, nil, false}, {tls.VerifyClientCertIfGiven, &listed, false}, {tls.VerifyClientCertIfGiven, &unknown, true},
		{tls.RequireAndVerifyClientCert, nil, true}, {tls.RequireAndVerifyClientCert, &listed, false},
	} {
		config := ClientConfig(listed, VerifyCA)
		config.NextProtos = []string{"other"}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c.client == nil {
				return &tls.Certificate{}, nil
			}
			return c.client.Pair.current(), nil
		}
		state, serverErr, _ := handshake(t, ServerConfig(server, c.rule, "http/1.1", "other"), config)
		if (serverErr != nil) != c.refused || !c.refused && state.NegotiatedProtocol != "other" {
			t.Errorf("%v, a certificate: %v, of another CA: %v: %v, ALPN %q", c.rule, c.client != nil, c.client == &unknown, serverErr, state.NegotiatedProtocol)
		}
	}
}
