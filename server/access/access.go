// Package access decides which clients a server listens to and what each of
// them may send. A client is known by its very certificate, which lies in a
// directory; the handshake has proved the chain before. What becomes of the
// results that pass is none of its business.
package access

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// fingerprint stands for one very certificate.
type fingerprint [sha256.Size]byte

// Directory is the allowed directory: each NAME.pem in it holds one or more
// certificates, all of them those of client NAME. Its methods may be called
// from any goroutine.
type Directory struct {
	path    string
	current atomic.Pointer[listing]
}

// listing is the directory as it was read at one moment.
type listing struct{ clients map[fingerprint]string }

// Problem is a file of the directory that was passed over, and why.
type Problem struct {
	File string
	Err  error
}

// Open reads the directory. A file in it that is no certificate is a Problem,
// not an error.
func Open(path string) (*Directory, []Problem, error) {
	d := &Directory{path: path}
	problems, err := d.Reload()
	if err != nil {
		return nil, nil, err
	}
	return d, problems, nil
}

// Reload reads the directory again. On an error, which only an unreadable
// directory is, the last good listing stays in force.
func (d *Directory) Reload() ([]Problem, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("read the directory of allowed clients: %w", err)
	}
	clients := map[fingerprint]string{}
	var problems []Problem
	for _, e := range entries { // in the order of their names
		name, ok := strings.CutSuffix(e.Name(), ".pem")
		if !ok || name == "" || strings.HasPrefix(name, ".") {
			continue
		}
		file := filepath.Join(d.path, e.Name())
		list, err := certs.ReadFile(file)
		if err != nil {
			problems = append(problems, Problem{file, err})
			continue
		}
		for _, c := range list {
			sum := sha256.Sum256(c.Raw)
			if other, taken := clients[sum]; taken && other != name {
				err := fmt.Errorf("its certificate is also that of client %q, which counts", other)
				problems = append(problems, Problem{file, err})
				continue
			}
			clients[sum] = name
		}
	}
	d.current.Store(&listing{clients})
	return problems, nil
}

// Clients returns how many certificates are listed.
func (d *Directory) Clients() int { return len(d.current.Load().clients) }

// Client returns the name of the client whose very certificate this is.
func (d *Directory) Client(cert *x509.Certificate) (name string, listed bool) {
	name, listed = d.current.Load().clients[sha256.Sum256(cert.Raw)]
	return name, listed
}

// DeniedError says why a client may not send a result.
type DeniedError struct{ Reason string }

func (e *DeniedError) Error() string { return e.Reason }

// Judge says whether a client may send r, which is valid: check results for
// any host, no other command. The error is a *DeniedError.
func (d *Directory) Judge(client string, r *check.Result) error {
	if r.Kind == check.Command {
		return &DeniedError{fmt.Sprintf("client %q may not send the external command %q", client, check.CommandName(r.Command))}
	}
	return nil
}
