package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
)

// ParseKey reads the first private key of a PEM file, as we and as OpenSSL write
// them. from is what its errors call the file.
func ParseKey(from string, data []byte) (crypto.Signer, error) {
	if isDER(data) {
		return nil, fmt.Errorf("%s holds no private key in PEM form: it is in DER form, convert it with `openssl pkey -inform DER -in OLD -out NEW`", from)
	}
	blocks, err := ReadPEM(data)
	if err != nil {
		return nil, fmt.Errorf("the private key in %s, %w", from, err)
	}
	for _, b := range blocks {
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue // such as EC PARAMETERS
		}
		if strings.Contains(b.Type, "ENCRYPTED") || b.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("the private key in %s is encrypted: a daemon cannot ask for its password, "+
				"take it off with `openssl pkey -in OLD -out NEW`", from)
		}
		key, err := b.key()
		if err != nil {
			return nil, fmt.Errorf("the private key in %s, line %d, cannot be used: %w", from, b.Line, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("%s holds no private key in PEM form", from)
}

// key reads a key by what is in the block: some programs write PKCS #8 under the
// label of another form.
func (b Block) key() (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		return signer(key)
	}
	if key, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return signer(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return signer(key)
	}
	return nil, fmt.Errorf("it is no RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key in a form that can be read; "+
		"RSA-PSS keys, keys with explicit curve parameters and other curves cannot: make one with "+
		"`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` and a certificate for it (block %q)", b.Type)
}

func signer(key any) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign: make an RSA, ECDSA or Ed25519 one", key)
	}
	if trouble := unusableKey(s.Public()); trouble != "" {
		return nil, fmt.Errorf("it %s", trouble)
	}
	return s, nil
}

// unusableKey says why no TLS connection can be proved with a key; "" if it can.
func unusableKey(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 1024 {
			return fmt.Sprintf("has an RSA key of %d bits, which is too weak to be used: make one of 2048", bits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Params().BitSize; bits < 256 {
			return fmt.Sprintf("has a key of the curve %s, which TLS 1.3 does not know: make one of P-256", key.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return "has a key of a kind that cannot be used (RSA-PSS, or a curve given by its parameters): make one of P-256"
	}
	return ""
}

// SamePublic tells whether two public keys are one.
func SamePublic(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
