package certs

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire/certs/certstest"
)

// oldSet is what a set-up of 2013 has: RSA keys on both sides.
func oldSet(t *testing.T) (server, client End) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1"}
	for _, err := range []error{
		authority.WriteCA(path("ca")),
		authority.Write(certstest.Request{RSA: true, Hosts: hosts, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, path("server"), path("server.key")),
		authority.Write(certstest.Request{RSA: true, Name: "web1", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, path("client"), path("client.key")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return load(t, path("server"), path("server.key"), path("ca")), load(t, path("client"), path("client.key"), path("ca"))
}

// What an end takes goes by its own option alone, and with the old versions
// comes the key exchange that their libraries know.
func TestMinVersion(t *testing.T) {
	server, client := oldSet(t)
	versions := []string{"1.0", "1.1", "1.2", "1.3"}
	for i, least := range versions {
		var err error
		if server.MinVersion, err = ParseVersion(least); err != nil {
			t.Fatal(err)
		}
		for j, peer := range versions {
			config := ClientConfig(client, VerifyName, "127.0.0.1")
			if config.MaxVersion, err = ParseVersion(peer); err != nil {
				t.Fatal(err)
			}
			config.MinVersion = tls.VersionTLS10
			state, serverErr, clientErr := handshake(t, serverConfig(server), config)
			if good := serverErr == nil && clientErr == nil; good != (j >= i) {
				t.Errorf("server from %s, client up to %s: server %v, client %v", least, peer, serverErr, clientErr)
			} else if good && state.Version != config.MaxVersion {
				t.Errorf("server from %s, client up to %s: spoke %s", least, peer, tls.VersionName(state.Version))
			}
			if peer == "1.3" {
				continue // it has no other key exchange
			}
			config.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
			_, serverErr, clientErr = handshake(t, serverConfig(server), config)
			if good := serverErr == nil && clientErr == nil; good != (i < 2 && j >= i) {
				t.Errorf("server from %s, client up to %s with RSA key exchange: server %v, client %v", least, peer, serverErr, clientErr)
			}
		}
	}
}

func TestWeakCiphersStayOut(t *testing.T) {
	server, client := oldSet(t)
	server.MinVersion = tls.VersionTLS10
	for _, suite := range []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA} {
		config := ClientConfig(client, VerifyName, "127.0.0.1")
		config.MinVersion, config.MaxVersion, config.CipherSuites = tls.VersionTLS10, tls.VersionTLS12, []uint16{suite}
		if _, _, err := handshake(t, serverConfig(server), config); err == nil {
			t.Errorf("%s was spoken", tls.CipherSuiteName(suite))
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, text := range []string{"", "1", "1.4", "TLS1.2", "SSL3"} {
		if _, err := ParseVersion(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if v, err := ParseVersion(DefaultMinVersion); err != nil || v != tls.VersionTLS12 || Old(v) || !Old(tls.VersionTLS11) {
		t.Errorf("the default is %x, %v", v, err)
	}
}

func TestTooOld(t *testing.T) {
	end := func(min uint16) *tls.Config { return serverConfig(End{MinVersion: min}) }
	modern, rsaOnly := []uint16{tls.TLS_AES_128_GCM_SHA256}, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0x00ff}
	for name, c := range map[string]struct {
		min      uint16
		versions []uint16
		suites   []uint16
		want     string // part; "": nothing
	}{
		"modern":                 {0, []uint16{tls.VersionTLS13, tls.VersionTLS12}, modern, ""},
		"of 2013":                {0, []uint16{tls.VersionTLS10}, rsaOnly, "nothing above TLS 1.0: --tls-min-version=1.0"},
		"1.1":                    {0, []uint16{tls.VersionTLS10, tls.VersionTLS11}, rsaOnly, "--tls-min-version=1.1"},
		"1.2 where 1.3 is asked": {tls.VersionTLS13, []uint16{tls.VersionTLS12}, modern, "--tls-min-version=1.2"},
		"RSA key exchange":       {0, []uint16{tls.VersionTLS12}, rsaOnly, "--tls-min-version=1.0"},
		"the same, let in":       {tls.VersionTLS10, []uint16{tls.VersionTLS12}, rsaOnly, ""},
		"versions that are none": {0, []uint16{0x7f1c, 0x0a0a}, modern, ""},
		"one that is none":       {0, []uint16{0xfafa, tls.VersionTLS10}, modern, "nothing above TLS 1.0"},
		"nothing":                {0, nil, nil, ""},
	} {
		got := TooOld(end(c.min), &tls.ClientHelloInfo{SupportedVersions: c.versions, CipherSuites: c.suites})
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
