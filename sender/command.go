package sender

import (
	"context"
	"errors"
	"fmt"
	"massive-passive/internal/option"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// sendNSCA is the name under which scripts call the program in place of NSCA's
// or NSCA-ng's. It keeps what their users rely on: help and version end with 3,
// all that is not sent with 2; the server is localhost if none is named. A
// refused connection was final at once there. Here it is not, for a script that
// ends before a server has restarted has lost its result; whoever cannot wait
// says so with the time-out.
const sendNSCA = "send_nsca"

// Command is `massive-passive send`.
func Command(env Env) *cli.Command {
	return &cli.Command{
		Name:  "send",
		Usage: "send results from standard input to servers",
		Description: "Reads results from standard input as send_nsca does: HOST<tab>SERVICE<tab>CODE<tab>OUTPUT for a service,\n" +
			"HOST<tab>CODE<tab>OUTPUT for a host, several divided by ETB (0x17). Ends with 0 only after every server\n" +
			"acknowledged every result; 2: not sent, 3: wrong usage, 4: refused for good, 5: sent, but no answer came, so that\n" +
			"nobody knows. As send_nsca, it ends with 2 in place of 4 and 5.\n\n" +
			"Example: printf 'web1\\tload\\t0\\tall quiet' | massive-passive send --server mon.example",
		Flags:        flags(),
		HideHelp:     true, // -h and -v are send_nsca's
		Action:       func(c *cli.Context) error { return act(c, env) },
		OnUsageError: func(c *cli.Context, err error, _ bool) error { return usage(c.App.Name, err) },
	}
}

// ShowHelp is what Arrange makes of -h and --help: the option parser answers
// these by itself, with an exit code of its own.
const ShowHelp = "show-help"

func flags() []cli.Flag {
	d := DefaultSendOptions()
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "server", Aliases: []string{"H"}, Usage: "`ADDRESS[:PORT]`,... to send to, each of them"},
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Usage: "`PORT` of servers that are named without one", DefaultText: "5678"},
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "`FILE` with KEY=VALUE settings, send_nsca's or ours",
			DefaultText: "the first there is of " + strings.Join(defaultConfigFiles(), ", ")},
		&cli.BoolFlag{Name: "raw", Aliases: []string{"C"}, Usage: "standard input holds external commands, one a line"},
		&cli.StringFlag{Name: "delimiter", Aliases: []string{"d"}, Usage: "`CHARACTER` between fields, also as 0x09 or '\\t'", DefaultText: "a tab"},
		&cli.StringFlag{Name: "set-delimiter", Aliases: []string{"ds", "e"}, Usage: "`CHARACTER` between sets, also as 0x17 or '\\n'", DefaultText: "ETB, 0x17"},
		&cli.Float64Flag{Name: "timeout", Aliases: []string{"to", "o"}, Value: d.Timeout.Seconds(), Usage: "`SECONDS` for everything together; 0: none, and one try; until then all is tried again that may pass, as a refused connection"},
		&cli.Float64Flag{Name: "delay", Aliases: []string{"D"}, Usage: "wait a random time of up to `SECONDS` first"},
		&cli.BoolFlag{Name: "quiet", Usage: "say nothing on success"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Count: new(int), Usage: "name each result that was sent; twice: with its output"},
		&cli.BoolFlag{Name: "s", Usage: "messages go to the system logger"},
		&cli.BoolFlag{Name: "S", Usage: "messages go to standard error, also where -s is given"},
		&cli.StringFlag{Name: "ssl-key", Value: d.SSLKey, Usage: "`FILE` with the client's private key"},
		&cli.StringFlag{Name: "ssl-cert", Value: d.SSLCert, Usage: "`FILE` with the client's certificate"},
		&cli.StringFlag{Name: "ssl-ca-cert", Value: d.SSLCACert, Usage: "`FILE` with the CA that signed the servers' certificates"},
		&cli.StringFlag{Name: "ssl-verify", Value: d.SSLVerify, Usage: "name: the certificate must be for the server's address; ca: its CA is enough"},
		&cli.StringFlag{Name: "tls-min-version", Value: d.TLSMinVersion, Usage: "the oldest `VERSION` of TLS that a server may speak: 1.0, 1.1, 1.2 or 1.3"},
		&cli.BoolFlag{Name: "t", Hidden: true},               // NSCA-ng: ignored
		&cli.BoolFlag{Name: "legacy-2-7-mode", Hidden: true}, // NSCA: of its own protocol
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show this"},
		&cli.BoolFlag{Name: ShowHelp, Hidden: true},
		&cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "show the version"},
	}
}

// Arrange rewrites a command line of either send_nsca into what the option
// parser reads. args begins with the program's name.
func Arrange(args []string) []string {
	return append(slices.Clone(args[:1]), arrange(args[1:], optionNames())...)
}

func act(c *cli.Context, env Env) error {
	if c.Bool(ShowHelp) {
		return errors.Join(cli.ShowAppHelp(c), shown(c))
	}
	if c.Bool("version") {
		fmt.Fprintf(env.Stdout, "%s version %s\n", c.App.Name, c.App.Version)
		return shown(c)
	}
	return send(c.Context, env, c.App.Name, c, c.Args().Slice())
}

// send is the command under one of its names; bare are the words that are no
// options.
func send(ctx context.Context, env Env, name string, given settings, bare []string) error {
	out, end := messages(env, name, given.Bool("s"), given.Bool("S"))
	defer end()
	logged := env
	logged.Stderr = out
	o, err := sendOptions(given, bare, name, logged)
	if err == nil {
		err = Run(ctx, logged, o)
	}
	if err != nil && name == sendNSCA {
		err = narrowed{err}
	}
	if err == nil || !given.Bool("s") {
		return err
	}
	fmt.Fprintln(out, err)
	return told{err}
}

// sendOptions are the defaults, what a configuration file sets, and what the
// command line sets, each above the one before.
func sendOptions(given settings, bare []string, name string, env Env) (SendOptions, error) {
	o := DefaultSendOptions()
	file, ignored, err := readConfig(given.String("config"), &o)
	if err != nil {
		return o, err
	}
	if len(ignored) > 0 && !given.Bool("quiet") {
		fmt.Fprintf(env.Stderr, "%s: ignored in %s, where it means nothing to this program: %s\n", name, file, strings.Join(ignored, ", "))
	}
	if given.IsSet("server") {
		o.Servers = given.StringSlice("server")
	}
	switch {
	case len(bare) == 1 && !given.IsSet("server"):
		o.Servers = bare
	case len(bare) > 0:
		return o, usage(name, fmt.Errorf("%q is no option, and the server is named already", bare[len(bare)-1]))
	case len(o.Servers) == 0 && name == sendNSCA:
		o.Servers = []string{"localhost"}
	}
	for option, target := range map[string]*string{"port": &o.Port, "ssl-key": &o.SSLKey, "ssl-cert": &o.SSLCert, "ssl-ca-cert": &o.SSLCACert,
		"ssl-verify": &o.SSLVerify, "tls-min-version": &o.TLSMinVersion} {
		if given.IsSet(option) {
			*target = given.String(option)
		}
	}
	for option, target := range map[string]*time.Duration{"timeout": &o.Timeout, "delay": &o.Delay} {
		if given.IsSet(option) {
			*target = time.Duration(given.Float64(option) * float64(time.Second))
		}
	}
	for option, target := range map[string]*byte{"delimiter": &o.Delimiter, "set-delimiter": &o.SetDelimiter} {
		if given.IsSet(option) {
			if *target, err = parseDelimiter(given.String(option)); err != nil {
				return o, wrong("--"+option, err.Error())
			}
		}
	}
	o.Raw, o.Quiet, o.Verbose = given.Bool("raw"), given.Bool("quiet"), given.Count("verbose")
	return o, nil
}

// usage is wrong usage.
func usage(name string, err error) error {
	return wrong("usage", fmt.Sprintf("%v (see `%s --help`)", err, name))
}

// narrowed is an error with one of the exit codes that send_nsca has.
type narrowed struct{ error }

func (n narrowed) Unwrap() error { return n.error }

func (n narrowed) ExitCode() int {
	var usage *option.Error
	if errors.As(n.error, &usage) {
		return ExitUsage
	}
	return ExitNotSent
}

// told is an error that was told already.
type told struct{ error }

func (told) Error() string { return "" }

func (t told) ExitCode() int {
	var coded interface{ ExitCode() int }
	if errors.As(t.error, &coded) {
		return coded.ExitCode()
	}
	return ExitNotSent
}

// shown ends a command that only showed something: send_nsca's exit code for
// that is the one of wrong usage.
func shown(c *cli.Context) error {
	if c.App.Name != sendNSCA {
		return nil
	}
	return told{wrong("", "")}
}
