// Package certstest makes throwaway authorities and certificates for tests and
// demonstrations. They are valid for a day and protect nothing.
package certstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a CA with its key in memory.
type Authority struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request says what certificate to make. Hosts are DNS names and addresses;
// zero times mean from an hour ago to a day from now.
type Request struct {
	Name                string
	Hosts               []string
	Usage               []x509.ExtKeyUsage
	RSA                 bool // a key as those of 2013, instead of ECDSA
	NotBefore, NotAfter time.Time
}

// New makes an authority.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := Request{Name: name}.template()
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert, key}, err
}

// WriteCA writes the authority's certificate as a PEM file.
func (a *Authority) WriteCA(file string) error {
	return writePEM(file, "CERTIFICATE", a.Cert.Raw, 0o644)
}

// Write makes a certificate and writes it and its key as PEM files.
func (a *Authority) Write(r Request, certFile, keyFile string) error {
	key, err := r.newKey()
	if err != nil {
		return err
	}
	template, err := r.template()
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if r.RSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der, 0o644)
}

// Pair is the authority's certificate and key, to be misused as a peer's.
func (a *Authority) Pair() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.Cert.Raw}, PrivateKey: a.key, Leaf: a.Cert}
}

// WriteCRL writes a list, good for a day, that revokes these certificates.
func (a *Authority) WriteCRL(file string, revoked ...*x509.Certificate) error {
	template := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}
	for _, c := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.Cert, a.key)
	if err != nil {
		return err
	}
	return writePEM(file, "X509 CRL", der, 0o644)
}

func (r Request) newKey() (crypto.Signer, error) {
	if r.RSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func (r Request) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: r.Name},
		NotBefore:    r.NotBefore,
		NotAfter:     r.NotAfter,
		ExtKeyUsage:  r.Usage,
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template, nil
}

// Set is the file names of a whole throwaway set-up, and who signed for it.
type Set struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey, AllowedDir string
	Authority                                                    *Authority
}

// WriteSet fills dir: an authority, a server certificate for hosts (and
// 127.0.0.1, ::1 and localhost), and a client certificate that is listed in
// the allowed directory.
func WriteSet(dir, client string, hosts ...string) (Set, error) {
	path := func(name string) string { return filepath.Join(dir, name) }
	s := Set{path("massive-passive-ssl-ca.cert"), path("massive-passive-server-ssl.cert"), path("massive-passive-server-ssl.key"),
		path("massive-passive-client-ssl.cert"), path("massive-passive-client-ssl.key"), path("allowed-client-cert.d"), nil}
	authority, err := New("massive-passive throwaway CA")
	if err != nil {
		return s, err
	}
	s.Authority = authority
	if err := os.MkdirAll(s.AllowedDir, 0o755); err != nil {
		return s, err
	}
	hosts = append(hosts, "127.0.0.1", "::1", "localhost")
	server := Request{Name: "server", Hosts: hosts, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	listed := Request{Name: client, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, step := range []func() error{
		func() error { return authority.WriteCA(s.CA) },
		func() error { return authority.Write(server, s.ServerCert, s.ServerKey) },
		func() error { return authority.Write(listed, s.ClientCert, s.ClientKey) },
		func() error { return copyFile(filepath.Join(s.AllowedDir, client+".pem"), s.ClientCert) },
	} {
		if err := step(); err != nil {
			return s, fmt.Errorf("make throwaway certificates: %w", err)
		}
	}
	return s, nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
