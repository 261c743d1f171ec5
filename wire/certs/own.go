package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// OwnTrouble says why the peers of a server will refuse its own certificate; ""
// if nothing is known against it.
func (e End) OwnTrouble() string {
	pair, intermediates := e.Pair.current(), x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(c)
		}
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: e.Pool.current().pool, Intermediates: intermediates})
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Sprintf("the own certificate %s (%s) is not for servers, and every client will refuse it: make one with `massive-passive pki server NAMES`",
			e.Pair.CertFile(), pair.Leaf.Subject)
	case errors.As(err, &unknown):
		return fmt.Sprintf("the own certificate %s (%s, issued by %s) leads to no CA in %s: clients that have that CA will refuse it",
			e.Pair.CertFile(), pair.Leaf.Subject, pair.Leaf.Issuer, e.Pool.file)
	}
	return ""
}
