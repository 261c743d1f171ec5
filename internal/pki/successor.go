package pki

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"massive-passive/wire/certs"
)

// successor finds out which files of a kit carry on those in the directory, and
// so may take their place: a renewed certificate of the same subject from the
// same CA, with its key, the CA renewed with its key, and lists of allowed
// certificates that only add to what is listed. What is older, or another's, is
// in nobody's place.
func (i install) successor(k kit, name string) bool {
	old, err := certs.ReadFile(filepath.Join(i.dir, name))
	if err != nil {
		return false
	}
	list, err := certs.Parse(name, k[name])
	if err != nil {
		return false
	}
	switch {
	case name == certs.CACertName:
		return len(old) == 1 && len(list) == 1 && sameAuthority(old[0], list[0]) && !list[0].NotAfter.Before(old[0].NotAfter)
	case strings.HasPrefix(name, certs.AllowedDirName+"/"):
		return addsTo(old, list)
	}
	authorities, err := certs.Parse(certs.CACertName, k[certs.CACertName])
	if err != nil {
		authorities, err = certs.ReadFile(filepath.Join(i.dir, certs.CACertName))
	}
	return err == nil && bytes.Equal(old[0].RawSubject, list[0].RawSubject) && !list[0].NotBefore.Before(old[0].NotBefore) &&
		slices.ContainsFunc(authorities, func(a *x509.Certificate) bool { return old[0].CheckSignatureFrom(a) == nil })
}

// succeeds tells the same of a role's key: it goes with its certificate, if
// what is there is the key of the old one.
func (i install) succeeds(k kit, r role) bool {
	if !i.successor(k, r.certName()) {
		return false
	}
	path := filepath.Join(i.dir, r.keyName())
	data, err := os.ReadFile(path)
	if err != nil {
		return os.IsNotExist(err)
	}
	old, err := certs.ReadFile(filepath.Join(i.dir, r.certName()))
	return err == nil && fits(path, data, old[0].PublicKey) == nil
}

func sameAuthority(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && certs.SamePublic(a.PublicKey, b.PublicKey)
}

// addsTo tells whether list has all of old that has not ended.
func addsTo(old, list []*x509.Certificate) bool {
	return !slices.ContainsFunc(old, func(c *x509.Certificate) bool {
		return time.Now().Before(c.NotAfter) && !slices.ContainsFunc(list, c.Equal)
	})
}

// keepNewerCA leaves a CA's certificate out of a kit that was made before the
// one in the directory was renewed.
func (i install) keepNewerCA(k kit) {
	old, err := certs.ReadFile(filepath.Join(i.dir, certs.CACertName))
	if err != nil || len(old) != 1 {
		return
	}
	if list, err := certs.Parse(certs.CACertName, k[certs.CACertName]); err == nil && len(list) == 1 && sameAuthority(old[0], list[0]) && list[0].NotAfter.Before(old[0].NotAfter) {
		delete(k, certs.CACertName)
	}
}
