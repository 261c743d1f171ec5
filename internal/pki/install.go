package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"massive-passive/wire/certs"
)

// install puts a kit, or certificates in PEM form that any CA signed, into a
// host's configuration directory.
type install struct {
	dir   string
	owner *owner
	force bool
}

// run returns the files that were put into place.
func (i install) run(data []byte) ([]file, error) {
	files, err := i.plan(data)
	if err != nil {
		return nil, err
	}
	if err := writeAll(files, i.force); err != nil {
		return nil, err
	}
	for _, f := range files {
		pending := f.path + pendingSuffix
		if data, err := os.ReadFile(pending); err != nil || !bytes.Equal(data, f.data) {
			continue
		}
		if err := os.Remove(pending); err != nil { // this key is in use now
			return nil, err
		}
	}
	return files, nil
}

func (i install) plan(data []byte) ([]file, error) {
	var k kit
	var err error
	if bytes.Contains(data, []byte("-----BEGIN ")) && !isArchive(data) {
		k, err = i.sortPEM(data)
	} else {
		k, err = readArchive(data)
	}
	if err != nil {
		return nil, err
	}
	i.keepNewerCA(k)
	replaces := map[string]bool{} // files that this host asked for anew, or that are renewed
	for name := range k {
		replaces[name] = name != client.certName() && name != server.certName() && i.successor(k, name)
	}
	for _, r := range []role{client, server} {
		pending, err := i.complete(k, r)
		if err != nil {
			return nil, err
		}
		renewed := pending || i.succeeds(k, r)
		replaces[r.certName()], replaces[r.keyName()] = renewed, renewed
	}
	files := k.files(i.dir, i.owner)
	for n, name := range sortedKeys(k) { // in the same order
		files[n].replace = replaces[name]
	}
	return files, nil
}

func isArchive(data []byte) bool {
	const magic = 257 // where a tar header says "ustar"
	return len(data) >= 512 && string(data[magic:magic+5]) == "ustar"
}

// sortPEM finds out what each certificate is: one whose key lies here is the
// host's own, a CA that signed itself is who to trust, others belong to the
// chain of the host's own.
func (i install) sortPEM(data []byte) (kit, error) {
	k := kit{}
	var chain []byte
	var own role
	blocks, err := certs.ReadPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	for _, block := range blocks {
		if !block.IsCertificate() {
			return nil, fmt.Errorf("it holds a %s: give certificates alone, the key stays where it was made", block.Type)
		}
		c, err := block.Certificate()
		if err != nil {
			return nil, fmt.Errorf("read the certificate in line %d: %w", block.Line, err)
		}
		switch r := i.ownerOf(c); {
		case r != "":
			own, k[r.certName()] = r, encodeCert(c)
		case c.IsCA && bytes.Equal(c.RawSubject, c.RawIssuer):
			k[certs.CACertName] = append(k[certs.CACertName], encodeCert(c)...)
		case c.IsCA:
			chain = append(chain, encodeCert(c)...)
		default:
			return nil, fmt.Errorf("no key in %s belongs to the certificate %q: make the key with `massive-passive pki request` on this host, "+
				"and have that request signed", i.dir, c.Subject)
		}
	}
	if own == "" && len(k) == 0 {
		return nil, errors.New("it holds neither a certificate for this host nor a CA")
	}
	if own != "" {
		k[own.certName()] = append(k[own.certName()], chain...)
	}
	return k, nil
}

// ownerOf tells whose key, of those in the directory, a certificate is for.
func (i install) ownerOf(c *x509.Certificate) role {
	for _, r := range []role{client, server} {
		if _, _, err := i.keyFor(r, c); err == nil {
			return r
		}
	}
	return ""
}

// keyFor finds the key of a certificate that did not bring it along: the one
// in use, or one that `pki request` made and that was pending since.
func (i install) keyFor(r role, c *x509.Certificate) (keyPEM []byte, pending bool, err error) {
	path := filepath.Join(i.dir, r.keyName())
	for _, path := range []string{path + pendingSuffix, path} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		key, err := certs.ParseKey(path, data)
		if err != nil {
			return nil, false, err
		}
		if certs.SamePublic(c.PublicKey, key.Public()) {
			return data, strings.HasSuffix(path, pendingSuffix), nil
		}
	}
	return nil, false, fmt.Errorf("there is no key for the certificate %q in %s: it needs the one with which it was asked for", c.Subject, i.dir)
}

// complete holds a certificate to its key and its CA before anything is
// written: a host must not be left with files that do not fit together. It
// tells whether the certificate answers a request that was pending here.
func (i install) complete(k kit, r role) (pending bool, err error) {
	certPEM, ok := k[r.certName()]
	if !ok {
		return false, nil
	}
	list, err := certs.Parse(r.certName()+" in it", certPEM)
	if err != nil {
		return false, err
	}
	if keyPEM, ok := k[r.keyName()]; ok {
		err = fits(r.keyName(), keyPEM, list[0].PublicKey)
	} else {
		k[r.keyName()], pending, err = i.keyFor(r, list[0])
	}
	if err != nil {
		return false, err
	}
	caPEM, ok := k[certs.CACertName]
	if !ok {
		caPEM, err = os.ReadFile(filepath.Join(i.dir, certs.CACertName))
		if errors.Is(err, fs.ErrNotExist) {
			return false, errors.New("the CA's certificate is missing: install it first, or in one file with the other")
		}
		if err != nil {
			return false, err
		}
	}
	return pending, leadsTo(list, caPEM, r)
}

func fits(name string, keyPEM []byte, public crypto.PublicKey) error {
	key, err := certs.ParseKey(name, keyPEM)
	if err == nil && !certs.SamePublic(public, key.Public()) {
		err = fmt.Errorf("the key %s in it does not belong to its certificate", name)
	}
	return err
}

func leadsTo(list []*x509.Certificate, caPEM []byte, r role) error {
	authorities, err := certs.Parse(certs.CACertName, caPEM)
	if err != nil {
		return err
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range authorities {
		roots.AddCert(c)
	}
	for _, c := range list[1:] {
		intermediates.AddCert(c)
	}
	_, err = list[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{r.usage()}})
	if err != nil {
		return fmt.Errorf("the %s's certificate would not be accepted: %w", r, certs.Diagnose(list, authorities, certs.CACertName, r.usage(), err))
	}
	return nil
}

// roles tells what a kit made of this host, for the message.
func roles(files []file) string {
	var list []string
	for _, f := range files {
		switch filepath.Base(f.path) {
		case certs.ClientCertName:
			list = append(list, "client")
		case certs.ServerCertName:
			list = append(list, "server")
		}
	}
	return strings.Join(list, " and ")
}
