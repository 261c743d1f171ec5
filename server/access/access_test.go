package access

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
)

// issue makes a client certificate and returns it with the file it is in.
func issue(t *testing.T, authority *certstest.Authority, name string) (*x509.Certificate, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cert")
	if err := authority.Write(certstest.Request{Name: name}, file, file+".key"); err != nil {
		t.Fatal(err)
	}
	list, err := certs.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return list[0], file
}

func list(t *testing.T, dir, name string, files ...string) {
	t.Helper()
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	if err := os.WriteFile(filepath.Join(dir, name), all, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheVeryCertificateIsAllowed(t *testing.T) {
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	old, oldFile := issue(t, authority, "web1")
	renewed, renewedFile := issue(t, authority, "web1")
	twin, _ := issue(t, authority, "web1") // same subject, same CA, another key
	hidden, hiddenFile := issue(t, authority, "web2")
	list(t, dir, "web1.pem", oldFile, renewedFile)
	list(t, dir, ".web2.pem", hiddenFile)
	list(t, dir, "web2.crt", hiddenFile)
	d, problems, err := Open(t.Context(), dir, Commands{})
	if err != nil || len(problems) != 1 { // web2.crt should be a .pem
		t.Fatal(problems, err)
	}
	for _, c := range []*x509.Certificate{old, renewed} {
		if name, err := d.Client(c); err != nil || name != "web1" {
			t.Errorf("got %q, %v", name, err)
		}
	}
	for _, c := range []*x509.Certificate{twin, hidden, authority.Cert} {
		if name, err := d.Client(c); !errors.Is(err, ErrNotListed) {
			t.Errorf("%s is listed as %q", c.Subject, name)
		}
	}
}

func TestReload(t *testing.T) {
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "allowed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cert, file := issue(t, authority, "web1")
	list(t, dir, "web1.pem", file)
	list(t, dir, "same.pem", file)
	list(t, dir, "junk.pem")
	d, problems, err := Open(t.Context(), dir, Commands{})
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 2 || !strings.Contains(problems[0].Err.Error(), "no certificate") || !strings.Contains(problems[1].Err.Error(), `"same"`) {
		t.Errorf("problems: %v", problems)
	}
	if name, _ := d.Client(cert); name != "same" {
		t.Errorf("of two files the first by name counts, got %q", name)
	}
	for _, name := range []string{"web1.pem", "same.pem"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if name, err := d.Client(cert); !errors.Is(err, ErrNotListed) {
		t.Errorf("a removed client is still listed as %q", name)
	}
	list(t, dir, "web1.pem", file)
	if _, err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(t.Context()); !errors.Is(err, fs.ErrNotExist) || !d.Changed(t.Context()) {
		t.Errorf("a directory that is gone gave %v", err)
	}
	if _, err := d.Client(cert); err != nil {
		t.Error("a directory that cannot be read threw the last good listing away")
	}
	d.Clear()
	if name, err := d.Client(cert); !errors.Is(err, ErrNotListed) || d.Changed(t.Context()) {
		t.Errorf("a directory that is gone lists %q", name)
	}
}
