package pki

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	"massive-passive/internal/option"
	"massive-passive/wire/certs"
)

// renewOptions are those of `pki renew`.
type renewOptions struct {
	issueOptions
	server  bool
	within  int // days; 0: NAMEs were given
	ca      bool
	daysSet bool
}

func (o renewOptions) run(env Env, names []string) error {
	if o.ca {
		return o.renewCA(env, names)
	}
	if (o.within > 0) == (len(names) > 0) {
		return option.Wrong("pki renew", "give either NAMEs, or --within DAYS, or --ca")
	}
	a, who, err := o.open()
	if err != nil {
		return err
	}
	all, problems, err := survey(o.dir)
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintln(env.Stderr, "passed over:", p)
	}
	var found []known
	if o.within > 0 {
		found = endingWithin(all, a, time.Duration(o.within)*24*time.Hour)
	}
	for _, name := range names {
		r, other, hint := client, server, "it is a server's: add --server"
		if o.server {
			r, other, hint = server, client, "it is a client's: leave --server out"
		}
		k, ok := latest(all, r, name)
		if _, is := latest(all, other, name); !ok && is {
			return fmt.Errorf("no certificate of a %s %q was made in %s; %s", r, name, o.dir, hint)
		}
		if !ok {
			return fmt.Errorf("no certificate of a %s %q was made in %s; `massive-passive pki list` shows all", r, name, o.dir)
		}
		found = append(found, k)
	}
	if len(found) == 0 {
		fmt.Fprintf(env.Stdout, "nothing ends within %d days\n", o.within)
		return nil
	}
	var subjects []subject
	for _, k := range found {
		s := subject{role: k.role, name: k.cert.Subject.CommonName, hosts: hostsOf(k.cert)}
		if s.role == server && o.bundle == "" && !inPlace(k) {
			return fmt.Errorf("the server %s runs on another machine: give --bundle", s.name)
		}
		if err := recheck(s); err != nil {
			return err
		}
		subjects = append(subjects, s)
	}
	return o.issue(env, a, subjects, nil, who)
}

// recheck holds names to the rules again: a file in the directory may have
// come from elsewhere.
func recheck(s subject) error {
	if s.role == client {
		return checkClientName(s.name)
	}
	_, err := checkHosts(s.hosts)
	return err
}

// inPlace tells whether a server's certificate is that of this machine.
func inPlace(k known) bool {
	for _, f := range k.files {
		if f == certs.ServerCertName {
			return true
		}
	}
	return false
}

// endingWithin finds what this CA signed, ends soon, and has no successor.
func endingWithin(all []known, a *authority, soon time.Duration) []known {
	var found []known
	for _, k := range all {
		if k.role == ca || !bytes.Equal(k.cert.RawIssuer, a.cert.RawSubject) {
			continue
		}
		last, _ := latest(all, k.role, k.cert.Subject.CommonName)
		if last.cert == k.cert && time.Until(k.cert.NotAfter) < soon {
			found = append(found, k)
		}
	}
	return found
}

// renewCA gives the CA a new certificate for its old key: what it signed stays
// good, and hosts may get the new one in any order.
func (o renewOptions) renewCA(env Env, names []string) error {
	if len(names) > 0 || o.within > 0 {
		return option.Wrong("--ca", "goes without NAMEs and without --within")
	}
	a, err := openAuthority(o.dir)
	if a == nil {
		return err
	}
	days := caDays
	if o.daysSet {
		days = o.days
	}
	if err := checkDays(days); err != nil {
		return err
	}
	if err := a.certify(a.cert.Subject, days); err != nil {
		return err
	}
	path := filepath.Join(o.dir, certs.CACertName)
	if err := writeAll([]file{{path: path, data: a.caPEM(), mode: public, replace: true}}, false); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "renewed the CA %q, good until %s, with the same key: %s\n", a.cert.Subject.CommonName, day(a.cert.NotAfter), path)
	fmt.Fprintf(env.Stdout, "next: copy it to %s on every host before the old one ends\n", certs.DefaultCACert)
	return nil
}
