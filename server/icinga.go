package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"massive-passive/server/sink"
)

// icingaPassword is where the password is taken from without a file.
const icingaPassword = "MASSIVE_PASSIVE_ICINGA2_PASSWORD"

// icingaPort is that of Icinga's API.
const icingaPort = "5665"

// icinga makes the sink for endpoints as https://user@host:5665, divided by
// commas; those after the first may leave out the user.
func (o *Options) icinga(to string) (*sink.IcingaAPI, error) {
	api := &sink.IcingaAPI{Requests: o.Icinga2Requests, Password: o.Icinga2Password}
	for i, text := range strings.Split(to, ",") {
		u, err := url.Parse(text)
		wrong := func(why string) error {
			return &OptionError{"--sink", fmt.Sprintf("icinga2: endpoint %d%s: %s", i+1, hostOf(u), why)}
		}
		switch {
		case err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
			return nil, wrong("give https://USER@HOST:5665")
		case hasPassword(u):
			return nil, wrong("a password does not belong on a command line: put it into a file for --icinga2-password-file, or into " + icingaPassword)
		case u.User == nil && api.User == "":
			return nil, wrong("name the API user, as https://USER@HOST:5665")
		case u.User != nil && api.User != "" && u.User.Username() != api.User:
			return nil, wrong("all endpoints of a sink have one user")
		}
		if u.User != nil {
			api.User = u.User.Username()
		}
		port := u.Port()
		if port == "" {
			port = icingaPort
		}
		api.Endpoints = append(api.Endpoints, "https://"+net.JoinHostPort(u.Hostname(), port))
	}
	if o.Icinga2PasswordFile != "" {
		text, err := os.ReadFile(o.Icinga2PasswordFile)
		if err != nil {
			return nil, &OptionError{"--icinga2-password-file", err.Error()}
		}
		api.Password = strings.TrimRight(string(text), "\r\n")
	}
	if api.Password == "" {
		return nil, &OptionError{"--icinga2-password-file", "name a file with the password of the API user " + api.User + ", or put it into " + icingaPassword}
	}
	var err error
	api.TLS, err = o.icingaTLS()
	return api, err
}

func hasPassword(u *url.URL) bool {
	_, has := u.User.Password()
	return has
}

// hostOf names the host of an endpoint. The rest of what was given may be a
// password, or a part of one, wherever it stands.
func hostOf(u *url.URL) string {
	if u == nil || u.Hostname() == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", u.Hostname())
}

// icingaTLS trusts the CA that is named, else the machine's.
func (o *Options) icingaTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.Icinga2ServerName}
	if o.Icinga2CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(o.Icinga2CAFile)
	if err != nil {
		return nil, &OptionError{"--icinga2-ca-file", err.Error()}
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &OptionError{"--icinga2-ca-file", fmt.Sprintf("%s holds no certificate: it is usually /var/lib/icinga2/certs/ca.crt", o.Icinga2CAFile)}
	}
	return config, nil
}
