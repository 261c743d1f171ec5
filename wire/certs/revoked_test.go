package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire/certs/certstest"
)

func TestRevocation(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	crl := filepath.Join(dir, "crl")
	if err := set.Authority.WriteCRL(crl); err != nil {
		t.Fatal(err)
	}
	server := load(t, set.ServerCert, set.ServerKey, set.CA)
	if server.Revoked, err = LoadRevoked(crl, set.CA, nil); err != nil {
		t.Fatal(err)
	}
	client := load(t, set.ClientCert, set.ClientKey, set.CA)
	config := ClientConfig(client, VerifyName, "127.0.0.1")
	if _, serverErr, clientErr := handshake(t, serverConfig(server), config); serverErr != nil || clientErr != nil {
		t.Fatalf("before: server %v, client %v", serverErr, clientErr)
	}
	if err := set.Authority.WriteCRL(crl+".new", client.Pair.Leaf()); err != nil {
		t.Fatal(err)
	}
	move(t, crl, crl+".new")
	look(server.Revoked.reloading)
	_, serverErr, clientErr := handshake(t, serverConfig(server), config)
	var revoked *RevokedError
	if !errors.As(serverErr, &revoked) || revoked.Cert.Subject.CommonName != "web1" || clientErr == nil {
		t.Errorf("after: server %v, client %v", serverErr, clientErr)
	}
	if err := os.WriteFile(crl, []byte("half a li"), 0o644); err != nil {
		t.Fatal(err)
	}
	look(server.Revoked.reloading)
	if _, serverErr, _ := handshake(t, serverConfig(server), config); serverErr == nil {
		t.Error("a list that broke made the revoked good again")
	}
}

func TestRevocationListsAreChecked(t *testing.T) {
	dir := t.TempDir()
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	good, foreign := filepath.Join(dir, "good"), filepath.Join(dir, "foreign")
	stranger, err := certstest.New("massive-passive throwaway CA") // the same name, another key
	if err != nil {
		t.Fatal(err)
	}
	leaf := load(t, set.ClientCert, set.ClientKey, set.CA).Pair.Leaf()
	if err := errors.Join(set.Authority.WriteCRL(good, leaf), stranger.WriteCRL(foreign, leaf)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for file, want := range map[string]string{
		foreign:                        "is not signed by one of our CAs",
		write("empty", nil):            "holds no revocation list",
		write("cut", block.Bytes[:40]): "revocation list 1",
		filepath.Join(dir, "missing"):  "no such file",
		write("both", append(data, []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")...)): "revocation list 2",
	} {
		if _, err := LoadRevoked(file, set.CA, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v does not say %q", file, err, want)
		}
	}
	r, err := LoadRevoked(write("der", block.Bytes), set.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check([][]*x509.Certificate{{leaf, set.Authority.Cert}}); err == nil {
		t.Error("a list in DER revoked nothing")
	}
	if r.Outdated(time.Now()) != (time.Time{}) || r.Outdated(time.Now().Add(25*time.Hour)).IsZero() {
		t.Error("the list's own end is not known")
	}
	var none *Revoked
	if none.Check([][]*x509.Certificate{{leaf}}) != nil || !none.Outdated(time.Now()).IsZero() {
		t.Error("no list revokes something")
	}
}

func TestEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := Named{Name: "it", Mend: "renew it", Ends: time.Now().Add(40*24*time.Hour - time.Minute)}
		var said []string
		begin := time.Now()
		go Daily(t.Context(), func(now time.Time) {
			if why := n.Ending(now); why != "" {
				said = append(said, why)
			}
		})
		time.Sleep(45*24*time.Hour + time.Hour)
		synctest.Wait()
		if len(said) != 36 { // on each of the days 10 to 45
			t.Errorf("said %d times in %v: %q", len(said), time.Since(begin), said)
		}
		if !strings.Contains(said[0], "ends in 29 days, on 2000-02-09: renew it") || !strings.Contains(said[len(said)-1], "has ended on 2000-02-09") {
			t.Errorf("said %q ... %q", said[0], said[len(said)-1])
		}
	})
}

func TestLooseFiles(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	key := filepath.Join(sub, "key")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(sub, 0o755), os.WriteFile(key, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		keyMode, above os.FileMode
		says           string
	}{
		{"safe", 0o600, 0o755, ""},
		{"a group may read it", 0o640, 0o750, ""},
		{"everybody may read it", 0o644, 0o755, "every user of this machine can read"},
		{"a group may write it", 0o660, 0o755, "mode 660"},
		{"everybody may replace it", 0o600, 0o777, "mode 777"},
		{"a sticky directory", 0o600, 0o777 | os.ModeSticky, ""},
	} {
		if err := errors.Join(os.Chmod(key, c.keyMode), os.Chmod(sub, c.above)); err != nil {
			t.Fatal(err)
		}
		if why := LooseKey(key); (why == "") != (c.says == "") || !strings.Contains(why, c.says) {
			t.Errorf("%s: %q", c.name, why)
		}
	}
	if err := os.Chmod(sub, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if why := LooseFile(sub); !strings.Contains(why, "chmod go-w") {
		t.Errorf("a directory that everybody may add files to: %q", why)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(key, link), os.Chmod(sub, 0o777)); err != nil {
		t.Fatal(err)
	}
	if why := LooseFile(link); !strings.Contains(why, "mode 777") {
		t.Errorf("behind a symlink: %q", why)
	}
	if why := LooseKey(filepath.Join(dir, "missing")); why != "" {
		t.Error(why)
	}
}
