package client

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/plugin"
	"massive-passive/internal/option"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// Options say what a client does. Files and directories are paths.
type Options struct {
	ConfDirs               []string
	Hostname               string // for checks that name none; empty: the machine's
	DefaultServers         []string
	DefaultEnv             []string      // each of lines NAME=VALUE; of one name the last counts
	DefaultTimeout         time.Duration // 0: none
	BatchMode              bool
	BatchWaitTime          time.Duration
	BatchMaxItems          int           // 0: no limit
	InitialRandomWaitRange time.Duration // 0: every check first runs after 2 s
	MaxConcurrentChecks    int
	MaxOutput              int // bytes
	StateDir               string
	JournalMaxBytes        int64
	JournalMaxAge          time.Duration
	StopTimeout            time.Duration
	SSLKey                 string
	SSLCert                string
	SSLCACert              string
	SSLVerify              string
	TLSMinVersion          string
	Version                string       // of the program, told to servers
	Drop                   func() error // gives up root, once the keys are read; nil: nothing to give up
}

// DefaultOptions are those of the original, and sensible ones beyond it.
func DefaultOptions() Options {
	return Options{
		ConfDirs:               []string{"/etc/massive-passive/checks.d"},
		DefaultTimeout:         time.Minute,
		BatchWaitTime:          2 * time.Second,
		BatchMaxItems:          100,
		InitialRandomWaitRange: 10 * time.Second,
		MaxConcurrentChecks:    256,
		MaxOutput:              plugin.DefaultMaxOutput,
		StateDir:               "/var/lib/massive-passive/client",
		JournalMaxBytes:        1 << 30,
		JournalMaxAge:          24 * time.Hour,
		StopTimeout:            10 * time.Second,
		SSLKey:                 certs.DefaultClientKey,
		SSLCert:                certs.DefaultClientCert,
		SSLCACert:              certs.DefaultCACert,
		SSLVerify:              string(certs.VerifyName),
		TLSMinVersion:          certs.DefaultMinVersion,
	}
}

// minFirst is how long after the start the first check may run.
const minFirst = 2 * time.Second

const minJournal = 32 << 20 // room for the segment that is written and one that is read

func (o *Options) validate() error {
	for _, c := range []struct {
		ok              bool
		option, problem string
	}{
		{len(o.ConfDirs) > 0 && !slices.Contains(o.ConfDirs, ""), "--confdir", "name a directory"},
		{o.DefaultTimeout >= 0, "--default-timeout", "give a number of seconds, or 0 for none"},
		{o.BatchWaitTime >= 0, "--batch-wait-time", "give a number of seconds from 0"},
		{o.BatchMaxItems >= 0, "--batch-max-items", "give a number from 1, or 0 for no limit"},
		{o.InitialRandomWaitRange >= 0, "--initial-random-wait-range", "give a number of seconds, or 0 for none"},
		{o.MaxConcurrentChecks >= 1, "--max-concurrent-checks", "give a number from 1"},
		{o.MaxOutput >= 256 && o.MaxOutput <= check.MaxOutput, "--max-output", fmt.Sprintf("give a number of bytes from 256 to %d", check.MaxOutput)},
		{o.StateDir != "", "--state-dir", "name a directory for the journal"},
		{o.JournalMaxBytes >= minJournal, "--journal-max-bytes", fmt.Sprintf("give at least %d", minJournal)},
		{o.JournalMaxAge > 0, "--journal-max-age", "give more than 0 seconds"},
		{o.StopTimeout >= 0, "--stop-timeout", "give a number of seconds from 0"},
		{o.SSLVerify == string(certs.VerifyName) || o.SSLVerify == string(certs.VerifyCA), "--ssl-verify", fmt.Sprintf("%q is neither name nor ca", o.SSLVerify)},
	} {
		if !c.ok {
			return option.Wrong(c.option, c.problem)
		}
	}
	if _, err := certs.ParseVersion(o.TLSMinVersion); err != nil {
		return option.Wrong("--tls-min-version", err.Error())
	}
	_, err := o.defaults()
	return err
}

// drop gives up root where that is asked for.
func (o *Options) drop() error {
	if o.Drop == nil {
		return nil
	}
	return o.Drop()
}

func (o *Options) certificates() certs.Files {
	return certs.Files{Cert: o.SSLCert, Key: o.SSLKey, CA: o.SSLCACert, MinVersion: o.TLSMinVersion}
}

// defaults are what check files may leave out.
func (o *Options) defaults() (checkfile.Defaults, error) {
	d := checkfile.Defaults{Hostname: o.Hostname, Timeout: o.DefaultTimeout}
	if d.Hostname == "" {
		d.Hostname, _ = os.Hostname() // a check without a name then says so
	}
	if d.Hostname != "" {
		if err := check.ValidName("host", d.Hostname); err != nil {
			return d, option.Wrong("--hostname", err.Error())
		}
	}
	var err error
	if d.Env, err = environment(o.DefaultEnv); err != nil {
		return d, option.Wrong("--default-env", err.Error())
	}
	for _, server := range o.DefaultServers {
		name, address, ok := strings.Cut(server, "=")
		if !ok || name == "" {
			return d, option.Wrong("--default-servers", fmt.Sprintf("%q is not NAME=ADDRESS[:PORT]", server))
		}
		address, err := checkfile.ParseAddress(address)
		if err != nil {
			return d, option.Wrong("--default-servers", fmt.Sprintf("%q: %v", server, err))
		}
		named := checkfile.Server{Name: name, Address: address}
		if err := named.Validate(); err != nil {
			return d, option.Wrong("--default-servers", err.Error())
		}
		d.Servers = append(d.Servers, named)
	}
	return d, nil
}

// environment reads lines NAME=VALUE, and leaves out empty ones and those that
// begin with #. An error does not show a value, which may be a secret.
func environment(texts []string) (map[string]string, error) {
	env := map[string]string{}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.Trim(line, " \t\r\n")
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, ok := strings.Cut(line, "=")
			if !ok || !plugin.IsName(name) {
				return nil, fmt.Errorf("%.100q is not NAME=VALUE with a name of letters, digits and _", name)
			}
			if err := plugin.CheckVariable(name, value); err != nil {
				return nil, err
			}
			env[name] = value
		}
	}
	return env, nil
}
