// Package access decides which clients a server listens to and what each of
// them may send. A client is known by its very certificate, which lies in a
// directory; the handshake has proved the chain before. What becomes of the
// results that pass is none of its business.
package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"massive-passive/internal/disk"
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
	seed     maphash.Seed // of fingerprints
	current  atomic.Pointer[listing]

	plain, linked disk.Reader // of files in it, and of those that its links lead to
}

// listing is the directory as it was read at one moment.
type listing struct {
	certificates map[Fingerprint]string // whose they are
	clients      map[string]*client
	withheld     map[Fingerprint]string // those of clients whose files are bad, which count for nobody else
	unread       map[string]bool        // of these clients nobody knows what their files held
	fingerprint  dirFingerprint         // of the moment before it was read
	incomplete   bool                   // a file was there and could not be read
	content      uint64                 // a sum over what the files say
}

// client is what is known of one.
type client struct {
	certificates []Certificate
	policy       *policy
	bad          error // why the policy cannot be used
}

// Problem is a file of the directory that was passed over, and why. Refused is
// the client that is refused for it, "" if none is.
type Problem struct {
	File    string
	Err     error
	Refused string
}

// patience is how long the disk may take to answer about one file. While it does
// not, all other files wait.
const patience = time.Second

// Open reads the directory. commands are what every client may send beside
// check results, unless its policy says otherwise. A file in the directory that
// is no certificate is a Problem, not an error.
func Open(ctx context.Context, path string, commands Commands) (*Directory, []Problem, error) {
	d := &Directory{path: path, commands: commands, seed: maphash.MakeSeed()}
	d.plain.Patience, d.linked.Patience = patience, patience
	d.current.Store(&listing{})
	problems, err := d.Reload(ctx)
	if err != nil {
		return nil, nil, err
	}
	return d, problems, nil
}

// Reload reads the directory again. On an error the last good listing stays in
// force; one that errors.Is calls fs.ErrNotExist says that there is none, and
// Clear is for who takes that at its word.
func (d *Directory) Reload(ctx context.Context) ([]Problem, error) {
	fingerprint, entries, err := d.look(ctx) // before it is read: what changes from here on is seen next time
	switch {
	case gone(err):
		return nil, fmt.Errorf("%s: %w", d.path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read the directory of allowed clients: %w", err)
	}
	r := reading{Directory: d, ctx: ctx, before: d.current.Load(),
		listing: &listing{certificates: map[Fingerprint]string{}, clients: map[string]*client{}, withheld: map[Fingerprint]string{},
			unread: map[string]bool{}, fingerprint: fingerprint}}
	sortEntries(entries)
	for _, e := range entries {
		if name, ok := clientFile(e.Name(), ".pem"); ok {
			r.add(name, e)
		}
	}
	for _, e := range entries {
		for _, suffix := range []string{".crt", ".cert", ".cer"} {
			if name, ok := clientFile(e.Name(), suffix); ok && r.clients[name] == nil {
				r.problem(e, "", fmt.Errorf("only NAME.pem counts: name it %s.pem", name))
			}
		}
		if name, ok := clientFile(e.Name(), ".json"); ok {
			r.restrict(name, e)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.current.Store(r.listing)
	return r.problems, nil
}

// sortEntries puts them in the order of their names, but those with a policy
// first: of a certificate under two names the one counts that lets less pass.
func sortEntries(entries []fs.DirEntry) {
	narrowed := map[string]bool{}
	for _, e := range entries {
		if name, ok := clientFile(e.Name(), ".json"); ok {
			narrowed[name] = true
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		return cmp.Or(cmp.Compare(rank(narrowed, a.Name()), rank(narrowed, b.Name())), cmp.Compare(a.Name(), b.Name()))
	})
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

// Content is another number when the files say something else. To touch them
// does not change it.
func (d *Directory) Content() uint64 { return d.current.Load().content }

// Clear lists nobody.
func (d *Directory) Clear() { d.current.Store(&listing{}) }

// reading makes a listing.
type reading struct {
	*Directory
	*listing
	ctx      context.Context
	before   *listing
	problems []Problem
}

func (r *reading) problem(e fs.DirEntry, refused string, err error) {
	r.problems = append(r.problems, Problem{filepath.Join(r.path, e.Name()), err, refused})
}

// maxCertificates is the most bytes of a client's certificates.
const maxCertificates = 1 << 20

// read returns what a file says. Of one that cannot be read for now it says so.
func (r *reading) read(e fs.DirEntry, limit int64) (file string, data []byte, err error) {
	file = filepath.Join(r.path, e.Name())
	data, err = r.reader(e.Type()&fs.ModeSymlink != 0).ReadFile(r.ctx, file, limit)
	r.incomplete = r.incomplete || unreadable(err)
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.WriteString(e.Name() + "\x00")
	h.Write(data)
	r.content += h.Sum64()
	return file, data, err
}

// add lists the certificates of a client. A disk or a file server that does not
// answer takes nobody's leave away. A file that is there but bad does: whoever
// puts it in the place of a stolen certificate wants the thief out.
func (r *reading) add(name string, e fs.DirEntry) {
	list, err := r.readCertificates(e)
	if before := r.before.clients[name]; before != nil && unreadable(err) {
		r.problem(e, "", fmt.Errorf("%w: the client's certificates stay as they were", err))
		list, err = before.certificates, nil
	}
	if err != nil {
		r.problem(e, name, err)
		r.withhold(name, list)
		return
	}
	c := &client{policy: &policy{}}
	for _, cert := range list {
		if other, is := r.withheldFor(name, cert); is {
			r.problem(e, name, fmt.Errorf("its certificate is also that of client %q, whose file is bad: it is refused until that is mended", other))
			continue
		}
		if other, taken := r.certificates[cert.Fingerprint]; taken && other != name {
			r.problem(e, "", fmt.Errorf("its certificate is also that of client %q, which counts", other))
			continue
		}
		r.certificates[cert.Fingerprint] = name
		c.certificates = append(c.certificates, cert)
	}
	if len(c.certificates) > 0 {
		r.clients[name] = c
	}
}

// withhold keeps the certificates of a client whose file is bad from counting as
// another's, who may be bounded less: those that could be read, and those that it
// had before.
func (r *reading) withhold(name string, readable []Certificate) {
	known := false
	if before := r.before.clients[name]; before != nil {
		readable, known = append(readable, before.certificates...), true
	}
	for _, cert := range readable {
		r.withheld[cert.Fingerprint] = name
	}
	for fingerprint, of := range r.before.withheld {
		if of == name {
			r.withheld[fingerprint], known = name, true
		}
	}
	r.unread[name] = !known || r.before.unread[name]
}

// withheldFor tells whether a certificate in the file of a client belongs to
// another one, whose file is bad. Of a file that was never read only the name
// tells.
func (r *reading) withheldFor(name string, cert Certificate) (other string, is bool) {
	if other, is = r.withheld[cert.Fingerprint]; is {
		return other, other != name
	}
	return cert.CommonName, cert.CommonName != name && r.unread[cert.CommonName]
}

func (r *reading) readCertificates(e fs.DirEntry) (list []Certificate, err error) {
	file, data, err := r.read(e, maxCertificates)
	if err != nil {
		return nil, fmt.Errorf("read the client's certificates: %w", err)
	}
	whole, err := certs.Parse(file, data)
	for _, c := range whole {
		list = append(list, Certificate{sha256.Sum256(c.Raw), c.Subject.CommonName, c.NotAfter})
	}
	return list, err
}

// restrict reads a client's policy. One that is bad refuses the client; one that
// cannot be read for now leaves the one before in force.
func (r *reading) restrict(name string, e fs.DirEntry) {
	c := r.clients[name]
	if c == nil {
		r.problem(e, "", fmt.Errorf("there is no certificate in %s.pem beside it", name))
		return
	}
	var names []string
	for _, cert := range c.certificates {
		names = append(names, cert.CommonName)
	}
	file, data, err := r.read(e, maxPolicy)
	if err == nil {
		c.policy, err = readPolicy(file, data, names)
	}
	c.bad = err
	switch before := r.before.clients[name]; {
	case before != nil && unreadable(err):
		r.problem(e, "", fmt.Errorf("%w: the client's policy stays as it was", err))
		c.policy, c.bad = before.policy, before.bad
	case err != nil:
		r.problem(e, name, fmt.Errorf("read the client's policy: %w", err))
	}
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
