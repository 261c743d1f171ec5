package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire/certs"
)

// column finds a certificate's row in the list and returns what is left of it.
func left(t *testing.T, s *shell, name string) []string {
	t.Helper()
	s.run("list", "--dir", "d")
	var all []string
	for line := range strings.Lines(s.out.String()) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[1] == name {
			all = append(all, strings.Join(fields[3:len(fields)-3], " "))
		}
	}
	return all
}

// Over the years: what ends is pointed out, is renewed in time, and what a
// host has in use stays good beside its successor.
func TestRenewal(t *testing.T) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		s := &shell{t: t}
		s.run("init", "d", "--server", "mon", "--days", "400")
		s.run("client", "web1", "--dir", "d", "--days", "100", "--bundle", "1.tar")
		s.run("client", "web2", "--dir", "d", "--days", "300", "--bundle", "2.tar")
		s.run("install", "1.tar", "--dir", "web1")
		if got := left(t, s, "web1"); len(got) != 1 || got[0] != "100 days" {
			t.Errorf("at first: %q", got)
		}
		if got := left(t, s, "mon"); len(got) != 1 || got[0] != "400 days" {
			t.Errorf("a server outlives its CA: %q", got)
		}
		time.Sleep(75 * 24 * time.Hour)
		if got := left(t, s, "web1"); len(got) != 1 || got[0] != "25 days: RENEW" {
			t.Errorf("after 75 days: %q", got)
		}
		s.run("renew", "--within", "30", "--dir", "d", "--days", "200", "--bundle", "out/")
		if got := left(t, s, "web1"); len(got) != 2 || got[1] != "200 days" {
			t.Errorf("after the renewal: %q", got)
		}
		s.run("renew", "--within", "30", "--dir", "d")
		if !strings.Contains(s.out.String(), "nothing ends") {
			t.Errorf("renewed twice: %s", s.out.String())
		}
		allowed := filepath.Join("d", certs.AllowedDirName, "web1.pem")
		if list, err := certs.ReadFile(allowed); err != nil || len(list) != 2 || !list[0].Equal(end(t, "web1", client).Pair.Leaf()) {
			t.Errorf("%d certificates are allowed, %v", len(list), err)
		}
		s.run("install", "out/web1.tar", "--dir", "web1")
		s.fails("there already").run("install", "1.tar", "--dir", "web1") // the old one again
		time.Sleep(30 * 24 * time.Hour)
		if got := left(t, s, "web1"); len(got) != 2 || got[0] != "EXPIRED" {
			t.Errorf("after 105 days: %q", got)
		}
		s.fails("it is a server's: add --server").run("renew", "mon", "--dir", "d")
		s.fails("it is a client's: leave --server out").run("renew", "--server", "web1", "--dir", "d")
		s.run("renew", "web1", "--dir", "d", "--bundle", "3.tar")
		if list, err := certs.ReadFile(allowed); err != nil || len(list) != 2 {
			t.Errorf("one that expired is still allowed: %d certificates, %v", len(list), err)
		}
		checkCARenewal(t, s)
	})
}

// Whoever let the group of his scripts read the key need not do so again.
func TestARenewedKeyIsForThoseWhoCouldReadIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const user, group = 54321, 54322
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon")
	s.run("client", "web1", "--dir", "d", "--bundle", "1.tar")
	s.run("install", "1.tar", "--dir", "web1")
	key := filepath.Join("web1", client.keyName())
	before, err := os.ReadFile(key)
	if err = errors.Join(err, os.Chown(key, user, group), os.Chmod(key, 0o644)); err != nil {
		t.Fatal(err)
	}
	s.run("renew", "web1", "--dir", "d", "--bundle", "2.tar")
	s.run("install", "2.tar", "--dir", "web1")
	after, err := os.ReadFile(key)
	if err != nil || bytes.Equal(before, after) {
		t.Fatalf("the key is the same, %v", err)
	}
	info, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != user || st.Gid != group || info.Mode().Perm() != 0o640 {
		t.Errorf("it belongs to %d:%d and has mode %v, want %d:%d, and 0640: nothing for all others", st.Uid, st.Gid, info.Mode(), user, group)
	}
}

// checkCARenewal lets the CA of TestRenewal expire and renews it: what it
// signed while it was good is good under both of its certificates.
func checkCARenewal(t *testing.T, s *shell) {
	old := pool(t, "d")
	time.Sleep(300 * 24 * time.Hour)
	s.fails("renew --ca").run("client", "web9", "--dir", "d")
	s.run("renew", "--ca", "--dir", "d")
	s.run("renew", "mon", "--server", "--dir", "d")
	leaf := end(t, "d", server).Pair.Leaf()
	if got := hostsOf(leaf); len(got) != 1 || got[0] != "mon" {
		t.Errorf("the renewed server is %q", got)
	}
	for name, roots := range map[string]*x509.CertPool{"new": pool(t, "d"), "old": old} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "mon"})
		if (err == nil) != (name == "new") { // the old one has expired
			t.Errorf("under the %s CA certificate: %v", name, err)
		}
	}
}

// What a CA signed before its renewal is good under its new certificate, and
// what it signs after it under its old one.
func TestARenewedCAKeepsWhatItSigned(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon")
	s.run("client", "before", "--dir", "d", "--bundle", "before.tar")
	s.run("install", "before.tar", "--dir", "before")
	old := end(t, "d", server).Pair.Leaf()
	s.run("renew", "--ca", "--days", "7000", "--dir", "d")
	s.run("renew", "mon", "--server", "--dir", "d")
	if now := end(t, "d", server).Pair.Leaf(); now.Equal(old) {
		t.Error("the server was not renewed")
	}
	if err := handshake(t, "d", "before", "mon"); err != nil {
		t.Error(err)
	}
	s.run("list", "--dir", "d")
	if !strings.Contains(s.out.String(), "6999 days") {
		t.Errorf("the CA did not get its days:\n%s", s.out.String())
	}
}

func pool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, certs.CACertName))
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(data)
	return p
}

// What `pki renew` says to do next works as it is said, on servers too and after
// the CA was renewed, and whatever comes last.
func TestRenewedArchivesAreInstalled(t *testing.T) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		s := &shell{t: t}
		s.run("init", "d")
		s.run("client", "web1", "--dir", "d", "--bundle", "web1.tar")
		s.run("server", "mon", "--dir", "d", "--bundle", "mon.tar")
		s.run("install", "web1.tar", "--dir", "web1")
		s.run("install", "mon.tar", "--dir", "mon")
		time.Sleep(24 * time.Hour)
		s.run("renew", "web1", "--dir", "d", "--bundle", "web1-2.tar")
		s.run("renew", "mon", "--server", "--dir", "d", "--bundle", "mon-2.tar")
		s.run("renew", "--ca", "--dir", "d")
		time.Sleep(24 * time.Hour)
		s.run("renew", "web1", "--dir", "d", "--bundle", "web1-3.tar")
		s.run("install", "web1-3.tar", "--dir", "web1") // with the renewed CA
		s.run("install", "mon-2.tar", "--dir", "mon")
		if list, err := certs.ReadFile(filepath.Join("mon", certs.AllowedDirName, "web1.pem")); err != nil || len(list) != 2 {
			t.Errorf("%d certificates are allowed on the server, %v", len(list), err)
		}
		before := files(t, "web1")
		s.fails("there already").run("install", "web1-2.tar", "--dir", "web1")
		if !maps.Equal(before, files(t, "web1")) {
			t.Error("an older archive changed something")
		}
		s.run("install", "web1-2.tar", "--dir", "web1", "--force")
		if files(t, "web1")[certs.CACertName] != before[certs.CACertName] {
			t.Error("an archive from before the CA was renewed brought the old one back")
		}
		if err := handshake(t, "mon", "web1", "mon"); err != nil {
			t.Error(err)
		}
		s.run("init", "e")
		s.run("client", "web1", "--dir", "e", "--bundle", "e.tar")
		s.fails("there already").run("install", "e.tar", "--dir", "web1") // of another CA of the same name
	})
}
