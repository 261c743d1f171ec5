package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/logx"
	"massive-passive/internal/option"
	"massive-passive/server/sink"
	"massive-passive/wire/certs"
)

// icingaFiles are the password and the CA of Icinga's API. Their files are read
// again for each connection: who renews one does not have to restart the server.
// What cannot be used leaves what was read before in force.
type icingaFiles struct {
	user, passwordFile, caFile string
	log                        *logx.Throttle

	mu     sync.Mutex
	now    sink.APIAccess
	caSum  [sha256.Size]byte // of the CA's file, as it is in force
	readAt time.Time
}

// icingaRest is how long files that were read just now are not read again: a
// hundred connections that are opened together need them once.
const icingaRest = time.Second

// The most bytes that the files may have.
const (
	maxPassword = 64 << 10
	maxCA       = 4 << 20
)

func (o *Options) icingaFiles(user string, log *logx.Throttle) (*icingaFiles, error) {
	f := &icingaFiles{user: user, passwordFile: o.Icinga2PasswordFile, caFile: o.Icinga2CAFile, log: log}
	f.now.Password = o.Icinga2Password
	f.now.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.Icinga2ServerName}
	if err := f.readPassword(); err != nil {
		return nil, option.Wrong("--icinga2-password-file", err.Error())
	}
	if err := f.readCA(); err != nil {
		return nil, option.Wrong("--icinga2-ca-file", err.Error())
	}
	f.readAt = time.Now()
	return f, nil
}

// access returns what is in force, after a look at the files.
func (f *icingaFiles) access() sink.APIAccess {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.readAt) < icingaRest {
		return f.now
	}
	f.readAt = time.Now()
	if err := f.readPassword(); err != nil {
		f.tell("password", f.passwordFile, err)
	}
	if err := f.readCA(); err != nil {
		f.tell("CA", f.caFile, err)
	}
	return f.now
}

func (f *icingaFiles) tell(what, file string, err error) {
	f.log.Error(file, what).Str("file", file).Err(err).Msg("the " + what + " of Icinga's API cannot be read anew: the one before stays in force")
}

func (f *icingaFiles) readPassword() error {
	password := f.now.Password
	if f.passwordFile != "" {
		text, err := disk.ReadFile(context.Background(), f.passwordFile, maxPassword)
		if err != nil {
			return err
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return fmt.Errorf("%s is empty: it must hold the password of the API user %s", f.passwordFile, f.user)
		}
	}
	if password == "" {
		return fmt.Errorf("name a file with the password of the API user %s, or put it into %s", f.user, icingaPassword)
	}
	if f.now.Password != password {
		if !f.readAt.IsZero() {
			f.log.Info(f.passwordFile, "renewed").Str("file", f.passwordFile).Msg("the password of Icinga's API was read anew")
		}
		f.now.Password = password
	}
	return nil
}

// readCA trusts the CA that is named, else the machine's.
func (f *icingaFiles) readCA() error {
	if f.caFile == "" {
		return nil
	}
	pem, err := disk.ReadFile(context.Background(), f.caFile, maxCA)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(pem)
	if sum == f.caSum {
		return nil
	}
	list, err := certs.Parse(f.caFile, pem)
	if errors.Is(err, certs.ErrNoCertificate) {
		return fmt.Errorf("%w: it is usually /var/lib/icinga2/certs/ca.crt", err)
	}
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	for _, c := range list {
		roots.AddCert(c)
	}
	config := f.now.TLS.Clone() // connections that are being opened use the one before
	config.RootCAs = roots
	f.now.TLS, f.caSum = config, sum
	if !f.readAt.IsZero() {
		f.log.Info(f.caFile, "renewed").Str("file", f.caFile).Msg("the CA of Icinga's API was read anew")
	}
	return nil
}
