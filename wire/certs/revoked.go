package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"massive-passive/internal/disk"
)

// Revoked is what the revocation lists of a file say.
type Revoked struct {
	*reloading[*revocations]
	file string
}

// revocations are the lists of a file, checked.
type revocations struct {
	serials map[string]bool // by revocationKey
	until   time.Time       // when the first of the lists is out of date
	// unlisted are the CAs that are trusted and of which there is no list: nothing
	// that they take back is noticed.
	unlisted []string
}

// RevokedError says that a certificate was taken back by its CA.
type RevokedError struct{ Cert *x509.Certificate }

func (e *RevokedError) Error() string {
	return fmt.Sprintf("the certificate %q (serial %x) was revoked", e.Cert.Subject, e.Cert.SerialNumber)
}

// LoadRevoked reads revocation lists, in PEM form or a single one in DER. Each
// must be signed by a CA in caFile: whoever can write the file alone can lock
// nobody out. Errors name the file.
func LoadRevoked(file, caFile string, report Reloaded) (*Revoked, error) {
	r, err := newReloading([]string{file, caFile}, report, again, func() (*revocations, error) {
		authorities, err := ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		data, err := disk.ReadFile(context.Background(), file, maxCRL)
		if err != nil {
			return nil, fmt.Errorf("read the revocation list: %w", err)
		}
		list, err := parseRevocations(data, authorities)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return list, nil
	})
	if err != nil {
		return nil, err
	}
	return &Revoked{r, file}, nil
}

func parseRevocations(data []byte, authorities []*x509.Certificate) (*revocations, error) {
	all := &revocations{serials: map[string]bool{}}
	var lists [][]byte
	var seen []*x509.RevocationList
	if isDER(data) {
		lists = [][]byte{data}
	} else if blocks, err := ReadPEM(data); err != nil {
		return nil, err
	} else {
		for _, b := range blocks {
			if b.Type == listType {
				lists = append(lists, b.Bytes)
			}
		}
	}
	if len(lists) == 0 {
		return nil, errors.New("holds no revocation list")
	}
	for n, der := range lists {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", n+1, err)
		}
		if len(crl.Raw) != len(der) {
			return nil, fmt.Errorf("revocation list %d: there is more behind it: give several in PEM form, one after the other", n+1)
		}
		if !signedByOne(crl, authorities) {
			return nil, fmt.Errorf("revocation list %d, of %q, is not signed by one of our CAs: is it theirs?", n+1, crl.Issuer)
		}
		seen = append(seen, crl)
		if !crl.NextUpdate.IsZero() && (all.until.IsZero() || crl.NextUpdate.Before(all.until)) {
			all.until = crl.NextUpdate
		}
		for _, entry := range crl.RevokedCertificateEntries {
			all.serials[revocationKey(crl.RawIssuer, entry.SerialNumber)] = true
		}
	}
	for _, authority := range authorities {
		if !slices.ContainsFunc(seen, func(crl *x509.RevocationList) bool { return signedByOne(crl, []*x509.Certificate{authority}) }) {
			all.unlisted = append(all.unlisted, authority.Subject.String())
		}
	}
	return all, nil
}

func signedByOne(crl *x509.RevocationList, authorities []*x509.Certificate) bool {
	for _, authority := range authorities {
		if bytes.Equal(authority.RawSubject, crl.RawIssuer) && crl.CheckSignatureFrom(authority) == nil {
			return true
		}
	}
	return false
}

func revocationKey(issuer []byte, serial *big.Int) string {
	return string(issuer) + "\x00" + serial.String()
}

// Check tells whether a peer that proved these chains is left with one of
// which nothing was revoked. The error is a *RevokedError. A nil Revoked knows
// of nothing.
func (r *Revoked) Check(chains [][]*x509.Certificate) error {
	if r == nil {
		return nil
	}
	serials := r.current().serials
	var first error
	for _, chain := range chains {
		revoked := revokedIn(serials, chain)
		if revoked == nil {
			return nil
		}
		if first == nil {
			first = &RevokedError{revoked}
		}
	}
	return first
}

func revokedIn(serials map[string]bool, chain []*x509.Certificate) *x509.Certificate {
	for _, c := range chain {
		if serials[revocationKey(c.RawIssuer, c.SerialNumber)] {
			return c
		}
	}
	return nil
}

// Outdated says since when there should have been a newer list; the zero time
// if the lists are up to date. Old lists go on to count.
func (r *Revoked) Outdated(now time.Time) time.Time {
	if r == nil {
		return time.Time{}
	}
	if until := r.current().until; !until.IsZero() && now.After(until) {
		return until
	}
	return time.Time{}
}

// Unlisted names the CAs that are trusted though the file holds no list of them.
func (r *Revoked) Unlisted() []string {
	if r == nil {
		return nil
	}
	return r.current().unlisted
}

// File is where the lists are read from.
func (r *Revoked) File() string { return r.file }
