package certs

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is why a certificate is not accepted: which one of its chain is at fault,
// and what is wrong with it. Its text names it and says what mends it.
type Fault struct {
	Kind FaultKind
	Cert *x509.Certificate // the one at fault
	text string
}

func (f *Fault) Error() string { return f.text }

// FaultKind is what may be wrong with a certificate. There are few, so that what
// is said about them can be counted.
type FaultKind string

// The kinds of faults.
const (
	FaultExpired     FaultKind = "expired"
	FaultNotYetValid FaultKind = "not valid yet"
	FaultUsage       FaultKind = "usage"
	FaultWeak        FaultKind = "weak"
	FaultNoCA        FaultKind = "no CA"
	FaultExtension   FaultKind = "extension"
	FaultUnknownCA   FaultKind = "CA"
	FaultNamesake    FaultKind = "another CA of the same name"
	FaultOther       FaultKind = "other"
)

// chain is what a peer showed, the leaf first, and what it is held against.
type chain struct {
	whose     string // as "the server's"
	other     string // whose clock it may be beside this one
	shown     []*x509.Certificate
	trusted   []*x509.Certificate
	trustedIn string // the file of those, for the text
	usage     x509.ExtKeyUsage
	now       time.Time
}

// diagnose finds the certificate that is at fault where verification of the chain
// ended with err. Package x509 says which one it is in a part of the cases, and
// of a CA that cannot be used often only that it is unknown.
func (c chain) diagnose(err error) *Fault {
	path, trusted := c.path()
	for i, cert := range path {
		if f := c.fault(cert, i); f != nil {
			return f
		}
	}
	last := path[len(path)-1]
	if !trusted {
		return c.untrusted(last, len(path)-1)
	}
	return &Fault{FaultOther, path[0], fmt.Sprintf("%s was refused: %v", c.name(path[0], 0), err)}
}

// path leads from the leaf over what was shown to a CA that is trusted, or as far
// as it goes.
func (c chain) path() (path []*x509.Certificate, trusted bool) {
	at := c.shown[0]
	for {
		path = append(path, at)
		if slices.ContainsFunc(c.trusted, at.Equal) {
			return path, true
		}
		issuer := cmp.Or(c.issuerOf(at, c.trusted), c.issuerOf(at, c.shown[1:]))
		if issuer == nil || slices.ContainsFunc(path, issuer.Equal) {
			return path, false
		}
		at = issuer
	}
}

// issuerOf returns who signed a certificate: of several, as of a CA that was
// renewed, one that is valid now. One that only has the right name is it as well,
// where its key or its signature is of a kind that is not checked: what is wrong is
// then said of these.
func (c chain) issuerOf(cert *x509.Certificate, among []*x509.Certificate) (found *x509.Certificate) {
	for _, issuer := range among {
		if !bytes.Equal(issuer.RawSubject, cert.RawIssuer) {
			continue
		}
		if cert.CheckSignatureFrom(issuer) != nil && unusableKey(issuer.PublicKey) == "" && !Weak(cert) && issuer.IsCA && mayCertify(issuer) {
			continue
		}
		if found == nil || c.now.Before(issuer.NotAfter) && !c.now.Before(issuer.NotBefore) {
			found = issuer
		}
	}
	return found
}

// mayCertify tells whether the key usage lets a CA sign certificates.
func mayCertify(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0
}

// fault says what is wrong with one certificate of the path, whoever signed it;
// nil if nothing is.
func (c chain) fault(cert *x509.Certificate, depth int) *Fault {
	name := c.name(cert, depth)
	switch {
	case c.now.After(cert.NotAfter):
		return &Fault{FaultExpired, cert, fmt.Sprintf("%s expired on %s (this machine's clock says %s): renew it, as with `massive-passive pki renew`, or set the clock that is off",
			name, instant(cert.NotAfter), instant(c.now))}
	case c.now.Before(cert.NotBefore):
		return &Fault{FaultNotYetValid, cert, fmt.Sprintf("%s is not valid before %s and this machine's clock says %s: %s clock or yours is off",
			name, instant(cert.NotBefore), instant(c.now), c.other)}
	case unusableKey(cert.PublicKey) != "":
		return &Fault{FaultWeak, cert, fmt.Sprintf("%s %s", name, unusableKey(cert.PublicKey))}
	case Weak(cert) && !bytes.Equal(cert.RawIssuer, cert.RawSubject): // nobody asks for a CA's own signature
		return &Fault{FaultWeak, cert, fmt.Sprintf("%s is signed with %s, which proves nothing any more, and no option allows it: make a new one",
			name, cert.SignatureAlgorithm)}
	case len(cert.UnhandledCriticalExtensions) > 0:
		return &Fault{FaultExtension, cert, fmt.Sprintf("%s has a critical extension that is not known (%v): make one without", name, cert.UnhandledCriticalExtensions[0])}
	case depth > 0:
		return c.faultOfCA(cert, depth, name)
	case !permits(cert, c.usage):
		return &Fault{FaultUsage, cert, fmt.Sprintf("%s is not for %s: it lacks the extended key usage %s", name, usagePeople[c.usage], usageNames[c.usage])}
	}
	return nil
}

// faultOfCA says why a certificate cannot have signed another.
func (c chain) faultOfCA(cert *x509.Certificate, depth int, name string) *Fault {
	between := depth - 1 // CAs below it
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return &Fault{FaultNoCA, cert, name + " is that of no CA, and so what it signed counts for nothing: sign with a CA's (basicConstraints CA:TRUE)"}
	case !mayCertify(cert):
		return &Fault{FaultUsage, cert, name + " may not sign certificates: its key usage lacks keyCertSign"}
	case (cert.MaxPathLen > 0 || cert.MaxPathLenZero) && between > cert.MaxPathLen:
		return &Fault{FaultNoCA, cert, fmt.Sprintf("%s allows %d CAs below it, and there are %d: sign with another, or make it anew without pathlen", name, cert.MaxPathLen, between)}
	case !permits(cert, c.usage):
		return &Fault{FaultUsage, cert, fmt.Sprintf("%s may not sign certificates for %s: its extended key usage lacks %s", name, usagePeople[c.usage], usageNames[c.usage])}
	}
	return nil
}

// untrusted says of the end of the path that it leads to no CA that is trusted.
func (c chain) untrusted(last *x509.Certificate, depth int) *Fault {
	name := c.name(c.shown[0], 0)
	if depth > 0 {
		name = fmt.Sprintf("%s, by way of the CA %q that came with it,", name, last.Subject)
	}
	for _, authority := range c.trusted {
		if bytes.Equal(authority.RawSubject, last.RawIssuer) {
			return &Fault{FaultNamesake, last, fmt.Sprintf("%s is issued by another CA of the name %q than the one in %s (SHA-256 fingerprint %s): "+
				"give --ssl-ca-cert the file of the CA that signed it, or have it signed by this one", name, last.Issuer, c.trustedIn, Fingerprint(authority))}
		}
	}
	return &Fault{FaultUnknownCA, last, fmt.Sprintf("%s, issued by %q, does not lead to a CA in %s: is --ssl-ca-cert the CA that signed it? "+
		"If another CA stands between, its certificate belongs behind the own one, in the same file", name, last.Issuer, c.trustedIn)}
}

// name tells people which certificate of the chain is meant.
func (c chain) name(cert *x509.Certificate, depth int) string {
	switch {
	case depth == 0:
		return fmt.Sprintf("%s certificate %q", c.whose, cert.Subject)
	case slices.ContainsFunc(c.trusted, cert.Equal):
		return fmt.Sprintf("the CA %q in %s, which signed %s certificate,", cert.Subject, c.trustedIn, c.whose)
	}
	return fmt.Sprintf("the CA %q, which came with %s certificate,", cert.Subject, c.whose)
}

var usageNames = map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageClientAuth: "clientAuth"}

var usagePeople = map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageClientAuth: "clients"}

// permits tells whether a certificate may be used so: one that names no usage may.
func permits(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// ClientFault says what is wrong with what a client showed, where verification
// against the CAs of the pool ended with err.
func (p *Pool) ClientFault(shown []*x509.Certificate, err error) *Fault {
	return chain{"its", "its", shown, p.authorities(), p.file, x509.ExtKeyUsageClientAuth, time.Now()}.diagnose(err)
}

// Diagnose says what is wrong with a chain, the leaf first, that is held against
// CAs which are called trustedIn, where verification ended with err.
func Diagnose(shown, trusted []*x509.Certificate, trustedIn string, usage x509.ExtKeyUsage, err error) *Fault {
	return chain{"the", "its", shown, trusted, trustedIn, usage, time.Now()}.diagnose(err)
}

// OwnFault says what is wrong with the own certificate as a client's, as far as this
// end can tell: the other's CAs, its clock and its lists are not known here. nil if
// nothing is.
func (e End) OwnFault() *Fault {
	pair := e.Pair.current()
	var shown []*x509.Certificate
	for _, der := range pair.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			shown = append(shown, c)
		}
	}
	c := chain{"our", "the server's", shown, e.Pool.authorities(), e.Pool.file, x509.ExtKeyUsageClientAuth, time.Now()}
	path, _ := c.path()
	for i, cert := range path {
		if f := c.fault(cert, i); f != nil {
			return f
		}
	}
	return nil
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Weak tells whether a certificate is signed in a way that Go verifies no more:
// what it calls an unknown authority is this then.
func Weak(c *x509.Certificate) bool {
	if c == nil {
		return false
	}
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	}
	return false
}

// addressesAsNames are the names of a certificate that are addresses: they stand
// where a name is looked for and no address is.
func addressesAsNames(leaf *x509.Certificate, names []string) (wrong []string) {
	for _, name := range names {
		if slices.ContainsFunc(leaf.DNSNames, func(dns string) bool { return strings.EqualFold(dns, name) }) {
			wrong = append(wrong, name)
		}
	}
	return wrong
}
