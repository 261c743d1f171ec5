package server

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"massive-passive/internal/option"
	"massive-passive/server/door"
	"massive-passive/server/intake"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// Env is what a command gets from the program around it.
type Env struct {
	Version string
	Stdout  io.Writer
	Flags   []cli.Flag // of every daemon
	// Become makes this process the user that the Flags name for a daemon, for
	// good, and returns the user's name.
	Become func(c *cli.Context) (string, error)
	// Daemon makes the process a daemon as the Flags ask for, and runs in it
	// what start returns.
	Daemon func(c *cli.Context, start Start) error
}

// Start makes the server of a daemon with its log; drop and sockets are for
// Options.
type Start func(log zerolog.Logger, drop func() error, sockets []net.Listener) (*Server, error)

// The groups of options in the help.
const (
	portGroup    = "Port and certificates"
	clientsGroup = "Clients"
	coreGroup    = "Core"
	journalGroup = "Journal"
	limitsGroup  = "Limits"
)

// Command is `massive-passive server`.
func Command(env Env) *cli.Command {
	d := DefaultOptions()
	return &cli.Command{
		Name:  "server",
		Usage: "take results from clients and hand them to the monitoring core",
		Description: "Takes check results over mutual TLS, keeps them on disk, and hands them to the monitoring core.\n\n" +
			"Example: massive-passive server --foreground --command-file /var/lib/nagios4/rw/nagios.cmd",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Category: portGroup, Name: "listen", Value: cli.NewStringSlice(d.Listen...),
				Usage: "`ADDRESS`[:PORT] to listen on; may be repeated or separated by commas"},
			&cli.IntFlag{Category: portGroup, Name: "port", Value: d.Port, Usage: "`PORT` to listen on where --listen names none"},
			&cli.StringFlag{Category: coreGroup, Name: "command-file", DefaultText: "the first usual one that exists", Usage: "`PATH` of the core's external command file"},
			option.List(coreGroup, "sink", "deliver to `KIND:TARGET`; may be repeated: command-file:PATH, checkresults:DIR, icinga2:https://USER@HOST:5665[,...], stdout:", ""),
			&cli.StringFlag{Category: coreGroup, Name: "nagios-config", Usage: "main configuration `FILE` of Nagios or Naemon: tells the core's kind, its command file, its check-result directory, its hosts and services"},
			&cli.StringFlag{Category: coreGroup, Name: "icinga2-password-file", DefaultText: "the environment's " + icingaPassword, Usage: "`FILE` with the password of the API user"},
			&cli.StringFlag{Category: coreGroup, Name: "icinga2-ca-file", DefaultText: "the machine's", Usage: "`FILE` with the CA of the API's certificate"},
			&cli.StringFlag{Category: coreGroup, Name: "icinga2-server-name", DefaultText: "the endpoint's host", Usage: "`NAME` in the API's certificate"},
			&cli.IntFlag{Category: coreGroup, Name: "icinga2-requests", Value: d.Icinga2Requests, Usage: "the most `REQUESTS` to the API at a time"},
			&cli.StringFlag{Category: coreGroup, Name: "dialect", DefaultText: "guessed from the path", Usage: "`CORE` behind the command file: nagios, naemon or icinga"},
			&cli.BoolFlag{Category: coreGroup, Name: "order-guard", DefaultText: "on for Nagios and Naemon",
				Usage: "drop a result that is older than one of the same host or service from another client"},
			&cli.IntFlag{Category: coreGroup, Name: "drain-rate", DefaultText: "as fast as the core takes them",
				Usage: "the most `RESULTS` a second of a backlog, received more than a minute ago"},
			&cli.StringFlag{Category: coreGroup, Name: "backlog", Value: d.Backlog, Usage: "deliver `WHAT` of a backlog: all, or the latest result of each host and service"},
			&cli.BoolFlag{Category: coreGroup, Name: "check-config",
				Usage: "say which core was found, by which sink it gets results, and whether that is open to the user; end with 1 if not"},
			&cli.StringFlag{Category: portGroup, Name: "ssl-ca-cert", Value: d.SSLCACert, Usage: "`FILE` with the CA that signed the clients' certificates"},
			&cli.StringFlag{Category: portGroup, Name: "ssl-key", Value: d.SSLKey, Usage: "`FILE` with the server's private key"},
			&cli.StringFlag{Category: portGroup, Name: "ssl-cert", Value: d.SSLCert, Usage: "`FILE` with the server's certificate"},
			&cli.StringFlag{Category: clientsGroup, Name: "ssl-crl", Usage: "`FILE` with revocation lists of that CA; without one none is asked"},
			&cli.StringFlag{Category: portGroup, Name: "tls-min-version", Value: d.TLSMinVersion,
				Usage: "the oldest `VERSION` of TLS that clients may speak: 1.0, 1.1, 1.2 or 1.3"},
			&cli.StringFlag{Category: clientsGroup, Name: "allowed-client-cert-dir", Value: d.AllowedClientCertDir,
				Usage: "`DIR` with the certificate of each allowed client as NAME.pem, and what it may send in NAME.json"},
			option.List(clientsGroup, "allow-commands",
				"`PATTERN` of external commands that clients may send beside check results, as 'ACKNOWLEDGE_*' or '!DEL_*'; may be repeated", ""),
			&cli.StringFlag{Category: journalGroup, Name: "state-dir", Value: d.StateDir, Usage: "`DIR` of the journal"},
			&cli.Int64Flag{Category: journalGroup, Name: "journal-max-bytes", Value: d.JournalMaxBytes, Usage: "the most `BYTES` that the journal takes on disk"},
			&cli.BoolFlag{Category: journalGroup, Name: "journal-flush", Value: d.JournalFlush,
				Usage: "wait for the disk before a result is acknowledged; with --journal-flush=false a power loss may lose results"},
			&cli.BoolFlag{Category: portGroup, Name: "legacy", Value: d.Legacy, Usage: "take results from clients of version 0.3.9 as well"},
		}, append(limitFlags(d.Limits), env.Flags...)...),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return option.Wrong(c.Args().First(), "there is no such option; `massive-passive server --help` lists them")
			}
			if c.Bool("check-config") {
				return CheckConfig(c.Context, options(c, env.Version), env.Stdout, func() (string, error) { return env.Become(c) })
			}
			if !c.Bool("foreground") && slices.Contains(option.Values(c, "sink"), kindStdout+":") {
				return option.Wrong("--sink", "stdout: needs --foreground: in the background nobody reads it")
			}
			return env.Daemon(c, func(log zerolog.Logger, drop func() error, sockets []net.Listener) (*Server, error) {
				o := options(c, env.Version)
				o.Drop, o.Sockets = drop, sockets
				return New(o, log)
			})
		},
	}
}

func limitFlags(d Limits) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Category: limitsGroup, Name: "max-connections", Value: d.Connections, Usage: "how many connections may be open"},
		&cli.IntFlag{Category: limitsGroup, Name: "max-client-connections", Value: d.ClientConnections, Usage: "how many of them one client may have"},
		&cli.Float64Flag{Category: limitsGroup, Name: "max-client-share", Value: d.ClientShare,
			Usage: "the `PART` of the journal that one client's results may fill while others need room, once half of it is full; 0 for any"},
		&cli.Float64Flag{Category: limitsGroup, Name: "max-rate", Value: d.Rate, DefaultText: "no limit", Usage: "how many `RESULTS` a second one client may send, over ten seconds"},
		&cli.IntFlag{Category: limitsGroup, Name: "max-frame", Value: d.Frame, Usage: "the most `BYTES` of a batch of results"},
		&cli.IntFlag{Category: limitsGroup, Name: "max-legacy-message", Value: d.LegacyMessage, Usage: "the most `BYTES` of a message of version 0.3.9"},
		&cli.IntFlag{Category: limitsGroup, Name: "max-output", Value: d.Output, Usage: "the most `BYTES` of a result's output; the rest is cut off"},
		&cli.Float64Flag{Category: limitsGroup, Name: "handshake-timeout", Value: d.Handshake.Seconds(), Usage: "`SECONDS` that a peer has to prove who it is"},
		&cli.Float64Flag{Category: limitsGroup, Name: "idle-timeout", Value: d.Idle.Seconds(), Usage: "`SECONDS` that a client may be silent"},
		&cli.Int64Flag{Category: limitsGroup, Name: "frame-memory", Value: d.FrameMemory, Usage: "the most `BYTES` of memory for what clients are sending, all together; one has a quarter of it"},
	}
}

func limits(c *cli.Context) Limits {
	return Limits{door.Limits{
		Connections:       c.Int("max-connections"),
		ClientConnections: c.Int("max-client-connections"),
		Frame:             c.Int("max-frame"),
		LegacyMessage:     c.Int("max-legacy-message"),
		Handshake:         time.Duration(c.Float64("handshake-timeout") * float64(time.Second)),
		Idle:              time.Duration(c.Float64("idle-timeout") * float64(time.Second)),
		FrameMemory:       c.Int64("frame-memory"),
	}, intake.Quota{ClientShare: c.Float64("max-client-share"), Rate: c.Float64("max-rate"), Output: c.Int("max-output")}}
}

func options(c *cli.Context, version string) Options {
	o := Options{
		Listen:               c.StringSlice("listen"),
		Port:                 c.Int("port"),
		SSLCACert:            path(c, "ssl-ca-cert"),
		SSLKey:               path(c, "ssl-key"),
		SSLCert:              path(c, "ssl-cert"),
		SSLCRL:               path(c, "ssl-crl"),
		TLSMinVersion:        c.String("tls-min-version"),
		AllowedClientCertDir: path(c, "allowed-client-cert-dir"),
		AllowCommands:        option.Values(c, "allow-commands"),
		CommandFile:          path(c, "command-file"),
		Sinks:                option.Values(c, "sink"),
		Dialect:              c.String("dialect"),
		NagiosConfig:         path(c, "nagios-config"),
		Icinga2Password:      os.Getenv(icingaPassword),
		Icinga2PasswordFile:  path(c, "icinga2-password-file"),
		Icinga2CAFile:        path(c, "icinga2-ca-file"),
		Icinga2ServerName:    c.String("icinga2-server-name"),
		Icinga2Requests:      c.Int("icinga2-requests"),
		DrainRate:            c.Int("drain-rate"),
		Backlog:              c.String("backlog"),
		Limits:               limits(c),
		StateDir:             path(c, "state-dir"),
		JournalMaxBytes:      c.Int64("journal-max-bytes"),
		JournalFlush:         c.Bool("journal-flush"),
		Legacy:               c.Bool("legacy"),
		Version:              version,
	}
	if c.IsSet("order-guard") {
		guard := c.Bool("order-guard")
		o.OrderGuard = &guard
	}
	return o
}

// path is a file or directory as seen from here: a process in the background
// works in /.
func path(c *cli.Context, name string) string {
	value := c.String(name)
	if absolute, err := filepath.Abs(value); err == nil && value != "" {
		return absolute
	}
	return value
}
