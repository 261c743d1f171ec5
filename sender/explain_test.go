package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
)

// door is a server's TLS without a server behind it.
func door(t *testing.T, set certstest.Set, clientCA string, from string) string {
	t.Helper()
	end, err := certs.Load(certs.Files{Cert: set.ServerCert, Key: set.ServerKey, CA: clientCA, MinVersion: from}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", certs.ServerConfig(end, tls.RequireAndVerifyClientCert, wire.ALPN))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			conn.(*tls.Conn).Handshake()
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// What is wrong with the certificates of either end is told with what mends
// it, by the real handshake.
func TestHandshakesThatFailAreExplained(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	own := func(request certstest.Request) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "own.cert")
		if request.Name = "web1"; request.Usage == nil {
			request.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
		if err := set.Authority.Write(request, file, file+".key"); err != nil {
			t.Fatal(err)
		}
		return file
	}
	now := time.Now()
	good := own(certstest.Request{})
	old, modern := door(t, set, set.CA, "1.2"), door(t, set, set.CA, "1.3")
	stranger := door(t, set, other.CA, "1.2")
	for name, c := range map[string]struct {
		cert, address string
		names         string
		max           uint16
		says          []string
	}{
		"our CA is unknown":   {good, stranger, "", 0, []string{"does not know the CA", "throwaway CA", good, "--ssl-ca-cert", "same name", certs.Fingerprint(set.Authority.Cert)}},
		"ours has ended":      {own(certstest.Request{NotBefore: now.Add(-9e12), NotAfter: now.Add(-5e12)}), old, "", 0, []string{"expired on", "own.cert", "pki renew"}},
		"the clocks differ":   {own(certstest.Request{NotBefore: now.Add(5e12), NotAfter: now.Add(9e12)}), old, "", 0, []string{"the server's clock or yours is off", "this machine's clock says"}},
		"not for clients":     {own(certstest.Request{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), old, "", 0, []string{"is not for clients", "own.cert"}},
		"its name is another": {good, old, "mon.example", 0, []string{"127.0.0.1", "mon.example", "--ssl-verify=ca", "pki server"}},
		"no TLS in common":    {good, modern, "", tls.VersionTLS12, []string{"--tls-min-version"}},
	} {
		t.Run(name, func(t *testing.T) {
			end, err := certs.Load(certs.Files{Cert: c.cert, Key: c.cert + ".key", CA: set.CA, MinVersion: "1.2"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Address: c.address, End: end, Verify: certs.VerifyName}
			err = greet(t, &o, c.names, c.max)
			text := Explain(err, &o)
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q (%v) does not say %q", text, err, want)
				}
			}
		})
	}
}

// Two CAs made with the default name are told from each other.
func TestAnotherCAOfTheSameNameIsNamed(t *testing.T) {
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	end, err := certs.Load(certs.Files{Cert: other.ClientCert, Key: other.ClientKey, CA: other.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Address: door(t, set, set.CA, "1.2"), End: end, Verify: certs.VerifyName}
	text := Explain(greet(t, &o, "", 0), &o)
	for _, want := range []string{"another CA of the name", other.CA, certs.Fingerprint(other.Authority.Cert)} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}

// greet shakes hands and reads a byte: a refusal may come only then.
func greet(t *testing.T, o *Options, name string, most uint16) error {
	t.Helper()
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		t.Fatal(err)
	}
	if name == "" {
		name = host
	}
	config := certs.ClientConfig(o.End, o.Verify, name)
	config.MaxVersion = most
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestByesAreExplained(t *testing.T) {
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	end, err := certs.Load(certs.Files{Cert: set.ClientCert, Key: set.ClientKey, CA: set.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Address: "mon:5678", End: end}
	for _, c := range []struct {
		bye  wire.ByeError
		says []string
	}{
		{wire.ByeError{Reason: wire.NotListed}, []string{"mon:5678 does not list your certificate", set.ClientCert, "NAME.pem"}},
		{wire.ByeError{Reason: wire.NotListed, Text: "your certificate was revoked\x1b[2J"}, []string{`"your certificate was revoked\x1b[2J"`}},
		{wire.ByeError{Reason: wire.BadPolicy}, []string{"NAME.json"}},
		{wire.ByeError{Reason: wire.Overloaded, Text: "too many"}, []string{"overloaded", "too many"}},
	} {
		text := Explain(errors.Join(errors.New("read"), &c.bye), &o)
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
	}
}
