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
	Once          bool   // they are read now and never again, by a command that ends
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
	if e.Pair, err = loadPair(f.Cert, f.Key, report, reader(f.Once)); err != nil {
		return End{}, err
	}
	if e.Pool, err = loadPool(f.CA, report, reader(f.Once)); err != nil {
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

// ServerConfig returns the configuration of the listening end. clients says whether
// a client must, may or need not show a certificate; give one of the rules that have
// it verified, or tls.NoClientCert. The protocols are those of ALPN. A client without ALPN passes as well, so that the
// caller can tell a peer of an older protocol; tickets are off, because a
// resumed session would not prove anything anew.
func ServerConfig(e End, clients tls.ClientAuthType, protocols ...string) *tls.Config {
	base := &tls.Config{
		ClientAuth:             clients,
		SessionTicketsDisabled: true,
		NextProtos:             protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return e.Pair.current(), nil
		},
	}
	base.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil // the rule allows that
		}
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

func (e *ServerError) Error() string { return e.Problem }

func (e *ServerError) Unwrap() error { return e.Err }

func verifyServer(state tls.ConnectionState, pool *Pool, verify Verify, names []string) error {
	if len(state.PeerCertificates) == 0 {
		return &ServerError{"the server showed no certificate", nil}
	}
	leaf := state.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool.current().pool, Intermediates: intermediates}); err != nil {
		f := chain{"the server's", "the server's", state.PeerCertificates, pool.authorities(), pool.file, x509.ExtKeyUsageServerAuth, time.Now()}.diagnose(err)
		return &ServerError{f.Error(), err}
	}
	if verify == VerifyCA || slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) == nil }) {
		return nil
	}
	return &ServerError{wrongName(leaf, names), nil}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func wrongName(leaf *x509.Certificate, names []string) string {
	has := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		has = append(has, ip.String())
	}
	if wrong := addressesAsNames(leaf, names); len(wrong) > 0 {
		return fmt.Sprintf("the server's certificate %q has the address %q as a DNS name, where no address is looked for: "+
			"make one with it as an IP address, as with `massive-passive pki server %s`, or give up the check of the name with --ssl-verify=ca",
			leaf.Subject, wrong[0], strings.Join(names, " "))
	}
	if len(has) == 0 {
		return fmt.Sprintf("the server's certificate names no host, only the subject %s, and one of %q was expected: "+
			"make one with subject alternative names, as with `massive-passive pki server %s`, or give up the check of the name with --ssl-verify=ca",
			leaf.Subject, names, strings.Join(names, " "))
	}
	return fmt.Sprintf("the server's certificate is for %q, and one of %q was expected: correct the name or the address of the server, "+
		"make one for all names with `massive-passive pki server %s`, or give up the check of the name with --ssl-verify=ca",
		has, names, strings.Join(slices.Concat(has, names), " "))
}
