// Package certs keeps the certificates, keys and CA pools that both ends of a
// connection use, and makes their tls.Config. Files are read again when they
// change, without losing a connection. It proves who a peer is; whether that
// peer may send anything is the business of the server's access package.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"massive-passive/internal/disk"
)

// recheck is how old the last look at a file may be before a handshake looks
// again. A look is a stat: it sees a rename and a swapped symbolic link too.
const recheck = time.Second

// The most bytes of a file of certificates or keys, and of one of revocation
// lists, which grow with the years of a large CA.
const (
	maxFile = 16 << 20
	maxCRL  = 256 << 20
)

// Reloaded is told that files were read anew: err says why the old content
// stays in use.
type Reloaded func(files []string, err error)

// reloading holds a value made from files, and makes it anew when one changed.
type reloading[T any] struct {
	files  []string
	load   func() (T, error)
	report Reloaded
	once   bool // nobody looks whether the files change

	mu      sync.Mutex
	value   T
	seen    []fs.FileInfo
	looked  time.Time
	problem string // the last one reported, so that it is told once
	times   uint64 // that the value was made anew
}

// reader reads files; true is for a command that reads them once and ends. That
// waits for its disk as any command does: what lets a daemon go on without an answer
// would cost it a tenth of its time.
type reader bool

const (
	again reader = false
	once  reader = true
)

func (r reader) file(path string, limit int64) ([]byte, error) {
	if r {
		return disk.ReadNow(path, limit)
	}
	return disk.ReadFile(context.Background(), path, limit)
}

func newReloading[T any](files []string, report Reloaded, read reader, load func() (T, error)) (*reloading[T], error) {
	r := &reloading[T]{files: files, load: load, report: report, once: bool(read)}
	if !r.once {
		r.seen, r.looked = r.stat(), time.Now()
	}
	var err error
	r.value, err = load()
	return r, err
}

func (r *reloading[T]) stat() []fs.FileInfo {
	infos := make([]fs.FileInfo, len(r.files))
	for i, file := range r.files {
		// A file that is gone, or does not answer, is reported by load.
		infos[i], _ = disk.Stat(context.Background(), file)
	}
	return infos
}

// current returns the value, made anew if a file changed since the last look.
func (r *reloading[T]) current() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.once || time.Since(r.looked) < recheck {
		return r.value
	}
	r.looked = time.Now()
	infos := r.stat()
	if !changed(r.seen, infos) && r.problem == "" {
		return r.value
	}
	value, err := r.load()
	switch {
	case err == nil:
		r.value, r.seen, r.problem = value, infos, ""
		r.times++
	case err.Error() == r.problem:
		return r.value
	default:
		r.problem = err.Error()
	}
	if r.report != nil {
		r.report(r.files, err)
	}
	return r.value
}

// generation tells how often the value was made anew, as of now.
func (r *reloading[T]) generation() uint64 {
	r.current()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times
}

// reread looks even if the last look was a moment ago.
func (r *reloading[T]) reread() {
	r.mu.Lock()
	r.looked = time.Time{}
	r.mu.Unlock()
	r.current()
}

func changed(before, now []fs.FileInfo) bool {
	for i := range now {
		a, b := before[i], now[i]
		if (a == nil) != (b == nil) {
			return true
		}
		if a != nil && (!os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())) {
			return true
		}
	}
	return false
}

// Pair is a certificate with its chain and its private key.
type Pair struct{ *reloading[*tls.Certificate] }

// LoadPair reads the pair. Errors name the file and what is wrong with it.
func LoadPair(certFile, keyFile string, report Reloaded) (*Pair, error) {
	return loadPair(certFile, keyFile, report, again)
}

func loadPair(certFile, keyFile string, report Reloaded, read reader) (*Pair, error) {
	r, err := newReloading([]string{certFile, keyFile}, report, read, func() (*tls.Certificate, error) {
		return readPair(certFile, keyFile, read)
	})
	if err != nil {
		return nil, err
	}
	return &Pair{r}, nil
}

// Leaf returns the certificate that is in use.
func (p *Pair) Leaf() *x509.Certificate { return p.current().Leaf }

// CertFile is where the certificate is read from.
func (p *Pair) CertFile() string { return p.files[0] }

func readPair(certFile, keyFile string, read reader) (*tls.Certificate, error) {
	list, err := read.certificates(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := read.file(keyFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	key, err := ParseKey(keyFile, keyPEM)
	if err != nil {
		return nil, err
	}
	if trouble := unusableKey(list[0].PublicKey); trouble != "" {
		return nil, fmt.Errorf("the certificate in %s %s", certFile, trouble)
	}
	if !SamePublic(list[0].PublicKey, key.Public()) {
		return nil, fmt.Errorf("the key in %s does not belong to the certificate in %s", keyFile, certFile)
	}
	pair := &tls.Certificate{PrivateKey: key, Leaf: list[0]}
	for _, c := range list {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

// Pool is the set of CA certificates that a peer's chain must lead to.
type Pool struct {
	*reloading[*authorities]
	file string
}

type authorities struct {
	pool *x509.CertPool
	list []*x509.Certificate
	keys map[string]time.Time // by authorityKey, until when each is valid
}

// LoadPool reads the CA certificates in file. Errors name the file.
func LoadPool(file string, report Reloaded) (*Pool, error) { return loadPool(file, report, again) }

func loadPool(file string, report Reloaded, read reader) (*Pool, error) {
	r, err := newReloading([]string{file}, report, read, func() (*authorities, error) {
		list, err := read.certificates(file)
		if err != nil {
			return nil, err
		}
		a := &authorities{x509.NewCertPool(), list, map[string]time.Time{}}
		for _, c := range list {
			a.pool.AddCert(c)
			if key := authorityKey(c); a.keys[key].Before(c.NotAfter) {
				a.keys[key] = c.NotAfter
			}
		}
		return a, nil
	})
	if err != nil {
		return nil, err
	}
	return &Pool{r, file}, nil
}

func (p *Pool) authorities() []*x509.Certificate { return p.current().list }

// ErrNoCertificate says that a file holds no certificate in PEM form.
var ErrNoCertificate = errors.New("holds no certificate in PEM form")

// ReadFile reads all certificates of a PEM file, at least one. Other whole PEM
// blocks in it, such as a key, are passed over; what is damaged is an error.
func ReadFile(file string) ([]*x509.Certificate, error) { return again.certificates(file) }

func (r reader) certificates(file string) ([]*x509.Certificate, error) {
	data, err := r.file(file, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return Parse(file, data)
}
