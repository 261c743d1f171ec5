package server

import (
	"crypto/tls"
	"testing"

	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// Old peers get in only where that was asked for, and are named once, however
// often they connect.
func TestOldPeersAreNamed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.TLSMinVersion = "1.0" })
	end, err := certs.Load(certs.Files{Cert: r.set.ClientCert, Key: r.set.ClientKey, CA: r.set.CA, MinVersion: "1.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := certs.ClientConfig(end, certs.VerifyName, "127.0.0.1")
	config.MaxVersion = tls.VersionTLS11
	for i := range 3 {
		conn, err := tls.Dial("tcp", r.server.Addrs()[0].String(), config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.Connect(t.Context(), conn, wire.Hello{Instance: wire.Instance{byte(i + 1)}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	r.log.await(t, `"client":"web1"`, "TLS 1.1", "--tls-min-version")
	r.deliver(wire.Instance{9}, 1) // TLS 1.3
	if said := r.log.lines("--tls-min-version"); len(said) != 1 {
		t.Errorf("said %d times: %q", len(said), said)
	}
}
