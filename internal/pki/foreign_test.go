package pki

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/certs"
)

// company is a CA as a company has one: RSA, and an intermediate that signs.
type company struct {
	t                  *testing.T
	root, intermediate *x509.Certificate
	key                crypto.Signer
}

func newCompany(t *testing.T) *company {
	c := &company{t: t}
	rootKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.root = c.certify("Company Root", nil, rootKey.Public(), rootKey)
	if c.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	c.intermediate = c.certify("Company Issuing", c.root, c.key.Public(), rootKey)
	return c
}

func (c *company) certify(name string, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	c.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if parent == nil {
		parent = template
	}
	return c.create(template, parent, public, key)
}

func (c *company) create(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

// answer signs a request file as the company's CA does, and returns PEM.
func (c *company) answer(request string, usage x509.ExtKeyUsage) []byte {
	c.t.Helper()
	data, err := os.ReadFile(request)
	if err != nil {
		c.t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	return encodeCert(c.create(&x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: csr.Subject, DNSNames: csr.DNSNames,
		IPAddresses: csr.IPAddresses, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}}, c.intermediate, csr.PublicKey, c.key))
}

// A company's own CA answers with PEM files, in any order.
func TestCompanyCA(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	c := newCompany(t)
	s.run("request", "--server", "mon", "--dir", "server", "--out", "server.csr")
	s.run("request", "web1", "--dir", "client")
	install := func(dir string, parts ...[]byte) {
		t.Helper()
		s.in = bytes.Join(parts, nil)
		s.run("install", "-", "--dir", dir)
	}
	leaf := c.answer("server.csr", x509.ExtKeyUsageServerAuth)
	s.in = leaf
	s.fails("install it first").run("install", "-", "--dir", "server")
	install("server", encodeCert(c.root), encodeCert(c.intermediate), leaf)
	leaf = c.answer("web1.csr", x509.ExtKeyUsageClientAuth)
	install("client", encodeCert(c.root))
	install("client", leaf, encodeCert(c.intermediate))
	if err := handshake(t, "server", "client", "mon"); err != nil {
		t.Error(err)
	}
	s.in = c.answer("web1.csr", x509.ExtKeyUsageServerAuth)
	s.fails("would not be accepted").run("install", "-", "--dir", "client", "--force")
	s.in = leaf
	s.fails("pki request").run("install", "-", "--dir", "server")
	s.in = append(leaf, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})...)
	s.fails("certificates alone").run("install", "-", "--dir", "client")
}

func archiveOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: 1}
		if target, ok := strings.CutPrefix(name, "link:"); ok {
			h = &tar.Header{Name: target, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write([]byte("x"))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An archive from elsewhere writes what belongs to such an archive and nothing
// that does not fit together.
func TestBadArchives(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon")
	s.run("client", "web1", "--dir", "d", "--bundle", "web1.tar")
	s.run("client", "web2", "--dir", "d", "--bundle", "web2.tar")
	read := func(name string) kit {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		k, err := readArchive(data)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	whole, err := os.ReadFile("web1.tar")
	if err != nil {
		t.Fatal(err)
	}
	mixed := read("web1.tar")
	mixed[certs.ClientKeyName] = read("web2.tar")[certs.ClientKeyName]
	otherCA := read("web1.tar")
	s.run("init", "--dir", "other")
	if otherCA[certs.CACertName], err = os.ReadFile(filepath.Join("other", certs.CACertName)); err != nil {
		t.Fatal(err)
	}
	for says, data := range map[string][]byte{
		"../../etc/cron.d/x":          archiveOf(t, "../../etc/cron.d/x"),
		"/etc/passwd":                 archiveOf(t, certs.CACertName, "/etc/passwd"),
		"allowed-client-cert.d/../x":  archiveOf(t, "allowed-client-cert.d/../x.pem"),
		"checks.d/x.cfg":              archiveOf(t, "checks.d/x.cfg"),
		certs.CACertName + `", which`: archiveOf(t, "link:"+certs.CACertName),
		"does not belong":             mixed.archive(),
		"would not be accepted":       otherCA.archive(),
		"no certificate":              archiveOf(t, certs.ClientCertName),
		"neither an archive":          []byte("hello"),
		"empty":                       archiveOf(t),
		"unexpected EOF":              whole[:700],
		"line 1: ":                    []byte("-----BEGIN NOTHING"),
		"it holds a NOTHING":          []byte("-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n"),
	} {
		s.in = data
		s.fails(says).run("install", "-", "--dir", "victim")
		if _, err := os.Stat("victim"); err == nil {
			t.Fatalf("%q: something was written", says)
		}
	}
}

func TestBadRequests(t *testing.T) {
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	request := func(key crypto.Signer, name string, hosts ...string) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: hosts}, key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	forged := request(good, "web1")
	block, _ := pem.Decode(forged)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for says, c := range map[string]struct {
		data []byte
		role role
	}{
		"no certificate request": {[]byte("hello"), client},
		"too weak":               {request(weak, "web1"), client},
		"has the key":            {pem.EncodeToMemory(block), client},
		`"../web1"`:              {request(good, "../web1"), client},
		`"a\nb"`:                 {request(good, "a\nb"), client},
		`""`:                     {request(good, ""), client},
		`"mon:1"`:                {request(good, "x", "mon:1"), server},
		`"a b"`:                  {request(good, "a b"), server},
	} {
		if _, _, err := parseRequest(c.data, c.role); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
	if s, _, err := parseRequest(request(good, "mon"), server); err != nil || len(s.hosts) != 1 || s.hosts[0] != "mon" {
		t.Errorf("a server with a common name alone: %v, %v", s, err)
	}
}

// FuzzArchive: what is read holds allowed names only and packs to what is read
// again.
func FuzzArchive(f *testing.F) {
	f.Add(kit{certs.CACertName: []byte("a"), certs.AllowedDirName + "/web1.pem": []byte("b")}.archive())
	f.Add(archiveOf(f, "../x"))
	f.Add(archiveOf(f, "link:"+certs.CACertName))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := readArchive(data)
		if err != nil {
			return
		}
		for _, file := range k.files("dir", nil) {
			if rest, ok := strings.CutPrefix(file.path, "dir/"); !ok || strings.Contains(rest, "..") && !strings.HasSuffix(rest, ".pem") ||
				strings.Count(rest, "/") > 1 {
				t.Errorf("%q would be written", file.path)
			}
		}
		again, err := readArchive(k.archive())
		if err != nil || len(again) != len(k) {
			t.Errorf("%v became %v, %v", k, again, err)
		}
	})
}

// FuzzRequest: a request that is taken has names that are names.
func FuzzRequest(f *testing.F) {
	key, err := newKey()
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "web1"}}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range []role{client, server} {
			if s, public, err := parseRequest(data, r); err == nil && (s.name == "" || public == nil || strings.ContainsAny(s.name, "/\n\x00 ")) {
				t.Errorf("took %q", s.name)
			}
		}
	})
}
