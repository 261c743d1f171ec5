package pki

import (
	"bytes"
	"crypto/ecdsa"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"massive-passive/wire/certs"
)

// What three commands make is what client and server take.
func TestThreeCommands(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := &shell{t: t}
	s.run("init", "server", "--server", "mon.example.org,192.0.2.10", "--name", "Our CA")
	s.run("client", "web1", "--bundle", "web1.tar", "--dir", "server")
	if hint := "pki install web1.tar"; !strings.Contains(s.out.String(), hint) {
		t.Errorf("%q does not say %q", s.out.String(), hint)
	}
	s.run("install", "web1.tar", "--dir", "client")
	for _, name := range []string{"mon.example.org", "192.0.2.10"} {
		if err := handshake(t, "server", "client", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := handshake(t, "server", "client", "192.0.2.11"); err == nil {
		t.Error("a name that the certificate lacks was taken")
	}
	listed, err := certs.ReadFile(filepath.Join("server", certs.AllowedDirName, "web1.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if own := end(t, "client", client).Pair.Leaf(); !listed[0].Equal(own) || own.Subject.CommonName != "web1" {
		t.Errorf("%s is listed, %s in use", listed[0].Subject, own.Subject)
	}
	if key, ok := listed[0].PublicKey.(*ecdsa.PublicKey); !ok || key.Curve.Params().Name != "P-256" {
		t.Errorf("the key is a %T", listed[0].PublicKey)
	}
	for _, dir := range []string{"server", "client"} {
		for name, content := range files(t, dir) {
			want := "-rw-r--r--"
			if strings.HasSuffix(name, ".key") {
				want = "-rw-------"
			}
			if !strings.HasPrefix(content, want) {
				t.Errorf("%s/%s is %.10s", dir, name, content)
			}
		}
	}
	if info, err := os.Stat("web1.tar"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the archive with a key: %v, %v", info.Mode(), err)
	}
}

func TestManyClients(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", ".", "--server", "mon")
	s.run("client", "--dir", ".", "a", "b", "--bundle", "out/", "c", "a")
	s.run("client", "--dir=.", "d", "e")
	for _, name := range []string{"a", "b", "c"} {
		s.run("install", "out/"+name+".tar", "--dir", "hosts/"+name)
		if err := handshake(t, ".", "hosts/"+name, "mon"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"d", "e"} {
		if err := handshake(t, ".", "clients/"+name, "mon"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.run("server", "backup", "10.0.0.9", "--bundle", "backup.tar", "--dir", ".")
	s.run("install", "backup.tar", "--dir", "hosts/backup")
	if got := files(t, "hosts/backup/"+certs.AllowedDirName); len(got) != 5 {
		t.Errorf("the second server allows %d clients, want 5", len(got))
	}
	if err := handshake(t, "hosts/backup", "hosts/a", "10.0.0.9"); err != nil {
		t.Error(err)
	}
}

// Nothing is overwritten without --force, and where one file is in the way
// none is written.
func TestNothingIsOverwritten(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon")
	s.run("client", "b", "--dir", "d", "--bundle", "b.tar")
	s.run("client", "other", "--dir", "d", "--bundle", "other.tar")
	s.run("install", "b.tar", "--dir", "host")
	s.in = nil
	for _, c := range []struct {
		names string
		args  []string
	}{
		{"massive-passive-ssl-ca.key", []string{"init", "d"}},
		{"massive-passive-server-ssl.key", []string{"server", "mon", "--dir", "d"}},
		{"allowed-client-cert.d/b.pem", []string{"client", "a", "b", "c", "--dir", "d"}},
		{"b.tar", []string{"client", "x", "--dir", "d", "--bundle", "b.tar"}},
		{"massive-passive-client-ssl.key", []string{"install", "other.tar", "--dir", "host"}},
	} {
		before := files(t, ".")
		s.fails(c.names).run(c.args...)
		if after := files(t, "."); !maps.Equal(before, after) {
			t.Errorf("%q wrote something", c.args)
		}
		s.run(append(c.args, "--force")...)
		if after := files(t, "."); maps.Equal(before, after) {
			t.Errorf("%q --force wrote nothing", c.args)
		}
		if c.args[0] == "init" { // a new CA: what the old one signed is of no use
			s.run("client", "other", "--dir", "d", "--bundle", "other.tar", "--force")
			s.run("client", "b", "--dir", "d", "--bundle", "b.tar", "--force")
		}
	}
	before := files(t, "host")
	s.run("install", "other.tar", "--dir", "host") // the same again is no overwriting
	if !maps.Equal(before, files(t, "host")) {
		t.Error("the same archive changed something")
	}
}

// With request and sign the key stays on its host, and archives travel through
// pipes.
func TestRequestAndSign(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	pipe := func(args ...string) {
		t.Helper()
		s.run(args...)
		s.in = append([]byte(nil), s.out.Bytes()...)
	}
	pipe("init", "ca")
	pipe("request", "--server", "mon", "10.0.0.1", "--dir", "server", "--out", "-")
	if strings.Contains(string(s.in), "PRIVATE") {
		t.Fatal("the request holds the key")
	}
	pipe("sign", "-", "--server", "--dir", "ca", "--bundle", "-")
	if strings.Contains(string(s.in), "PRIVATE") {
		t.Fatal("the answer holds a key")
	}
	pipe("install", "-", "--dir", "server")
	s.run("request", "web1", "--dir", "client")
	s.run("sign", "web1.csr", "--dir", "ca", "--bundle", "web1.tar")
	s.run("install", "web1.tar", "--dir", "client")
	if err := handshake(t, "server", "client", "10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	// Renewal: the key in use stays until its successor's certificate is there.
	old := end(t, "client", client).Pair.Leaf()
	s.fails("web1.csr").run("request", "web1", "--dir", "client")
	s.run("request", "web1", "--dir", "client", "--force")
	if err := handshake(t, "server", "client", "mon"); err != nil {
		t.Fatalf("while the request is under way: %v", err)
	}
	s.fails("web1.pem").run("sign", "web1.csr", "--dir", "ca", "--bundle", "new.tar")
	s.run("sign", "web1.csr", "--dir", "ca", "--bundle", "new.tar", "--renew")
	s.run("install", "new.tar", "--dir", "client")
	if now := end(t, "client", client).Pair.Leaf(); now.Equal(old) || reflect.DeepEqual(now.PublicKey, old.PublicKey) {
		t.Error("the renewed pair is not in place")
	}
	if _, err := os.Stat(filepath.Join("client", certs.ClientKeyName+pendingSuffix)); err == nil {
		t.Error("the key still waits for its certificate")
	}
	listed, err := certs.ReadFile(filepath.Join("ca", certs.AllowedDirName, "web1.pem"))
	if err != nil || len(listed) != 2 || !listed[0].Equal(old) {
		t.Errorf("%d certificates are listed, %v", len(listed), err)
	}
	s.fails("there is no key").run("install", "new.tar", "--dir", "another")
}

func TestArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d")
	for _, c := range []struct {
		says string
		args []string
	}{
		{"name NAME...", []string{"client", "--dir", "d"}},
		{"--bogus", []string{"client", "web1", "--bogus", "--dir", "d"}},
		{"name it once", []string{"init", "a", "--dir", "d"}},
		{"needs an argument", []string{"client", "web1", "--dir"}},
		{`"soon"`, []string{"client", "web1", "--days", "soon"}},
		{"--days", []string{"client", "web1", "--days", "0", "--dir", "d"}},
		{"too many", []string{"install", "a", "b"}},
		{`"-"`, []string{"client", "--dir", "d", "--", "-"}},
		{"no such command", []string{"bogus"}},
		{`"../../etc/x"`, []string{"client", "../../etc/x", "--dir", "d"}},
		{`"mon:5678"`, []string{"server", "mon:5678", "--dir", "d"}},
		{"--bundle", []string{"client", "a", "b", "--bundle", "-", "--dir", "d"}},
		{"--owner", []string{"server", "a", "--owner", "nobody-of-this-name", "--dir", "d"}},
		{"pki init", []string{"client", "a", "--dir", "elsewhere"}},
		{"one client", []string{"request", "a", "b", "--dir", "d"}},
		{"either", []string{"renew", "--dir", "d"}},
		{`"a"`, []string{"renew", "a", "--dir", "d"}},
		{"--ca", []string{"renew", "--ca", "a", "--dir", "d"}},
		{"no certificates", []string{"list", "--dir", "."}},
		{"no such file", []string{"install", "missing.tar", "--dir", "d"}},
	} {
		s.fails(c.says).run(c.args...)
	}
	s.run("client", "--help")
	s.run("client", "x", "--help")
	if !strings.Contains(s.out.String(), "--bundle") {
		t.Errorf("no help: %q", s.out.String())
	}
}

// What a command says to do next, or to do with care, is what is right where it
// was run.
func TestHintsFitTheDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon")
	s.fails("--force makes a NEW CA").run("init", "d")
	s.fails("pki renew --ca").run("init", "d")
	s.run("client", "web1", "--dir", "d", "--bundle", "web1.tar")
	s.run("install", "web1.tar", "--dir", "web1")
	if said := s.out.String(); !strings.Contains(said, "--ssl-ca-cert web1/massive-passive-ssl-ca.cert --ssl-cert web1/massive-passive-client-ssl.cert "+
		"--ssl-key web1/massive-passive-client-ssl.key") {
		t.Errorf("said %q", said)
	}
}

// A group that is named with the owner is to read the key, and nobody else is. The
// CA's key and an archive are nobody's but the owner's.
func TestAKeyOfAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else can give files away
	}
	t.Chdir(t.TempDir())
	s := &shell{t: t}
	s.run("init", "d", "--server", "mon", "--owner", "12345:23456")
	s.run("client", "web1", "--dir", "d", "--bundle", "web1.tar")
	s.run("install", "web1.tar", "--dir", "web1", "--owner", "12345:23456")
	for name, want := range map[string]os.FileMode{"d/" + server.keyName(): 0o640, "web1/" + client.keyName(): 0o640,
		"d/massive-passive-ssl-ca.key": 0o600, "web1.tar": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != want || want == 0o640 && (st.Uid != 12345 || st.Gid != 23456) {
			t.Errorf("%s has mode %v and belongs to %d:%d", name, info.Mode(), st.Uid, st.Gid)
		}
	}
}

// Files that were joined without a newline are installed whole; of what is
// damaged nothing is.
func TestInstallReadsAllOrNothing(t *testing.T) {
	ca, host := t.TempDir(), t.TempDir()
	s := &shell{t: t}
	s.run("init", "--dir", ca)
	s.run("request", "web1", "--dir", host, "--out", "-")
	s.in = bytes.Clone(s.out.Bytes())
	s.run("sign", "-", "--dir", ca)
	caPEM, err := os.ReadFile(filepath.Join(ca, certs.CACertName))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := os.ReadFile(filepath.Join(ca, certs.AllowedDirName, "web1.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.in = append(bytes.TrimSpace(caPEM), leaf[:len(leaf)/2]...)
	before := files(t, host)
	s.fails("line ").run("install", "-", "--dir", host)
	if after := files(t, host); len(after) != len(before) {
		t.Errorf("files were installed from a stream that breaks off")
	}
	s.in = append(bytes.TrimSpace(caPEM), leaf...)
	s.run("install", "-", "--dir", host)
	end(t, host, client)
}
