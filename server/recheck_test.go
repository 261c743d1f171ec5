package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
)

// copyDir makes a directory of allowed clients with the same files.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// However a client is taken out of the directory, its open connection ends
// with the reason, and however it is put back it gets in.
func TestChangesOfTheDirectoryCountAtOnce(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		prepare, remove func(r *rig)
	}{
		"the file removed": {nil, func(r *rig) { must(os.Remove(filepath.Join(r.set.AllowedDir, "web1.pem"))) }},
		"another certificate in its place": {nil, func(r *rig) {
			other := filepath.Join(t.TempDir(), "other")
			must(r.set.Authority.Write(certstest.Request{Name: "web1"}, other, other+".key"))
			must(os.Rename(other, filepath.Join(r.set.AllowedDir, "web1.pem")))
		}},
		"the client renamed": {nil, func(r *rig) {
			must(os.Rename(filepath.Join(r.set.AllowedDir, "web1.pem"), filepath.Join(r.set.AllowedDir, "web2.pem")))
		}},
		"the directory replaced": {nil, func(r *rig) {
			must(os.Rename(r.set.AllowedDir, r.set.AllowedDir+".old"))
			must(os.Mkdir(r.set.AllowedDir, 0o755))
		}},
		"a symlink swapped": {func(r *rig) {
			must(os.Rename(r.set.AllowedDir, r.set.AllowedDir+".1"))
			must(os.Mkdir(r.set.AllowedDir+".2", 0o755))
			must(os.Symlink(r.set.AllowedDir+".1", r.set.AllowedDir))
		}, func(r *rig) {
			must(os.Symlink(r.set.AllowedDir+".2", r.set.AllowedDir+".new"))
			must(os.Rename(r.set.AllowedDir+".new", r.set.AllowedDir))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.prepare != nil {
				r.stop()
				c.prepare(r)
				r.start()
			}
			kept := filepath.Join(t.TempDir(), "kept")
			copyDir(t, kept, r.set.AllowedDir)
			s, err := r.connect(wire.Instance{1})
			must(err)
			begin := time.Now()
			c.remove(r)
			_, err = s.Receive(t.Context())
			var bye *wire.ByeError
			if !errors.As(err, &bye) || bye.Reason != wire.NotListed || bye.Text == "" {
				t.Fatalf("the open connection was told %v", err)
			}
			t.Logf("it ended after %v", time.Since(begin).Round(time.Millisecond))
			must(os.RemoveAll(r.set.AllowedDir))
			must(os.Mkdir(r.set.AllowedDir, 0o755))
			copyDir(t, r.set.AllowedDir, kept)
			for deadline := time.Now().Add(30 * time.Second); ; {
				if _, err = r.connect(wire.Instance{2}); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("put back, it was told %v", err)
				}
			}
		})
	}
}

// A revoked certificate ends the open connection, too, and gets in no more.
func TestRevokedClientsAreCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stop()
	crl := r.set.CA + ".crl"
	if err := r.set.Authority.WriteCRL(crl); err != nil {
		t.Fatal(err)
	}
	r.options.SSLCRL = crl
	r.start()
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	list, err := certs.ReadFile(r.set.ClientCert)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.set.Authority.WriteCRL(crl+".new", list...), os.Rename(crl+".new", crl)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.NotListed || !strings.Contains(bye.Text, "revoked") {
		t.Errorf("the open connection was told %v", err)
	}
	conn, err := r.dial(r.set.ClientCert, r.set.ClientKey, wire.ALPN)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a revoked client got in again")
	}
	r.log.await(t, "web1", "was revoked")
}

// What ends soon is named with the client that it belongs to, unless it has
// been renewed already.
func TestEndingCertificatesAreNamed(t *testing.T) {
	r := newRig(t)
	r.stop()
	write := func(name string, days ...int) {
		var all []byte
		for _, n := range days {
			file := filepath.Join(t.TempDir(), "cert")
			err := r.set.Authority.Write(certstest.Request{Name: name, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
				NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(time.Duration(n)*24*time.Hour + time.Hour)}, file, file+".key")
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data...)
		}
		if err := os.WriteFile(filepath.Join(r.set.AllowedDir, name+".pem"), all, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("soon", 12)
	write("ended", -3)
	write("renewed", 5, 700)
	write("fine", 31)
	r.start()
	r.log.await(t, `client \"soon\" ends in 12 days`, "pki renew")
	r.log.await(t, `client \"ended\" has ended`)
	r.log.await(t, "the own certificate", r.set.ServerCert) // throwaway ones last for a day
	for _, name := range []string{"renewed", "fine"} {
		if said := r.log.lines(fmt.Sprintf(`client \"%s\"`, name)); len(said) > 0 {
			t.Errorf("%s was warned of: %q", name, said)
		}
	}
}

func TestUnsafeFilesAreNamed(t *testing.T) {
	r := newRig(t)
	if said := r.log.lines("not safe"); len(said) != 0 {
		t.Errorf("warned without a reason: %q", said)
	}
	r.stop()
	web1, policy := filepath.Join(r.set.AllowedDir, "web1.pem"), filepath.Join(r.set.AllowedDir, "web1.json")
	password := filepath.Join(t.TempDir(), "password")
	if err := errors.Join(os.Chmod(r.set.ServerKey, 0o644), os.Chmod(r.set.AllowedDir, 0o777), os.Chmod(web1, 0o666),
		os.WriteFile(policy, []byte("{}"), 0o600), os.Chmod(policy, 0o620), os.WriteFile(password, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	r.options.Icinga2PasswordFile = password
	r.start()
	r.log.await(t, "not safe", "chmod go-w", web1)
	r.log.await(t, "not safe", "chmod go-w", policy)
	r.log.await(t, "not safe", "the password", password)
	r.log.await(t, "not safe", "every user", r.set.ServerKey)
	r.log.await(t, "not safe", "chmod go-w", r.set.AllowedDir)
}

// A client that does not accept the server's certificate says so by an alert,
// which is not about its own.
func TestAClientThatRefusesTheServerIsNamed(t *testing.T) {
	r := newRig(t)
	stranger, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	end, err := certs.Load(certs.Files{Cert: r.set.ClientCert, Key: r.set.ClientKey, CA: stranger.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.Dial("tcp", r.server.Addrs()[0].String(), certs.ClientConfig(end, certs.VerifyCA)); err == nil {
		t.Fatal("a server of another CA was accepted")
	}
	r.log.await(t, "it did not accept this server", "bad certificate")
}

// A server with a certificate that no client will accept says so.
func TestACertificateThatIsNotForServersIsNamed(t *testing.T) {
	r := newRig(t)
	if said := r.log.lines("will not accept"); len(said) != 0 {
		t.Errorf("warned without a reason: %q", said)
	}
	r.stop()
	good := r.options
	r.options.SSLCert, r.options.SSLKey = r.set.ClientCert, r.set.ClientKey
	r.start()
	r.log.await(t, "will not accept", "is not for servers", r.set.ClientCert)
	r.stop()
	r.options = good
	stranger, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	r.options.SSLCert, r.options.SSLKey = stranger.ServerCert, stranger.ServerKey
	r.start()
	r.log.await(t, "will not accept", "leads to no CA", stranger.ServerCert)
}

// What is missing at the start is named with what makes it.
func TestMissingCertificatesAreNamedWithAdvice(t *testing.T) {
	r := newRig(t)
	r.stop()
	for _, file := range []*string{&r.options.SSLCACert, &r.options.SSLCert, &r.options.SSLKey} {
		there := *file
		*file += ".missing"
		if _, err := New(r.options, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), *file) || !strings.Contains(err.Error(), "pki init --server") {
			t.Errorf("got %v", err)
		}
		*file = there
	}
}

// An option that names what is not there is named itself.
func TestOptionsThatCannotBeMetAreNamed(t *testing.T) {
	r := newRig(t)
	r.stop()
	for option, change := range map[string]func(*Options){
		"--allowed-client-cert-dir": func(o *Options) { o.AllowedClientCertDir += ".missing" },
		"--listen":                  func(o *Options) { o.Listen = []string{"no-such-host.invalid:0"} },
	} {
		o := r.options
		change(&o)
		if _, err := New(o, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), option) {
			t.Errorf("got %v, want %s", err, option)
		}
	}
}
