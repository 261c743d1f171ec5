package server

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// Env is what a command gets from the program around it.
type Env struct {
	Version string
	// Log makes a logger: level by its name, format "console", "json" or "",
	// and a file, "" for none. quiet keeps it off standard error.
	Log    func(level, format, file string, quiet bool) (zerolog.Logger, io.Closer, error)
	Status <-chan os.Signal // asks for the status in the log
}

// Command is `massive-passive server`.
func Command(env Env) *cli.Command {
	d := DefaultOptions()
	return &cli.Command{
		Name:  "server",
		Usage: "take results from clients and hand them to the monitoring core",
		Description: "Takes check results over mutual TLS and writes them to the core's external command file.\n\n" +
			"Example: massive-passive server --foreground --command-file /var/lib/nagios4/rw/nagios.cmd",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Value: cli.NewStringSlice(d.Listen...),
				Usage: "`ADDRESS`[:PORT] to listen on; may be repeated or separated by commas"},
			&cli.IntFlag{Name: "port", Value: d.Port, Usage: "`PORT` to listen on where --listen names none"},
			&cli.StringFlag{Name: "command-file", DefaultText: "the first usual one that exists", Usage: "`PATH` of the core's external command file"},
			&cli.GenericFlag{Name: "sink", Value: &repeated{}, Usage: "deliver to `KIND:TARGET`; may be repeated: command-file:PATH, checkresults:DIR, icinga2:https://USER@HOST:5665[,...], stdout:"},
			&cli.StringFlag{Name: "nagios-config", Usage: "main configuration `FILE` of Nagios or Naemon: tells the core's kind, doors, hosts and services"},
			&cli.StringFlag{Name: "icinga2-password-file", DefaultText: "the environment's " + icingaPassword, Usage: "`FILE` with the password of the API user"},
			&cli.StringFlag{Name: "icinga2-ca-file", DefaultText: "the machine's", Usage: "`FILE` with the CA of the API's certificate"},
			&cli.StringFlag{Name: "icinga2-server-name", DefaultText: "the endpoint's host", Usage: "`NAME` in the API's certificate"},
			&cli.IntFlag{Name: "icinga2-requests", Value: d.Icinga2Requests, Usage: "the most `REQUESTS` to the API at a time"},
			&cli.StringFlag{Name: "dialect", DefaultText: "guessed from the path", Usage: "`CORE` behind the command file: nagios, naemon or icinga"},
			&cli.BoolFlag{Name: "order-guard", DefaultText: "on for Nagios and Naemon",
				Usage: "drop a result that is older than one of the same host or service from another client"},
			&cli.IntFlag{Name: "drain-rate", DefaultText: "as fast as the core takes them",
				Usage: "the most `RESULTS` a second of a backlog, received more than a minute ago"},
			&cli.StringFlag{Name: "backlog", Value: d.Backlog, Usage: "deliver `WHAT` of a backlog: all, or the latest result of each host and service"},
			&cli.StringFlag{Name: "ssl-ca-cert", Value: d.SSLCACert, Usage: "`FILE` with the CA that signed the clients' certificates"},
			&cli.StringFlag{Name: "ssl-key", Value: d.SSLKey, Usage: "`FILE` with the server's private key"},
			&cli.StringFlag{Name: "ssl-cert", Value: d.SSLCert, Usage: "`FILE` with the server's certificate"},
			&cli.StringFlag{Name: "tls-min-version", Value: d.TLSMinVersion,
				Usage: "the oldest `VERSION` of TLS that clients may speak: 1.0, 1.1, 1.2 or 1.3"},
			&cli.StringFlag{Name: "allowed-client-cert-dir", Value: d.AllowedClientCertDir,
				Usage: "`DIR` with the certificate of each allowed client as NAME.pem, and what it may send in NAME.json"},
			&cli.GenericFlag{Name: "allow-commands", Value: &repeated{},
				Usage: "`PATTERN` of external commands that clients may send beside check results, as 'ACKNOWLEDGE_*' or '!DEL_*'; may be repeated"},
			&cli.StringFlag{Name: "state-dir", Value: d.StateDir, Usage: "`DIR` of the journal"},
			&cli.Int64Flag{Name: "journal-max-bytes", Value: d.JournalMaxBytes, Usage: "the most `BYTES` that the journal takes on disk"},
			&cli.BoolFlag{Name: "journal-flush", Value: d.JournalFlush,
				Usage: "wait for the disk before a result is acknowledged; with --journal-flush=false a power loss may lose results"},
			&cli.BoolFlag{Name: "legacy", Value: d.Legacy, Usage: "take results from clients of version 0.3.9 as well"},
			&cli.BoolFlag{Name: "foreground", Aliases: []string{"f"}, Usage: "do not run in the background"},
			&cli.StringFlag{Name: "logfile", Usage: "`FILE` to log to as well"},
			&cli.StringFlag{Name: "loglevel", Aliases: []string{"l"}, Value: "info", Usage: "`LEVEL`: notset, debug, info, warning or error"},
			&cli.StringFlag{Name: "log-format", DefaultText: "console on a terminal, else json", Usage: "`FORMAT`: console or json"},
		}, limitFlags(d.Limits)...),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return &OptionError{c.Args().First(), "there is no such option; `massive-passive server --help` lists them"}
			}
			if !c.Bool("foreground") {
				return &OptionError{"--foreground", "give it: the server cannot go into the background by itself yet"}
			}
			log, closer, err := env.Log(c.String("loglevel"), c.String("log-format"), c.String("logfile"), false)
			if err != nil {
				return err
			}
			defer closer.Close()
			return run(c.Context, options(c, env.Version), log, env.Status)
		},
	}
}

func limitFlags(d Limits) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "max-connections", Value: d.Connections, Usage: "how many connections may be open"},
		&cli.IntFlag{Name: "max-client-connections", Value: d.ClientConnections, Usage: "how many of them one client may have"},
		&cli.Float64Flag{Name: "max-rate", Value: d.Rate, DefaultText: "no limit", Usage: "how many `RESULTS` a second one client may send, over ten seconds"},
		&cli.IntFlag{Name: "max-frame", Value: d.Frame, Usage: "the most `BYTES` of a batch of results"},
		&cli.IntFlag{Name: "max-legacy-message", Value: d.LegacyMessage, Usage: "the most `BYTES` of a message of version 0.3.9"},
		&cli.IntFlag{Name: "max-output", Value: d.Output, Usage: "the most `BYTES` of a result's output; the rest is cut off"},
		&cli.Float64Flag{Name: "handshake-timeout", Value: d.Handshake.Seconds(), Usage: "`SECONDS` that a peer has to prove who it is"},
		&cli.Float64Flag{Name: "idle-timeout", Value: d.Idle.Seconds(), Usage: "`SECONDS` that a client may be silent"},
		&cli.Int64Flag{Name: "frame-memory", Value: d.FrameMemory, Usage: "the most `BYTES` of memory for what clients are sending, all together"},
	}
}

func limits(c *cli.Context) Limits {
	return Limits{
		Connections:       c.Int("max-connections"),
		ClientConnections: c.Int("max-client-connections"),
		Rate:              c.Float64("max-rate"),
		Frame:             c.Int("max-frame"),
		LegacyMessage:     c.Int("max-legacy-message"),
		Output:            c.Int("max-output"),
		Handshake:         time.Duration(c.Float64("handshake-timeout") * float64(time.Second)),
		Idle:              time.Duration(c.Float64("idle-timeout") * float64(time.Second)),
		FrameMemory:       c.Int64("frame-memory"),
	}
}

// repeated is an option that may be given several times, whose values may hold
// commas.
type repeated []string

func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}

func (r *repeated) String() string { return "" }

func options(c *cli.Context, version string) Options {
	o := Options{
		Listen:               c.StringSlice("listen"),
		Port:                 c.Int("port"),
		SSLCACert:            c.String("ssl-ca-cert"),
		SSLKey:               c.String("ssl-key"),
		SSLCert:              c.String("ssl-cert"),
		TLSMinVersion:        c.String("tls-min-version"),
		AllowedClientCertDir: c.String("allowed-client-cert-dir"),
		AllowCommands:        *c.Generic("allow-commands").(*repeated),
		CommandFile:          c.String("command-file"),
		Sinks:                *c.Generic("sink").(*repeated),
		Dialect:              c.String("dialect"),
		NagiosConfig:         c.String("nagios-config"),
		Icinga2Password:      os.Getenv(icingaPassword),
		Icinga2PasswordFile:  c.String("icinga2-password-file"),
		Icinga2CAFile:        c.String("icinga2-ca-file"),
		Icinga2ServerName:    c.String("icinga2-server-name"),
		Icinga2Requests:      c.Int("icinga2-requests"),
		DrainRate:            c.Int("drain-rate"),
		Backlog:              c.String("backlog"),
		Limits:               limits(c),
		StateDir:             c.String("state-dir"),
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

func run(ctx context.Context, o Options, log zerolog.Logger, asked <-chan os.Signal) error {
	s, err := New(o, log)
	if err != nil {
		return err
	}
	return s.Run(ctx, asked)
}
