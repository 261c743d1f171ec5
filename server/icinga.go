package server

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"massive-passive/internal/logx"
	"massive-passive/internal/option"
	"massive-passive/server/sink"
)

// icingaPassword is where the password is taken from without a file.
const icingaPassword = "MASSIVE_PASSIVE_ICINGA2_PASSWORD"

// icingaPort is that of Icinga's API.
const icingaPort = "5665"

// icinga makes the sink for endpoints as https://user@host:5665, divided by
// commas; those after the first may leave out the user.
func (o *Options) icinga(to string, log *logx.Throttle) (*sink.IcingaAPI, error) {
	api := &sink.IcingaAPI{Requests: o.Icinga2Requests}
	for i, text := range strings.Split(to, ",") {
		u, err := url.Parse(text)
		wrong := func(why string) error {
			return option.Wrong("--sink", fmt.Sprintf("icinga2: endpoint %d%s: %s", i+1, hostOf(u), why))
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
	files, err := o.icingaFiles(api.User, log)
	if err == nil {
		api.Access = files.access
	}
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
