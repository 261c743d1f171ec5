package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUntrusted says that a chain, proved once, leads to a CA that is trusted no
// more.
var ErrUntrusted = errors.New("the certificate does not lead to a CA that is trusted any more")

// authorityKey is what the signatures of a CA are checked with. A CA that was
// renewed with its key has the same.
func authorityKey(c *x509.Certificate) string {
	return string(c.RawSubject) + "\x00" + string(c.RawSubjectPublicKeyInfo)
}

// trusts tells whether one of the chains leads to a CA of the set. The handshake
// has proved each signature in them; what is left to ask is whose word counts,
// and until when.
func (a *authorities) trusts(chains [][]*x509.Certificate, now time.Time) bool {
	for _, chain := range chains {
		for _, c := range chain {
			if until, ok := a.keys[authorityKey(c)]; ok && now.Before(until) {
				return true
			}
			if now.After(c.NotAfter) {
				break
			}
		}
	}
	return false
}

// Check tells whether a peer that proved these chains in its handshake is still
// one to trust. The error is ErrUntrusted or a *RevokedError.
func (e End) Check(chains [][]*x509.Certificate) error {
	if !e.Pool.current().trusts(chains, time.Now()) {
		return ErrUntrusted
	}
	return e.Revoked.Check(chains)
}

// Generation tells by another number that other CAs or revocation lists count
// than before.
func (e End) Generation() uint64 {
	n := e.Pool.generation()
	if e.Revoked != nil {
		n += e.Revoked.generation()
	}
	return n
}

// Namesake returns a CA of the pool that has the name of a certificate's issuer,
// whether or not it is the one that signed it; nil if there is none.
func (p *Pool) Namesake(c *x509.Certificate) *x509.Certificate {
	for _, authority := range p.authorities() {
		if bytes.Equal(authority.RawSubject, c.RawIssuer) {
			return authority
		}
	}
	return nil
}

// File is where the CAs are read from.
func (p *Pool) File() string { return p.file }

// Fingerprint is the SHA-256 of a certificate as openssl x509 -fingerprint
// prints it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
