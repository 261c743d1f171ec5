package client

import (
	"context"
	"massive-passive/internal/option"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// Env is what a command gets from the program around it.
type Env struct {
	Version string
	Flags   []cli.Flag // of every daemon
	// Daemon makes the process a daemon as the Flags ask for, and runs in it
	// what start returns.
	Daemon func(c *cli.Context, start Start) error
	// Settle runs the command again with the settings of the daemon, for which it
	// then is nil.
	Settle func(c *cli.Context) error
	// Become returns what makes the process the user that the daemon runs as; nil
	// where it stays who it is.
	Become func(c *cli.Context) (drop func() error, err error)
	// Send is `massive-passive send -C`.
	Send func(ctx context.Context, o Sending) error
}

// DefaultSettings are those of the packages' unit and init script.
const DefaultSettings = "/etc/default/massive-passive-client"

// Start makes the client of a daemon with its log; drop is for Options.
type Start func(log zerolog.Logger, drop func() error) (*Client, error)

// Sending is what --act-as-sender needs.
type Sending struct {
	Servers                               []string
	SSLKey, SSLCert, SSLCACert, SSLVerify string
	TLSMinVersion                         string
}

// Command is `massive-passive client`.
func Command(env Env) *cli.Command {
	return &cli.Command{
		Name:  "client",
		Usage: "run checks by schedule and send their results to servers",
		Description: "Runs the plugins that the check files name, each at its interval or by its calendar,\n" +
			"and keeps every result until each of its servers has it.\n\n" +
			"Example: massive-passive client --foreground --confdir /etc/massive-passive/checks.d",
		Flags:  slices.Concat(checkFlags(), sendFlags(), inspectFlags(), env.Flags),
		Action: func(c *cli.Context) error { return act(c, env) },
	}
}

// The groups of options in the help.
const (
	checksGroup       = "Checks"
	deliveryGroup     = "Delivery"
	certificatesGroup = "Certificates"
	tryGroup          = "Look and try, instead of running"
)

func checkFlags() []cli.Flag {
	d := DefaultOptions()
	return []cli.Flag{
		option.List(checksGroup, "confdir", "`DIR` with check files, *.cfg; may be repeated, and its variable holds several with : between them", ":", d.ConfDirs...),
		&cli.StringFlag{Category: checksGroup, Name: "hostname", DefaultText: "the machine's name", Usage: "`NAME` of the host for checks that have no check_hostname"},
		&cli.StringSliceFlag{Category: checksGroup, Name: "default-servers", Usage: "`NAME=ADDRESS[:PORT]`,... for checks that have no servers"},
		&cli.GenericFlag{Category: checksGroup, Name: "default-env", Value: &repeated{},
			Usage: "`NAME=VALUE` in the environment of all plugins, unless a check's env has the name; may be repeated, and its variable holds one a line"},
		&cli.Float64Flag{Category: checksGroup, Name: "default-timeout", Value: d.DefaultTimeout.Seconds(), Usage: "`SECONDS` a plugin may take where its check has no timeout; 0: no limit"},
		&cli.Float64Flag{Category: checksGroup, Name: "initial-random-wait-range", Value: d.InitialRandomWaitRange.Seconds(),
			Usage: "a check first runs 2 to this many `SECONDS` after the start; 0: after 2"},
		&cli.IntFlag{Category: checksGroup, Name: "max-concurrent-checks", Value: d.MaxConcurrentChecks, Usage: "how many plugins may run at once"},
		&cli.IntFlag{Category: checksGroup, Name: "max-output", Value: d.MaxOutput, Usage: "the most `BYTES` of a plugin's output that are kept"},
		&cli.Float64Flag{Category: checksGroup, Name: "stop-timeout", Value: d.StopTimeout.Seconds(), Usage: "`SECONDS` that running plugins get at a stop, and then deliveries"},
	}
}

func sendFlags() []cli.Flag {
	d := DefaultOptions()
	return []cli.Flag{
		&cli.BoolFlag{Category: deliveryGroup, Name: "batch-mode", Usage: "gather results and send them together"},
		&cli.Float64Flag{Category: deliveryGroup, Name: "batch-wait-time", Value: d.BatchWaitTime.Seconds(), Usage: "the most `SECONDS` that a result waits for others in batch mode"},
		&cli.IntFlag{Category: deliveryGroup, Name: "batch-max-items", Value: d.BatchMaxItems, Usage: "how many results go together in batch mode; 0: no limit"},
		&cli.StringFlag{Category: deliveryGroup, Name: "state-dir", Value: d.StateDir, Usage: "`DIR` of the journal"},
		&cli.Int64Flag{Category: deliveryGroup, Name: "journal-max-bytes", Value: d.JournalMaxBytes, Usage: "the most `BYTES` that the journal takes on disk; beyond, the oldest results are given up"},
		&cli.DurationFlag{Category: deliveryGroup, Name: "journal-max-age", Value: d.JournalMaxAge, Usage: "results older than this are given up, as 24h"},
		&cli.StringFlag{Category: certificatesGroup, Name: "ssl-key", Value: d.SSLKey, Usage: "`FILE` with the client's private key"},
		&cli.StringFlag{Category: certificatesGroup, Name: "ssl-cert", Value: d.SSLCert, Usage: "`FILE` with the client's certificate"},
		&cli.StringFlag{Category: certificatesGroup, Name: "ssl-ca-cert", Value: d.SSLCACert, Usage: "`FILE` with the CA that signed the servers' certificates"},
		&cli.StringFlag{Category: certificatesGroup, Name: "ssl-verify", Value: d.SSLVerify, Usage: "name: the certificate must be for the server's name or address; ca: its CA is enough"},
		&cli.StringFlag{Category: certificatesGroup, Name: "tls-min-version", Value: d.TLSMinVersion, Usage: "the oldest `VERSION` of TLS that a server may speak: 1.0, 1.1, 1.2 or 1.3"},
		&cli.BoolFlag{Category: deliveryGroup, Name: "act-as-sender", Usage: "read external commands from standard input, send them to --server, and end"},
		&cli.StringSliceFlag{Category: deliveryGroup, Name: "server", EnvVars: []string{"MASSIVE_PASSIVE_ACT_AS_SENDER_SERVER"}, // else an environment for send would be one for the client
			Usage: "`ADDRESS[:PORT]`,... for --act-as-sender"},
	}
}

func inspectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Category: tryGroup, Name: "check-config", Usage: "read the check files as a start would, say what is wrong with them, and end"},
		&cli.IntFlag{Category: tryGroup, Name: "next", Usage: "with --check-config: show each check's next `N` times"},
		&cli.StringFlag{Category: tryGroup, Name: "from", DefaultText: "now", Usage: "with --next: reckon from `TIME`, as 2026-01-31T09:00:00+01:00"},
		&cli.BoolFlag{Category: tryGroup, Name: "json", Usage: "with --check-config: one JSON object a file"},
		&cli.StringFlag{Category: tryGroup, Name: "once", Usage: "run the check in `FILE` now, show what would be sent, and end"},
		&cli.BoolFlag{Category: tryGroup, Name: "send", Usage: "with --once: send it, too"},
		&cli.StringFlag{Category: tryGroup, Name: "settings", Value: DefaultSettings,
			Usage: "with these: take the settings of the packages' daemon from `FILE`, and as root become its USER; none: do without"},
		&cli.StringFlag{Category: tryGroup, Name: "ping", Usage: "try whether `SERVER`, an ADDRESS[:PORT], takes this client, say how long that took, and end"},
	}
}

func act(c *cli.Context, env Env) error {
	if c.NArg() > 0 {
		return option.Wrong(c.Args().First(), "there is no such option; `massive-passive client --help` lists them")
	}
	if c.Bool("act-as-sender") {
		return env.Send(c.Context, Sending{Servers: c.StringSlice("server"), SSLKey: c.String("ssl-key"), SSLCert: c.String("ssl-cert"),
			SSLCACert: c.String("ssl-ca-cert"), SSLVerify: c.String("ssl-verify"), TLSMinVersion: c.String("tls-min-version")})
	}
	if c.IsSet("server") {
		return option.Wrong("--server", "only goes with --act-as-sender; the servers of checks are in their files, or in --default-servers")
	}
	if c.Bool("check-config") || c.IsSet("ping") || c.IsSet("once") {
		return look(c, env)
	}
	if c.IsSet("settings") {
		return option.Wrong("--settings", "only goes with --check-config, --once and --ping; for a daemon, the unit or init script reads them")
	}
	return env.Daemon(c, func(log zerolog.Logger, drop func() error) (*Client, error) {
		o := options(c, env.Version)
		o.Drop = drop
		return New(o, log)
	})
}

// look does what is asked instead of running, as the daemon would.
func look(c *cli.Context, env Env) (err error) {
	if env.Settle != nil {
		return env.Settle(c)
	}
	o := options(c, env.Version)
	if o.Drop, err = env.Become(c); err != nil {
		return err
	}
	switch {
	case c.Bool("check-config"):
		from, err := parseFrom(c.String("from"))
		if err != nil {
			return err
		}
		return Inspect(c.Context, o, Inspection{Next: c.Int("next"), From: from, JSON: c.Bool("json")}, c.App.Writer, c.App.ErrWriter)
	case c.IsSet("ping"):
		return Ping(c.Context, o, c.String("ping"), c.App.Writer)
	}
	return Once(c.Context, o, c.String("once"), c.Bool("send"), c.App.Writer, c.App.ErrWriter)
}

func options(c *cli.Context, version string) Options {
	return Options{
		ConfDirs:               paths(option.Values(c, "confdir")),
		Hostname:               c.String("hostname"),
		DefaultServers:         c.StringSlice("default-servers"),
		DefaultEnv:             *c.Generic("default-env").(*repeated),
		DefaultTimeout:         seconds(c, "default-timeout"),
		BatchMode:              c.Bool("batch-mode"),
		BatchWaitTime:          seconds(c, "batch-wait-time"),
		BatchMaxItems:          c.Int("batch-max-items"),
		InitialRandomWaitRange: seconds(c, "initial-random-wait-range"),
		MaxConcurrentChecks:    c.Int("max-concurrent-checks"),
		MaxOutput:              c.Int("max-output"),
		StateDir:               path(c, "state-dir"),
		JournalMaxBytes:        c.Int64("journal-max-bytes"),
		JournalMaxAge:          c.Duration("journal-max-age"),
		StopTimeout:            seconds(c, "stop-timeout"),
		SSLKey:                 path(c, "ssl-key"),
		SSLCert:                path(c, "ssl-cert"),
		SSLCACert:              path(c, "ssl-ca-cert"),
		SSLVerify:              c.String("ssl-verify"),
		TLSMinVersion:          c.String("tls-min-version"),
		Version:                version,
	}
}

func seconds(c *cli.Context, name string) time.Duration {
	return time.Duration(c.Float64(name) * float64(time.Second))
}

func paths(values []string) (paths []string) {
	for _, value := range values {
		paths = append(paths, absolute(value))
	}
	return paths
}

func path(c *cli.Context, name string) string { return absolute(c.String(name)) }

// absolute is a file or directory as seen from here: a process in the background
// works in /.
func absolute(value string) string {
	if path, err := filepath.Abs(value); err == nil && value != "" {
		return path
	}
	return value
}
