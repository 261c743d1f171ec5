package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"massive-passive/wire/certs"
)

// pendingSuffix marks a key whose certificate has not come yet, beside the one
// that is in use.
const pendingSuffix = ".new"

// request is a key that was made here and stays here, and what a CA needs to
// sign a certificate for it.
type request struct {
	key file
	csr []byte
}

// newRequest makes a key below dir for a certificate of s.
func newRequest(dir string, s subject, o *owner) (request, error) {
	key, err := newKey()
	if err != nil {
		return request{}, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: s.name}}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return request{}, fmt.Errorf("make the request: %w", err)
	}
	data, err := encodeKey(key)
	if err != nil {
		return request{}, err
	}
	path := filepath.Join(dir, s.role.keyName())
	if _, err := os.Lstat(path); err == nil {
		path += pendingSuffix
	} else if !errors.Is(err, fs.ErrNotExist) {
		return request{}, err
	}
	return request{file{path: path, data: data, mode: private, owner: o},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}, nil
}

// parseRequest reads a request and holds it to what the CA signs: whoever asks
// has the key, the key is strong enough, and the names are names. The role is
// the signer's to say, never the request's.
func parseRequest(data []byte, r role) (subject, crypto.PublicKey, error) {
	blocks, err := certs.ReadPEM(data)
	if err != nil {
		return subject{}, nil, fmt.Errorf("read the request: %w", err)
	}
	blocks = slices.DeleteFunc(blocks, func(b certs.Block) bool {
		return b.Type != "CERTIFICATE REQUEST" && b.Type != "NEW CERTIFICATE REQUEST"
	})
	switch len(blocks) {
	case 0:
		return subject{}, nil, errors.New("holds no certificate request in PEM form")
	case 1:
	default:
		return subject{}, nil, fmt.Errorf("holds %d certificate requests: give each in a file of its own", len(blocks))
	}
	block := blocks[0]
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return subject{}, nil, fmt.Errorf("read the request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return subject{}, nil, fmt.Errorf("check that whoever asks has the key: %w", err)
	}
	if err := checkStrength(csr.PublicKey); err != nil {
		return subject{}, nil, err
	}
	s := subject{role: r, name: csr.Subject.CommonName}
	if r == client {
		return s, csr.PublicKey, checkClientName(s.name)
	}
	hosts := slices.Clone(csr.DNSNames)
	for _, ip := range csr.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	if len(hosts) == 0 {
		hosts = []string{s.name}
	}
	if s.hosts, err = checkHosts(hosts); err != nil {
		return subject{}, nil, err
	}
	s.name = serverName(s.hosts)
	return s, csr.PublicKey, nil
}

// checkStrength refuses keys that are too weak, or that peers cannot use.
func checkStrength(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return fmt.Errorf("an RSA key of %d bits is too weak: it takes 2048", bits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Params().BitSize; bits < 256 {
			return fmt.Errorf("an ECDSA key of %d bits is too weak: it takes 256", bits)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("a key of type %T cannot be signed here", key)
	}
	return nil
}

// serverName is the common name of a server's certificate, which nobody
// compares with anything.
func serverName(hosts []string) string {
	if len(hosts[0]) > maxName {
		return "massive-passive server"
	}
	return hosts[0]
}
