package server

import (
	"crypto/sha256"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"massive-passive/internal/core"
	"massive-passive/internal/option"
	"massive-passive/server/door"
	"massive-passive/server/intake"
	"massive-passive/server/sink"
	"massive-passive/wire"
	"massive-passive/wire/certs"

	"github.com/rs/zerolog"
)

// Options say what a server does. Files and directories are paths.
type Options struct {
	Listen               []string // each ADDRESS or ADDRESS:PORT, IPv6 as ::1, [::1] or [::1]:PORT
	Port                 int      // where Listen names none
	SSLCACert            string
	SSLKey               string
	SSLCert              string
	SSLCRL               string // revocation lists; empty: none
	TLSMinVersion        string
	AllowedClientCertDir string
	AllowCommands        []string // patterns of external commands that all clients may send
	CommandFile          string   // short for the sink command-file:PATH
	Sinks                []string // each KIND:TARGET; none: the first usual command file that exists
	Dialect              string   // empty: by the command file's path
	NagiosConfig         string   // the main configuration of a Nagios or Naemon
	Icinga2Password      string
	Icinga2PasswordFile  string // wins over Icinga2Password
	Icinga2CAFile        string // empty: the machine's
	Icinga2ServerName    string // in the API's certificate; empty: the endpoint's host
	Icinga2Requests      int    // at a time
	OrderGuard           *bool  // nil: where the core does not order results itself
	DrainRate            int    // results a second of a backlog; 0: as fast as the core takes them
	Backlog              string // "all" or "latest"
	Limits               Limits
	StateDir             string
	JournalMaxBytes      int64
	JournalFlush         bool
	Legacy               bool           // take messages of peers of version 0.3.9
	Version              string         // of the program, told to clients
	Sockets              []net.Listener // that are there already, instead of Listen
	Drop                 func() error   // gives up root, once keys are read and ports are open; nil: nothing to give up
}

// DefaultOptions are those of the original, and the machine's.
func DefaultOptions() Options {
	return Options{
		Listen:               []string{"0.0.0.0", "::"},
		Port:                 wire.DefaultPort,
		SSLCACert:            certs.DefaultCACert,
		SSLKey:               certs.DefaultServerKey,
		SSLCert:              certs.DefaultServerCert,
		TLSMinVersion:        certs.DefaultMinVersion,
		AllowedClientCertDir: certs.DefaultAllowedDir,
		Limits:               DefaultLimits(),
		StateDir:             "/var/lib/massive-passive/server",
		Icinga2Requests:      8,
		Backlog:              backlogAll,
		JournalMaxBytes:      1 << 30,
		JournalFlush:         true,
		Legacy:               true,
	}
}

// What of a backlog is delivered.
const (
	backlogAll    = "all"
	backlogLatest = "latest" // of each object the newest
)

// minJournal leaves room for the segment that is written and one that is read.
const minJournal = 32 << 20

// mostDrainRate is more than any core takes. The feed counts in whole
// nanoseconds a result.
const mostDrainRate = 1_000_000

func (o *Options) validate() error {
	if o.Port < 1 || o.Port > 65535 {
		return option.Wrong("--port", fmt.Sprintf("%d is no port: give one from 1 to 65535", o.Port))
	}
	if len(o.Listen) == 0 {
		return option.Wrong("--listen", "name at least one address")
	}
	for _, listen := range o.Listen {
		if _, _, err := o.address(listen); err != nil {
			return err
		}
	}
	if o.JournalMaxBytes < minJournal {
		return option.Wrong("--journal-max-bytes", fmt.Sprintf("%d is too few: give at least %d", o.JournalMaxBytes, minJournal))
	}
	if err := o.Limits.validate(); err != nil {
		return err
	}
	if o.StateDir == "" {
		return option.Wrong("--state-dir", "name a directory for the journal")
	}
	if _, err := certs.ParseVersion(o.TLSMinVersion); err != nil {
		return option.Wrong("--tls-min-version", err.Error())
	}
	if o.Dialect != "" {
		if _, err := sink.ParseDialect(o.Dialect); err != nil {
			return option.Wrong("--dialect", err.Error())
		}
	}
	if o.DrainRate < 0 || o.DrainRate > mostDrainRate {
		return option.Wrong("--drain-rate", fmt.Sprintf("%d is no rate: give at most %d results a second, or 0 for as fast as the core takes them", o.DrainRate, mostDrainRate))
	}
	if o.Backlog != backlogAll && o.Backlog != backlogLatest {
		return option.Wrong("--backlog", fmt.Sprintf("%q is neither %q nor %q", o.Backlog, backlogAll, backlogLatest))
	}
	if o.Icinga2Requests < 1 || o.Icinga2Requests > 256 {
		return option.Wrong("--icinga2-requests", fmt.Sprintf("%d is out of range: give 1 to 256 requests at a time", o.Icinga2Requests))
	}
	return nil
}

// address returns the network and the address of one --listen.
func (o *Options) address(listen string) (network, address string, err error) {
	host, port := strings.Trim(listen, "[]"), strconv.Itoa(o.Port)
	if net.ParseIP(host) == nil {
		if h, p, err := net.SplitHostPort(listen); err == nil {
			host, port = h, p
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", option.Wrong("--listen", fmt.Sprintf("%q names no port from 1 to 65535", listen))
	}
	ip := net.ParseIP(host)
	switch {
	case host == "":
		return "", "", option.Wrong("--listen", fmt.Sprintf("%q names no address: give ADDRESS or ADDRESS:PORT, as 0.0.0.0 or [::]:5667", listen))
	case ip != nil && ip.To4() == nil:
		network = "tcp6" // for IPv6 alone, so that 0.0.0.0 can have the port too
	case ip != nil:
		network = "tcp4"
	default:
		network = "tcp"
	}
	return network, net.JoinHostPort(host, port), nil
}

// door are those of the door.
func (o *Options) door(end certs.End, log zerolog.Logger, to throttles) door.Options {
	return door.Options{End: end, AllowedDir: o.AllowedClientCertDir, Version: o.Version, Legacy: o.Legacy, Limits: o.Limits.Limits,
		Log: log, Clients: to.clients, Own: to.own}
}

// intake are those of the intake.
func (o *Options) intake(objects *core.Cache, log zerolog.Logger, to throttles) intake.Options {
	return intake.Options{StateDir: o.StateDir, JournalBytes: o.JournalMaxBytes, JournalFlush: o.JournalFlush, Quota: o.Limits.Quota,
		Objects: objects, Log: log, Clients: to.clients, Own: to.own}
}

// orderGuard tells whether a sink judges the order of results of several
// clients; core is what is right for its core.
func (o *Options) orderGuard(core bool) bool {
	if o.OrderGuard != nil {
		return *o.OrderGuard
	}
	return core
}

// spoolDir is where the sink of the name leaves lines for its core, which is
// given the directory: another core could not enter it.
func (o *Options) spoolDir(sink string) string {
	dir := filepath.Join(o.StateDir, "spool")
	if sink == kindCommandFile { // the only one
		return dir
	}
	return fmt.Sprintf("%s-%x", dir, sha256.Sum256([]byte(sink)))[:len(dir)+len("-01234567")]
}
