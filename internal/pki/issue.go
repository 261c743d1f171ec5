package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"massive-passive/internal/option"
	"massive-passive/wire/certs"
)

// issue says how certificates are made and where they go.
type issue struct {
	dir    string
	days   int
	bundle string // an archive to write, a directory of archives, or "-"; empty: below dir
	owner  *owner
	force  bool
	renew  bool // the client's certificate joins those that it has
}

// made is one certificate that was issued.
type made struct {
	subject
	cert    *x509.Certificate
	key     []byte // nil: it never left its host
	allowed string // the NAME.pem of a client
	place   string // directory or archive to carry to the host; empty: in place here
	archive []byte // for standard output
}

// issueAll makes a certificate for each subject and writes everything, or
// nothing if something is in the way. public holds the keys of those who made
// their own, by name.
func (i issue) issueAll(a *authority, subjects []subject, public map[string]crypto.PublicKey) ([]made, error) {
	if i.bundle == "-" && len(subjects) > 1 {
		return nil, option.Wrong("--bundle", "standard output takes one archive: name one client, or give a directory")
	}
	var all []made
	var files []file
	for _, s := range subjects {
		m, err := i.make(a, s, public[s.name])
		if err != nil {
			return nil, err
		}
		more, err := i.place(a, &m, len(subjects) > 1)
		if err != nil {
			return nil, err
		}
		files = append(append(files, a.record(m.cert)), more...)
		all = append(all, m)
	}
	return all, writeAll(files, i.force)
}

func (i issue) make(a *authority, s subject, public crypto.PublicKey) (m made, err error) {
	m.subject = s
	if public == nil {
		key, err := newKey()
		if err != nil {
			return m, err
		}
		if m.key, err = encodeKey(key); err != nil {
			return m, err
		}
		public = key.Public()
	}
	m.cert, err = a.sign(s, public)
	return m, err
}

// place says which files a certificate becomes.
func (i issue) place(a *authority, m *made, several bool) ([]file, error) {
	k := newKit(m.role, a.caPEM(), encodeCert(m.cert), m.key)
	var files []file
	if m.role == client {
		f, err := i.allow(m)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	switch {
	case i.bundle != "" && m.role == server:
		if err := k.addAllowed(i.dir); err != nil {
			return nil, err
		}
	case i.bundle == "" && m.role == server && m.key != nil:
		return k.replacing(i, i.dir, nil), nil
	case i.bundle == "":
		m.place = filepath.Join(i.dir, clientsDir, m.name)
		if m.role == server {
			m.place = filepath.Join(i.dir, "servers", m.name)
		}
		return k.replacing(i, m.place, files), nil
	}
	if i.bundle == "-" {
		m.archive = k.archive()
		return files, nil
	}
	m.place = i.bundle
	if info, err := os.Stat(i.bundle); several || strings.HasSuffix(i.bundle, "/") || err == nil && info.IsDir() {
		m.place = filepath.Join(i.bundle, m.name+".tar")
	}
	return append(files, file{path: m.place, data: k.archive(), mode: private}), nil
}

// replacing adds the kit's files below dir. The CA's certificate may be newer
// than what lies there, and a renewal replaces what it renews.
func (k kit) replacing(i issue, dir string, files []file) []file {
	for _, f := range k.files(dir, i.owner) {
		f.replace = i.renew || filepath.Base(f.path) == certs.CACertName
		files = append(files, f)
	}
	return files
}

// allow makes the client's NAME.pem. In a renewal the certificates that are
// still good stay, so that the host can change over when it likes.
func (i issue) allow(m *made) (file, error) {
	f := file{path: filepath.Join(i.dir, certs.AllowedDirName, m.name+".pem"), mode: public, replace: i.renew}
	m.allowed = f.path
	if i.renew {
		old, err := certs.ReadFile(f.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return file{}, err
		}
		for _, c := range old {
			if time.Now().Before(c.NotAfter) {
				f.data = append(f.data, encodeCert(c)...)
			}
		}
	}
	f.data = append(f.data, encodeCert(m.cert)...)
	return f, nil
}

// describe says what was made.
func (m made) describe() string {
	what := fmt.Sprintf("%s %s", m.role, m.name)
	if m.role == server {
		what = fmt.Sprintf("server %s", strings.Join(m.hosts, ", "))
	}
	return fmt.Sprintf("made the certificate of %s, good until %s", what, day(m.cert.NotAfter))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
