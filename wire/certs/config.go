package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"massive-passive/wire"
)

// End is what one end of a connection proves itself with, and what it asks of
// the other.
type End struct {
	Pair       *Pair
	Pool       *Pool
	MinVersion uint16   // of TLS, a constant of package tls; 0: DefaultMinVersion
	Revoked    *Revoked // asked by a server; may be nil
}

// Files names what an End is made of.
type Files struct {
	Cert, Key, CA string // paths of PEM files
	CRL           string // path of revocation lists; empty: none
	MinVersion    string // of TLS, as ParseVersion reads it
	Server        bool   // they are a server's, for the advice where one is missing
}

// Load makes an End. Errors name the file and what is wrong with it; report is
// told of what is read anew, and may be nil.
func Load(f Files, report Reloaded) (End, error) {
	e, err := f.read(report)
	return e, f.advise(err)
}

// advise adds to an error what to do about it.
func (f Files) advise(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.Server:
		return fmt.Errorf("%w: make it with `massive-passive pki init --server NAMES`, or name it with --ssl-ca-cert, --ssl-cert and --ssl-key", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: put it there with `massive-passive pki install FILE`, or name it with --ssl-ca-cert, --ssl-cert and --ssl-key", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this as the file's owner, or let a group of this user's read it (`chgrp GROUP FILE` and `chmod 640 FILE`)", err)
	}
	return err
}

func (f Files) read(report Reloaded) (e End, err error) {
	if e.MinVersion, err = ParseVersion(f.MinVersion); err != nil {
		return End{}, err
	}
	if e.Pair, err = LoadPair(f.Cert, f.Key, report); err != nil {
		return End{}, err
	}
	if e.Pool, err = LoadPool(f.CA, report); err != nil {
		return End{}, err
	}
	if f.CRL != "" {
		if e.Revoked, err = LoadRevoked(f.CRL, f.CA, report); err != nil {
			return End{}, err
		}
	}
	return e, nil
}

// Reread looks at the files now, not at the next handshake.
func (e End) Reread() {
	e.Pair.reread()
	e.Pool.reread()
	if e.Revoked != nil {
		e.Revoked.reread()
	}
}

// ErrCAAsClient says that a client came with the certificate of a CA: whose
// key signs must not be on every host.
var ErrCAAsClient = errors.New("its certificate is that of a CA and not for clients: make it one of its own")

// ServerConfig returns the configuration of the listening end: a client must
// prove a chain to the pool. A client without ALPN passes as well, so that the
// caller can tell a peer of an older protocol; tickets are off, because a
// resumed session would not prove anything anew.
func ServerConfig(e End) *tls.Config {
	base := &tls.Config{
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
		NextProtos:             []string{wire.ALPN},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return e.Pair.current(), nil
		},
	}
	base.VerifyConnection = func(state tls.ConnectionState) error {
		if state.PeerCertificates[0].IsCA {
			return ErrCAAsClient
		}
		return e.Revoked.Check(state.VerifiedChains)
	}
	restrict(base, e.MinVersion)
	var latest atomic.Pointer[tls.Config] // one for all connections while the pool stays the same
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c, cas := latest.Load(), e.Pool.current().pool
		if c == nil || c.ClientCAs != cas {
			c = base.Clone()
			c.GetConfigForClient = nil
			c.ClientCAs = cas
			latest.Store(c)
		}
		return c, nil
	}
	return base
}

// Verify says how much of a server's certificate a client checks.
type Verify string

const (
	// VerifyName checks the chain and that the certificate is for this server.
	VerifyName Verify = "name"
	// VerifyCA checks the chain only, as version 0.3.9 did.
	VerifyCA Verify = "ca"
)

// ClientConfig returns the configuration of the connecting end. names are
// those that the server's certificate may be for, the best first; one is
// enough.
func ClientConfig(e End, verify Verify, names ...string) *tls.Config {
	c := &tls.Config{
		SessionTicketsDisabled: true,
		NextProtos:             []string{wire.ALPN},
		// VerifyConnection below does what this switches off, for several names.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return e.Pair.current(), nil
		},
	}
	restrict(c, e.MinVersion)
	c.VerifyConnection = func(state tls.ConnectionState) error {
		return verifyServer(state, e.Pool, verify, names)
	}
	for _, name := range names {
		if net.ParseIP(name) == nil && strings.Contains(name, ".") {
			c.ServerName = name // only a hint to the server
			break
		}
	}
	return c
}

// ServerError says why a server's certificate was not accepted, in words that
// tell what mends it.
type ServerError struct {
	Problem string
	Err     error
}

func (e *ServerError) Error() string { return "the server's certificate " + e.Problem }

func (e *ServerError) Unwrap() error { return e.Err }

func verifyServer(state tls.ConnectionState, pool *Pool, verify Verify, names []string) error {
	if len(state.PeerCertificates) == 0 {
		return &ServerError{"is missing", nil}
	}
	leaf := state.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool.current().pool, Intermediates: intermediates})
	if err != nil {
		return &ServerError{explain(leaf, err, pool), err}
	}
	if verify == VerifyCA || slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) == nil }) {
		return nil
	}
	return &ServerError{wrongName(leaf, names), nil}
}

// explain puts a failed verification into words.
func explain(leaf *x509.Certificate, err error, pool *Pool) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	now := time.Now()
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(leaf.NotAfter):
		return fmt.Sprintf("expired on %s (this machine's clock says %s): renew it, or set the clock that is off",
			day(leaf.NotAfter), day(now))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("is not valid before %s and this machine's clock says %s: the server's clock or yours is off",
			leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Sprintf("(%s) is not for servers: it lacks the extended key usage serverAuth", leaf.Subject)
	case errors.As(err, &unknown) && Weak(unknown.Cert):
		return fmt.Sprintf("(%s) is signed with %s, which proves nothing any more, and no option allows it: make a new one",
			unknown.Cert.Subject, unknown.Cert.SignatureAlgorithm)
	case errors.As(err, &unknown) && pool.Namesake(leaf) != nil:
		return fmt.Sprintf("(%s) is issued by another CA of the name %s than the one in %s (SHA-256 fingerprint %s): "+
			"give --ssl-ca-cert the file of the CA that signed it, or have the server's certificate signed by this one",
			leaf.Subject, leaf.Issuer, pool.file, Fingerprint(pool.Namesake(leaf)))
	case errors.As(err, &unknown):
		return fmt.Sprintf("(%s, issued by %s) does not lead to a CA in %s: is --ssl-ca-cert the CA that signed it?",
			leaf.Subject, leaf.Issuer, pool.file)
	}
	return fmt.Sprintf("(%s) was refused: %v", leaf.Subject, err)
}

// Weak tells whether a certificate is signed in a way that Go verifies no more:
// what it calls an unknown authority is this then.
func Weak(c *x509.Certificate) bool {
	if c == nil {
		return false
	}
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	}
	return false
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func wrongName(leaf *x509.Certificate, names []string) string {
	has := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		has = append(has, ip.String())
	}
	if len(has) == 0 {
		return fmt.Sprintf("names no host, only the subject %s, and one of %q was expected: "+
			"make one with subject alternative names, as with `massive-passive pki server %s`, or give up the check of the name with --ssl-verify=ca",
			leaf.Subject, names, strings.Join(names, " "))
	}
	return fmt.Sprintf("is for %q, and one of %q was expected: correct the name or the address of the server, "+
		"make one for all names with `massive-passive pki server %s`, or give up the check of the name with --ssl-verify=ca",
		has, names, strings.Join(slices.Concat(has, names), " "))
}
