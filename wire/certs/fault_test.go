package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made is a certificate with its key, as a test wants it to be.
type made struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// make signs a certificate; by nil it signs itself.
func (by *made) make(t *testing.T, name string, change func(*x509.Certificate)) *made {
	t.Helper()
	curve := elliptic.P256()
	if name == "small" {
		curve = elliptic.P224()
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	change(template)
	parent := &made{template, key}
	if by != nil {
		parent = by
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &made{cert, key}
}

func aCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }

func aLeaf(c *x509.Certificate) {
	c.DNSNames, c.IPAddresses = []string{"mon"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

func and(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
func early(c *x509.Certificate)   { c.NotBefore = time.Now().Add(30 * time.Minute) }
func critical(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
}
func noCerts(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }
func short(c *x509.Certificate)   { c.MaxPathLenZero = true }
func forMail(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
}
func nothing(*x509.Certificate)     {}
func notForNow(c *x509.Certificate) { c.BasicConstraintsValid = true }

// Each fault of a chain is told with the certificate that is at fault, whichever of
// the two ends showed it, at both ends, by TLS 1.2 and 1.3.
func TestFaultsAreToldOfTheRightCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		root, middle, leaf func(*x509.Certificate)
		leafName           string
		at                 string // the certificate that is named
		says               string
		kind               FaultKind
		alone              bool // the end that shows it cannot know
	}{
		"the leaf expired":               {aCA, aCA, and(aLeaf, expired), "leaf", "CN=leaf", "expired on", FaultExpired, false},
		"the leaf is early":              {aCA, aCA, and(aLeaf, early), "leaf", "CN=leaf", "is not valid before", FaultNotYetValid, false},
		"the intermediate expired":       {aCA, and(aCA, expired), aLeaf, "leaf", "CN=middle", "expired on", FaultExpired, false},
		"the intermediate is early":      {aCA, and(aCA, early), aLeaf, "leaf", "CN=middle", "is not valid before", FaultNotYetValid, false},
		"the root expired":               {and(aCA, expired), aCA, aLeaf, "leaf", "CN=root", "expired on", FaultExpired, false},
		"the root is early":              {and(aCA, early), aCA, aLeaf, "leaf", "CN=root", "is not valid before", FaultNotYetValid, false},
		"the leaf is for mail":           {aCA, aCA, and(aLeaf, forMail), "leaf", "CN=leaf", "it lacks the extended key usage", FaultUsage, false},
		"the intermediate is for mail":   {aCA, and(aCA, forMail), aLeaf, "leaf", "CN=middle", "its extended key usage lacks", FaultUsage, false},
		"the intermediate is no CA":      {aCA, notForNow, aLeaf, "leaf", "CN=middle", "that of no CA", FaultNoCA, false},
		"the intermediate signs no more": {aCA, and(aCA, noCerts), aLeaf, "leaf", "CN=middle", "keyCertSign", FaultUsage, false},
		"the root allows no CA below":    {and(aCA, short), aCA, aLeaf, "leaf", "CN=root", "allows 0 CAs below it", FaultNoCA, false},
		"the leaf is critical":           {aCA, aCA, and(aLeaf, critical), "leaf", "CN=leaf", "1.2.3.4", FaultExtension, false},
		"the intermediate is critical":   {aCA, and(aCA, critical), aLeaf, "leaf", "CN=middle", "1.2.3.4", FaultExtension, false},
		"the intermediate is missing":    {aCA, nil, aLeaf, "leaf", "CN=leaf", "does not lead to a CA", FaultUnknownCA, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := (*made)(nil).make(t, "root", c.root)
			middle := root.make(t, "middle", and(aCA, nothing))
			if c.middle != nil {
				middle = root.make(t, "middle", c.middle)
			}
			leaf := middle.make(t, c.leafName, c.leaf)
			good := (*made)(nil).make(t, "good root", aCA)
			well := good.make(t, "well", aLeaf)
			chainOf := []*made{leaf, middle}
			if c.middle == nil {
				chainOf = chainOf[:1]
			}
			bad := endOf(t, chainOf, root, good)
			fine := endOf(t, []*made{well}, root, good)
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				_, _, err := handshake(t, atMost(version, serverConfig(bad)), ClientConfig(fine, VerifyName, "mon"))
				if err == nil || !strings.Contains(err.Error(), c.at) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "the server's") {
					t.Errorf("%s, of a server: %v does not say %q of %q", tls.VersionName(version), err, c.says, c.at)
				}
				_, serverErr, clientErr := handshake(t, atMost(version, serverConfig(fine)), ClientConfig(bad, VerifyName, "mon"))
				f := fine.Pool.ClientFault(unverified(t, serverErr))
				if f.Kind != c.kind || !strings.Contains(f.Error(), c.at) || !strings.Contains(f.Error(), c.says) {
					t.Errorf("%s, of a client: %q, %v does not say %q of %q", tls.VersionName(version), f.Kind, f, c.says, c.at)
				}
				if clientErr == nil || !strings.Contains(clientErr.Error(), "remote error") {
					t.Errorf("%s: the client is told %v", tls.VersionName(version), clientErr)
				}
			}
			own := bad.OwnFault()
			if c.alone != (own == nil) || own != nil && (own.Kind != c.kind || !strings.Contains(own.Error(), c.at)) {
				t.Errorf("its own end says %v", own)
			}
			if own := fine.OwnFault(); own != nil {
				t.Errorf("the good one says of itself: %v", own)
			}
		})
	}
}

func unverified(t *testing.T, err error) ([]*x509.Certificate, error) {
	t.Helper()
	v, ok := err.(*tls.CertificateVerificationError)
	if !ok {
		t.Fatalf("the server said %v", err)
	}
	return v.UnverifiedCertificates, v.Err
}

func atMost(version uint16, c *tls.Config) *tls.Config {
	configure := c.GetConfigForClient
	c.MaxVersion = version
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		inner, err := configure(h)
		if inner != nil {
			inner.MaxVersion = version
		}
		return inner, err
	}
	return c
}

// endOf is an end that shows a chain and trusts some roots.
func endOf(t *testing.T, chain []*made, roots ...*made) End {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, certs []*made) string {
		var text []byte
		for _, c := range certs {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	der, err := x509.MarshalPKCS8PrivateKey(chain[0].key)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, write("cert", chain), key, write("ca", roots))
}

// Of a CA that was renewed with its key, the one that is good now counts.
func TestARenewedCAIsNotAtFault(t *testing.T) {
	old := (*made)(nil).make(t, "root", and(aCA, expired))
	renewed := &made{key: old.key}
	template := *old.cert
	template.NotAfter = time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, old.key.Public(), old.key)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	leaf := renewed.make(t, "leaf", and(aLeaf, forMail))
	f := endOf(t, []*made{leaf}, old, renewed).OwnFault()
	if f == nil || f.Kind != FaultUsage || f.Cert.Subject.CommonName != "leaf" {
		t.Errorf("got %v", f)
	}
}

// What TLS cannot use stops a start, and is called what it is.
func TestKeysThatTLSCannotUse(t *testing.T) {
	dir := t.TempDir()
	root := (*made)(nil).make(t, "root", aCA)
	small := root.make(t, "small", aLeaf)
	der, err := x509.MarshalPKCS8PrivateKey(small.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: small.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPair(cert, key, nil); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "P-224") {
		t.Errorf("a key of P-224: %v", err)
	}
	for name, says := range map[string]string{
		"RSA-PSS": "RSA-PSS keys", "explicit": "explicit curve parameters",
	} {
		if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: foreignKeys[name]}), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPair(cert, key, nil); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "belong") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// foreignKeys are as much of keys that are not read as tells their kind.
var foreignKeys = map[string][]byte{
	"RSA-PSS":  pkcs8(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}),
	"explicit": pkcs8(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}),
}

func pkcs8(algorithm asn1.ObjectIdentifier) []byte {
	der, err := asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: algorithm, Parameters: asn1.RawValue{FullBytes: []byte{0x30, 0}}}, []byte{1, 2, 3}})
	if err != nil {
		panic(err)
	}
	return der
}

// An address that stands where a name is looked for is told as that.
func TestAnAddressAsADNSName(t *testing.T) {
	root := (*made)(nil).make(t, "root", aCA)
	leaf := root.make(t, "leaf", func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"127.0.0.1"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	server := endOf(t, []*made{leaf}, root)
	client := endOf(t, []*made{root.make(t, "client", aLeaf)}, root)
	_, _, err := handshake(t, serverConfig(server), ClientConfig(client, VerifyName, "127.0.0.1"))
	if err == nil || !strings.Contains(err.Error(), "as a DNS name") || !strings.Contains(err.Error(), `"127.0.0.1"`) {
		t.Errorf("got %v", err)
	}
}

// What Go calls an unknown authority, because it checks no such signature, is called
// what it is. The files were made by OpenSSL: Go makes none like them.
func TestWeakChains(t *testing.T) {
	read := func(name string) *x509.Certificate {
		list, err := ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	for kind, c := range map[string]struct{ at, says string }{
		"short": {"CN=short CA", "RSA key of 768 bits"},
		"sha1":  {"CN=leaf", "SHA1-RSA"},
	} {
		pool, err := LoadPool(filepath.Join("testdata", kind+"-ca.pem"), nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf := read(kind + "-leaf.pem")
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool.current().pool})
		f := pool.ClientFault([]*x509.Certificate{leaf}, err)
		if err == nil || f.Kind != FaultWeak || !strings.Contains(f.Error(), c.at) || !strings.Contains(f.Error(), c.says) {
			t.Errorf("%s: %v is told as %q, %v", kind, err, f.Kind, f)
		}
	}
}
