package certs

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/certs/certstest"
)

// look makes the next call to current look at the files again.
func look[T any](r *reloading[T]) T {
	r.mu.Lock()
	r.looked = time.Time{}
	r.mu.Unlock()
	return r.current()
}

func move(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestPairIsReloaded(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	var reports []error
	pair, err := LoadPair(set.ServerCert, set.ServerKey, func(_ []string, err error) { reports = append(reports, err) })
	if err != nil {
		t.Fatal(err)
	}
	first := pair.Leaf().SerialNumber
	if look(pair.reloading); len(reports) != 0 {
		t.Fatalf("unchanged files were reported: %v", reports)
	}
	renewed, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	move(t, set.ServerCert, renewed.ServerCert) // half of a renewal: the key does not match yet
	for range 3 {
		if got := look(pair.reloading).Leaf.SerialNumber; got.Cmp(first) != 0 {
			t.Fatal("a certificate without its key came into force")
		}
	}
	if len(reports) != 1 || reports[0] == nil || !strings.Contains(reports[0].Error(), set.ServerKey) {
		t.Fatalf("reported: %v", reports)
	}
	move(t, set.ServerKey, renewed.ServerKey)
	if got := look(pair.reloading).Leaf.SerialNumber; got.Cmp(first) == 0 {
		t.Error("the renewed pair did not come into force")
	}
	if len(reports) != 2 || reports[1] != nil {
		t.Errorf("reported: %v", reports)
	}
}

func TestPoolFollowsASymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	var authorities []*certstest.Authority
	for _, version := range []string{"1", "2"} {
		authority, err := certstest.New("CA " + version)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := authority.WriteCA(filepath.Join(dir, version, "ca")); err != nil {
			t.Fatal(err)
		}
		authorities = append(authorities, authority)
	}
	link := filepath.Join(dir, "current")
	if err := os.Symlink("1", link); err != nil {
		t.Fatal(err)
	}
	pool, err := LoadPool(filepath.Join(link, "ca"), nil)
	if err != nil {
		t.Fatal(err)
	}
	has := func(i int) bool {
		want := x509.NewCertPool()
		want.AddCert(authorities[i].Cert)
		return look(pool.reloading).pool.Equal(want)
	}
	if !has(0) || has(1) {
		t.Fatal("the first CA is not in force")
	}
	if err := os.Symlink("2", link+".new"); err != nil {
		t.Fatal(err)
	}
	move(t, link, link+".new")
	if has(0) || !has(1) {
		t.Error("the second CA did not come into force")
	}
}

func TestFilesThatAreWrongAreNamed(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty := write("empty", "")
	text := write("text", "this is no certificate\n")
	broken := write("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	encrypted := write("encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct{ cert, key, file, want string }{
		{missing, set.ServerKey, missing, "no such file"},
		{set.ServerCert, missing, missing, "no such file"},
		{empty, set.ServerKey, empty, "no certificate"},
		{text, set.ServerKey, text, "no certificate"},
		{set.ServerKey, set.ServerKey, set.ServerKey, "no certificate"},
		{broken, set.ServerKey, broken, "certificate 1"},
		{set.ServerCert, set.ClientKey, set.ClientKey, "does not belong"},
		{set.ServerCert, set.ServerCert, set.ServerCert, "no private key"},
		{set.ServerCert, encrypted, encrypted, "encrypted"},
	} {
		pair, err := LoadPair(c.cert, c.key, nil)
		if err == nil || pair != nil || !strings.Contains(err.Error(), c.file) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v", c.cert, c.key, err)
		}
	}
	if _, err := LoadPool(missing, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing CA: %v", err)
	}
	if _, err := LoadPool(text, nil); !errors.Is(err, ErrNoCertificate) || !strings.Contains(err.Error(), text) {
		t.Errorf("CA file without a certificate: %v", err)
	}
}
