package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"massive-passive/wire/certs"
)

// Lifetimes in days. A leaf lives as long as browsers once allowed; a CA as
// long as nobody wants to visit all hosts again.
const (
	leafDays = 825
	caDays   = 3650
)

// backdate lets a certificate begin before it was made, because the clocks of
// two hosts are never quite the same.
const backdate = time.Hour

const (
	issuedName = "issued"
	clientsDir = "clients"
)

// role is what a certificate is for.
type role string

const (
	client role = "client"
	server role = "server"
	ca     role = "CA"
)

func (r role) certName() string {
	if r == server {
		return certs.ServerCertName
	}
	return certs.ClientCertName
}

func (r role) keyName() string {
	if r == server {
		return certs.ServerKeyName
	}
	return certs.ClientKeyName
}

func (r role) usage() x509.ExtKeyUsage {
	if r == server {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

// authority is a CA with its key.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// subject is what a certificate is made for. hosts are DNS names and
// addresses; a client has none.
type subject struct {
	role  role
	name  string
	hosts []string
	days  int
}

// newAuthority makes a CA; it writes nothing.
func newAuthority(dir, name string, days int) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key}
	return a, a.certify(pkix.Name{CommonName: name}, days)
}

// certify makes the CA's own certificate, anew for the same key if there was
// one: what it signed before stays good.
func (a *authority) certify(name pkix.Name, days int) error {
	template, err := newTemplate(name, days)
	if err != nil {
		return err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("make the CA's certificate: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	return err
}

// openAuthority reads the CA in dir.
func openAuthority(dir string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, certs.CACertName), filepath.Join(dir, certs.CAKeyName)
	keyPEM, err := os.ReadFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no CA key in %s: make a CA with `massive-passive pki init`, or name its directory with --dir", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the CA's key: %w", err)
	}
	list, err := certs.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := certs.ParseKey(keyFile, keyPEM)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, cert: list[0], key: key}
	switch {
	case !certs.SamePublic(a.cert.PublicKey, key.Public()):
		return nil, fmt.Errorf("the key in %s does not belong to the certificate in %s", keyFile, certFile)
	case time.Now().After(a.cert.NotAfter):
		return a, fmt.Errorf("the CA in %s expired on %s: `massive-passive pki renew --ca` gives it a new certificate for the same key", certFile, day(a.cert.NotAfter))
	}
	return a, nil
}

// sign makes a certificate for a public key. It never outlives the CA.
func (a *authority) sign(s subject, public crypto.PublicKey) (*x509.Certificate, error) {
	template, err := newTemplate(pkix.Name{CommonName: s.name}, s.days)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{s.role.usage()}
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", s.name, err)
	}
	return x509.ParseCertificate(der)
}

func newTemplate(name pkix.Name, days int) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: name, NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, days)}, nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func (a *authority) caPEM() []byte { return encodeCert(a.cert) }

// record is how a certificate that was issued is kept for list and renew.
func (a *authority) record(c *x509.Certificate) file {
	return file{path: filepath.Join(a.dir, issuedName, fmt.Sprintf("%x.cert", c.SerialNumber)), data: encodeCert(c), mode: public}
}

func encodeCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
