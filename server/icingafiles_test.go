package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// renewedFiles are the password and the CA of an API, in files that change.
type renewedFiles struct {
	t            *testing.T
	password, ca string
	files        *icingaFiles
	log          bytes.Buffer
}

func (r *renewedFiles) write(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// expect holds what is in force after a look to a password, and returns whether
// the CA is another than before.
func (r *renewedFiles) expect(password string) (otherCA bool) {
	r.t.Helper()
	before := r.files.now.TLS.RootCAs
	time.Sleep(2 * time.Minute) // of virtual time: the log says a thing once a minute
	now := r.files.access()
	if now.Password != password {
		r.t.Errorf("the password is %q, want %q", now.Password, password)
	}
	return !before.Equal(now.TLS.RootCAs)
}

func (r *renewedFiles) said(text string) {
	r.t.Helper()
	if !strings.Contains(r.log.String(), text) {
		r.t.Errorf("the log does not say %q:\n%s", text, r.log.String())
	}
	r.log.Reset()
}

func caOf(t *testing.T) string {
	t.Helper()
	set, err := certstest.WriteSet(t.TempDir(), "core")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(set.CA)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestIcingasPasswordAndCAAreReadAnew(t *testing.T) {
	first, second := caOf(t), caOf(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := &renewedFiles{t: t, password: filepath.Join(dir, "password"), ca: filepath.Join(dir, "ca.crt")}
		r.write(r.password, "old\n")
		r.write(r.ca, first)
		o := DefaultOptions()
		o.Icinga2PasswordFile, o.Icinga2CAFile = r.password, r.ca
		log := logx.NewThrottle(zerolog.New(&r.log), logx.Limits{})
		defer log.Close()
		var err error
		if r.files, err = o.icingaFiles("root", log); err != nil {
			t.Fatal(err)
		}
		if r.expect("old") {
			t.Error("the CA changed by itself")
		}
		r.write(r.password, "new\r\n")
		r.expect("new")
		r.said("password of Icinga's API was read anew")
		for _, bad := range []string{"", "\n"} {
			r.write(r.password, bad)
			r.expect("new")
		}
		r.said("is empty")
		os.Remove(r.password)
		r.expect("new")
		if err := unix.Mkfifo(r.password, 0o600); err != nil { // which nobody writes to
			t.Fatal(err)
		}
		r.expect("new")
		r.said("named pipe")
		os.Remove(r.password)
		r.write(r.password, "newest")
		r.write(r.ca, "no certificate")
		if r.expect("newest") {
			t.Error("a bad CA was taken")
		}
		r.said("holds no certificate")
		r.write(r.ca, second)
		if !r.expect("newest") {
			t.Error("the new CA was not taken")
		}
		r.said("CA of Icinga's API was read anew")
	})
}
