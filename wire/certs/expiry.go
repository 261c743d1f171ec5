package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// EndingSoon is from when on a certificate's end is warned of.
const EndingSoon = 30 * 24 * time.Hour

// Named is a certificate and what to call it.
type Named struct {
	Name string // as "the server's certificate /etc/x.cert"
	Mend string // what to do before it ends
	Ends time.Time
}

// Certificates are those that the end itself has in use: its own and the CAs.
func (e End) Certificates() []Named {
	leaf := e.Pair.Leaf()
	list := []Named{{"the own certificate " + e.Pair.CertFile(), renewal(leaf), leaf.NotAfter}}
	for _, c := range e.Pool.authorities() {
		list = append(list, Named{fmt.Sprintf("the CA %q in %s", c.Subject, e.Pool.file),
			"renew it, as with `massive-passive pki renew --ca` where its key is, and copy it to all hosts", c.NotAfter})
	}
	return list
}

// renewal is how to renew a certificate that pki made.
func renewal(leaf *x509.Certificate) string {
	of := ""
	if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		of = "--server "
	}
	return fmt.Sprintf("renew it, as with `massive-passive pki renew %s%s` where the CA's key is", of, leaf.Subject.CommonName)
}

// Ending says that a certificate ends soon, or has ended; "" if neither.
func (n Named) Ending(now time.Time) string {
	left := n.Ends.Sub(now)
	switch {
	case left > EndingSoon:
		return ""
	case left < 0:
		return fmt.Sprintf("%s has ended on %s: %s", n.Name, day(n.Ends), n.Mend)
	}
	return fmt.Sprintf("%s ends in %d days, on %s: %s", n.Name, left/(24*time.Hour), day(n.Ends), n.Mend)
}

// Daily calls look at once and then once a day, until ctx ends.
func Daily(ctx context.Context, look func(now time.Time)) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	look(time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			look(now)
		}
	}
}
