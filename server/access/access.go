// Package access decides which clients a server listens to and what each of
// them may send. A client is known by its very certificate, which lies in a
// directory; the handshake has proved the chain before. What becomes of the
// results that pass is none of its business.
package access

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// Fingerprint stands for one very certificate.
type Fingerprint [sha256.Size]byte

// Certificate is what of a certificate is worth keeping: all of it would be
// several kilobytes for each client.
type Certificate struct {
	Fingerprint Fingerprint
	CommonName  string
	Ends        time.Time
}

// Directory is the allowed directory: each NAME.pem in it holds one or more
// certificates, all of them those of client NAME, and NAME.json beside it says
// what that client may send. Its methods may be called from any goroutine.
type Directory struct {
	// AddressOf returns the address by which the core takes results for a host as
	// well, or "". It is nil where that is not known, and set before the first Judge.
	AddressOf func(host string) string

	path     string
	commands Commands
	seed     maphash.Seed // of stamps
	current  atomic.Pointer[listing]
}

// listing is the directory as it was read at one moment.
type listing struct {
	certificates map[Fingerprint]string // whose they are
	clients      map[string]*client
	sight        sight // of the moment before it was read
	incomplete   bool  // a file was there and could not be read
}

// client is what is known of one.
type client struct {
	certificates []Certificate
	policy       *policy
	bad          error // why the policy cannot be used
}

// Problem is a file of the directory that was passed over, and why. Where it is
// a policy, Refused is the client that is refused for it.
type Problem struct {
	File    string
	Err     error
	Refused string
}

// Open reads the directory. commands are what every client may send beside
// check results, unless its policy says otherwise. A file in the directory that
// is no certificate is a Problem, not an error.
func Open(path string, commands Commands) (*Directory, []Problem, error) {
	d := &Directory{path: path, commands: commands, seed: maphash.MakeSeed()}
	d.current.Store(&listing{})
	problems, err := d.Reload()
	if err != nil {
		return nil, nil, err
	}
	return d, problems, nil
}

// Reload reads the directory again. On an error the last good listing stays in
// force; one that errors.Is calls fs.ErrNotExist says that there is none, and
// Clear is for who takes that at its word.
func (d *Directory) Reload() ([]Problem, error) {
	sight, err := d.look() // before: what changes from here on is seen next time
	var entries []os.DirEntry
	if err == nil {
		entries, err = os.ReadDir(d.path)
	}
	switch {
	case gone(err):
		return nil, fmt.Errorf("%s: %w", d.path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read the directory of allowed clients: %w", err)
	}
	l := &listing{certificates: map[Fingerprint]string{}, clients: map[string]*client{}, sight: sight}
	var problems []Problem
	narrowed := map[string]bool{}
	for _, e := range entries {
		if name, ok := clientFile(e.Name(), ".json"); ok {
			narrowed[name] = true
		}
	}
	// In the order of their names, but those with a policy first: of a certificate
	// under two names the one counts that lets less pass.
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		return cmp.Compare(rank(narrowed, a.Name()), rank(narrowed, b.Name()))
	})
	for _, e := range entries {
		if name, ok := clientFile(e.Name(), ".pem"); ok {
			problems = append(problems, l.add(name, filepath.Join(d.path, e.Name()), d.current.Load().clients[name])...)
		}
	}
	for _, e := range entries {
		for _, suffix := range []string{".crt", ".cert", ".cer"} {
			if name, ok := clientFile(e.Name(), suffix); ok && l.clients[name] == nil {
				problems = append(problems, Problem{File: filepath.Join(d.path, e.Name()), Err: fmt.Errorf("only NAME.pem counts: name it %s.pem", name)})
			}
		}
		if name, ok := clientFile(e.Name(), ".json"); ok {
			problems = append(problems, l.restrict(name, filepath.Join(d.path, e.Name()), d.current.Load().clients[name])...)
		}
	}
	d.current.Store(l)
	return problems, nil
}

func rank(narrowed map[string]bool, file string) int {
	if name, ok := clientFile(file, ".pem"); ok && narrowed[name] {
		return 0
	}
	return 1
}

// Incomplete tells that a file could not be read when the directory was, though
// it is there: what it said before is in force, and no change need tell when it
// can be read again.
func (d *Directory) Incomplete() bool { return d.current.Load().incomplete }

// Clear lists nobody.
func (d *Directory) Clear() { d.current.Store(&listing{}) }

// add lists the certificates of a client. before is what was known of it: a
// disk or a file server that does not answer takes nobody's leave away.
func (l *listing) add(name, file string, before *client) (problems []Problem) {
	list, err := readCertificates(file)
	l.incomplete = l.incomplete || unreadable(err)
	if before != nil && unreadable(err) {
		problems = []Problem{{File: file, Err: fmt.Errorf("%w: the client's certificates stay as they were", err)}}
		list, err = before.certificates, nil
	}
	if err != nil {
		return []Problem{{File: file, Err: err}}
	}
	c := &client{policy: &policy{}}
	for _, cert := range list {
		if other, taken := l.certificates[cert.Fingerprint]; taken && other != name {
			err := fmt.Errorf("its certificate is also that of client %q, which counts", other)
			problems = append(problems, Problem{File: file, Err: err})
			continue
		}
		l.certificates[cert.Fingerprint] = name
		c.certificates = append(c.certificates, cert)
	}
	if len(c.certificates) > 0 {
		l.clients[name] = c
	}
	return problems
}

func readCertificates(file string) (list []Certificate, err error) {
	whole, err := certs.ReadFile(file)
	for _, c := range whole {
		list = append(list, Certificate{sha256.Sum256(c.Raw), c.Subject.CommonName, c.NotAfter})
	}
	return list, err
}

// restrict reads a client's policy. One that is bad refuses the client; before
// is as with add.
func (l *listing) restrict(name, file string, before *client) []Problem {
	c := l.clients[name]
	if c == nil {
		return []Problem{{File: file, Err: fmt.Errorf("there is no certificate in %s.pem beside it", name)}}
	}
	var names []string
	for _, cert := range c.certificates {
		names = append(names, cert.CommonName)
	}
	c.policy, c.bad = readPolicy(file, names)
	l.incomplete = l.incomplete || unreadable(c.bad)
	if before != nil && unreadable(c.bad) {
		problem := Problem{File: file, Err: fmt.Errorf("%w: the client's policy stays as it was", c.bad)}
		c.policy, c.bad = before.policy, before.bad
		return []Problem{problem}
	}
	if c.bad != nil {
		return []Problem{{File: file, Err: c.bad, Refused: name}}
	}
	return nil
}

// Clients returns how many certificates are listed.
func (d *Directory) Clients() int { return len(d.current.Load().certificates) }

// Certificates calls f for each certificate that is listed.
func (d *Directory) Certificates(f func(client string, c Certificate)) {
	for name, c := range d.current.Load().clients {
		for _, cert := range c.certificates {
			f(name, cert)
		}
	}
}

// ErrNotListed says that a certificate is not in the directory, or no longer.
var ErrNotListed = errors.New("the certificate is not in the directory of allowed clients")

// Client returns the name of the client whose very certificate this is. The
// error is ErrNotListed, or a *PolicyError.
func (d *Directory) Client(cert *x509.Certificate) (name string, err error) {
	l := d.current.Load()
	name, listed := l.certificates[sha256.Sum256(cert.Raw)]
	if !listed {
		return "", ErrNotListed
	}
	if bad := l.clients[name].bad; bad != nil {
		return name, &PolicyError{name, bad}
	}
	return name, nil
}

// NamesOnly tells whether the client's policy bounds hosts by names alone, or not
// at all. One that excludes, or has patterns, holds only while it is known which
// addresses the core takes for hosts.
func (d *Directory) NamesOnly(client string) bool {
	c := d.current.Load().clients[client]
	return c == nil || c.policy == nil || c.policy.namesOnly()
}

// Patterned returns the clients for whom NamesOnly is false, in order.
func (d *Directory) Patterned() []string {
	var names []string
	for name := range d.current.Load().clients {
		if !d.NamesOnly(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// DeniedError says why a client may not send a result.
type DeniedError struct{ Reason string }

func (e *DeniedError) Error() string { return e.Reason }

// Judge says whether a client may send r, which is valid. A *DeniedError is
// for good; ErrNotListed and a *PolicyError mean that the client is refused as
// a whole by now, and say nothing about r.
func (d *Directory) Judge(client string, r *check.Result) error {
	c := d.current.Load().clients[client]
	switch {
	case c == nil:
		return ErrNotListed
	case c.bad != nil:
		return &PolicyError{client, c.bad}
	}
	address := ""
	if c.policy.hosts != nil && d.AddressOf != nil {
		address = d.AddressOf(r.Host)
	}
	if reason := c.policy.judge(client, r, address, &d.commands); reason != "" {
		return &DeniedError{reason}
	}
	return nil
}
