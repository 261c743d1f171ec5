// Package app is the process: it chooses the command by the name of the program
// or its first word, reads options, environment and signals, turns errors into
// exit codes, and keeps a daemon's log, pidfile, user and service manager. What
// a command does is the business of the package that it belongs to.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the time zones of check files, on machines that have none, such as an empty image

	"massive-passive/client"
	"massive-passive/internal/pki"
	"massive-passive/internal/status"
	"massive-passive/sched/zone"
	"massive-passive/sender"
	"massive-passive/server"

	"github.com/urfave/cli/v2"
)

// version is set by the linker, see the Makefile.
var version = "unknown"

// streams are the process's own, or a test's.
type streams struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	setZone        func() error // has the process use the time zone of its environment; nil in tests
	badZone        *badZone
	unknown        *unknown
	ready          *os.File // tells the caller of a process in the background that it started; nil in the foreground
}

// Main runs the whole program with the process's own standard streams, and
// returns its exit code. args[0] is the name that it was called by.
func Main(args []string) int {
	return run(args, streams{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, setZone: zone.SetLocal, ready: readiness()})
}

// applet is one command and the program names that stand for it.
type applet struct {
	word    string
	links   []string
	command func(streams) *cli.Command
	// arrange brings the arguments into the order and form that the option
	// parser reads, each option under its first name; nil: it reads them as
	// they are.
	arrange func(args []string) []string
	// plain runs the command under a name without an option parser, where the
	// arguments, as arranged, and the environment need none; nil: it always
	// needs one.
	plain func(ctx context.Context, std streams, name string, args []string) (done bool, err error)
}

func applets() []applet {
	return []applet{
		{word: "client", links: []string{"massive-passive-client"}, command: clientCommand},
		{word: "server", links: []string{"massive-passive-server"}, command: serverCommand},
		{word: "send", links: []string{"massive-passive-send", "send_nsca"}, command: sendCommand, arrange: sender.Arrange, plain: sendPlain},
		{word: "status", links: []string{"massive-passive-status"}, command: statusCommand},
		{word: "pki", links: []string{"massive-passive-pki"}, command: pkiCommand},
		{word: "help", command: helpCommand},
	}
}

func serverCommand(std streams) *cli.Command {
	return server.Command(server.Env{Version: version, Stdout: std.stdout, Flags: daemonFlags("server"), Become: becomeUser, Daemon: func(c *cli.Context, start server.Start) error {
		return std.daemon(c, "server", func(p daemonEnv) (service, error) { return start(p.log, p.drop, p.sockets) })
	}})
}

func sendCommand(std streams) *cli.Command {
	return sender.Command(senderEnv(std))
}

func sendPlain(ctx context.Context, std streams, name string, args []string) (done bool, err error) {
	if slices.ContainsFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, environmentPrefix) }) {
		return false, nil
	}
	makeStackRoom(false)
	return sender.RunPlain(ctx, senderEnv(std), name, args)
}

func pkiCommand(std streams) *cli.Command {
	return pki.Command(pki.Env{Stdin: std.stdin, Stdout: std.stdout, Stderr: std.stderr})
}

func senderEnv(std streams) sender.Env {
	return sender.Env{Stdin: std.stdin, Stdout: std.stdout, Stderr: std.stderr, Version: version}
}

func clientCommand(std streams) *cli.Command { return client.Command(clientEnv(std)) }

func clientEnv(std streams) client.Env {
	return client.Env{Version: version, Flags: daemonFlags("client"), Settle: std.withSettings,
		Daemon: func(c *cli.Context, start client.Start) error {
			return std.daemon(c, "client", func(p daemonEnv) (service, error) { return start(p.log, p.drop) })
		},
		Send: func(ctx context.Context, s client.Sending) error {
			o := sender.DefaultSendOptions()
			o.Servers, o.Raw = s.Servers, true
			o.SSLKey, o.SSLCert, o.SSLCACert, o.SSLVerify = s.SSLKey, s.SSLCert, s.SSLCACert, s.SSLVerify
			o.TLSMinVersion = s.TLSMinVersion
			return sender.Run(ctx, senderEnv(std), o)
		}}
}

func statusCommand(std streams) *cli.Command {
	return status.Command(status.Env{Stdout: std.stdout, StateDirs: []string{client.DefaultOptions().StateDir, server.DefaultOptions().StateDir}})
}

// Programs are the names that the program may be called by, as links to it.
func Programs() []string {
	names := []string{"massive-passive"}
	for _, a := range applets() {
		names = append(names, a.links...)
	}
	return names
}

// run is the whole program but for the exit: its result is the exit code.
func run(args []string, std streams) int {
	std.args = args
	a, name, args := choose(args)
	if asksVersion(args) && a.arrange == nil {
		fmt.Fprintf(std.stdout, "%s version %s\n", name, version)
		return 0
	}
	ctx, end := untilStopped(a.plain != nil)
	defer end()
	err := a.run(ctx, name, args, std)
	if err == nil {
		return 0
	}
	if text := strings.TrimSpace(err.Error()); text != "" { // else all was said
		std.complain(name + ": " + text)
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// soon is longer than a short command takes if nothing holds it up.
const soon = 50 * time.Millisecond

// untilStopped returns a context that the first signal to stop ends; the second
// one kills. To listen for signals takes two threads more, which a short command
// has no use for: there it begins soon, and until then the first one kills.
func untilStopped(short bool) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	listen := func() {
		heard, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(heard, func() {
			stop()
			cancel()
		})
	}
	if !short {
		listen()
		return ctx, cancel
	}
	later := time.AfterFunc(soon, listen)
	return ctx, func() {
		later.Stop()
		cancel()
	}
}

// choose finds the applet by the program's name, then by the first word, and
// what it is called. The zero applet stands for the program without a command.
func choose(args []string) (a applet, name string, rest []string) {
	all, program := applets(), filepath.Base(args[0])
	if i := slices.IndexFunc(all, func(a applet) bool { return slices.Contains(a.links, program) }); i >= 0 {
		return all[i], program, args
	}
	if len(args) > 1 {
		if i := slices.IndexFunc(all, func(a applet) bool { return a.word == args[1] }); i >= 0 {
			return all[i], "massive-passive " + args[1], args[1:]
		}
	}
	return applet{}, "massive-passive", args
}

// asksVersion tells that nothing but the version is asked for, as scripts do
// often: it needs no option parser.
func asksVersion(args []string) bool { return len(args) == 2 && args[1] == "--version" }

// run runs the command under the name that it was called by.
func (a applet) run(ctx context.Context, name string, args []string, std streams) error {
	if a.arrange != nil {
		args = a.arrange(args)
	}
	if a.plain != nil {
		if done, err := a.plain(ctx, std, name, args); done {
			return err
		}
	}
	if a.command == nil {
		return overview(name, std).RunContext(ctx, args)
	}
	std.badZone, std.unknown = a.zone(std), findUnknown(std, os.Environ())
	command := a.command(std)
	bindAll(a.word, command)
	tellHelp(name, a.word, command)
	err := newApp(name, command, std).RunContext(ctx, args)
	std.badZone.tell(func(wrong error) { fmt.Fprintf(std.stderr, "%s: %v\n", name, wrong) })
	std.unknown.tell(func(text string) { fmt.Fprintf(std.stderr, "%s: %s\n", name, text) })
	return err
}

// badZone is a time zone that cannot be used. A daemon says so in its log, any
// other command when it is through.
type badZone struct {
	err  error
	said bool
}

// zone sets the time zone for the commands that show or read times.
func (a applet) zone(std streams) *badZone {
	if std.setZone == nil || a.word == "send" || a.word == "help" {
		return &badZone{}
	}
	return &badZone{err: std.setZone()}
}

func (z *badZone) tell(say func(error)) {
	if z.err != nil && !z.said {
		z.said = true
		say(z.err)
	}
}

func newApp(name string, command *cli.Command, std streams) *cli.App {
	app := &cli.App{
		Name:            name,
		HelpName:        name,
		Usage:           command.Usage,
		Flags:           command.Flags,
		Action:          command.Action,
		Commands:        command.Subcommands,
		Version:         version,
		HideHelp:        command.HideHelp,
		HideVersion:     command.HideHelp,
		HideHelpCommand: true,
		Reader:          std.stdin,
		Writer:          std.stdout,
		ErrWriter:       std.stderr,
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return usageError(name, err) },
		ExitErrHandler:  func(*cli.Context, error) {}, // run tells

		CustomAppHelpTemplate: command.CustomHelpTemplate,
	}
	if command.OnUsageError != nil {
		app.OnUsageError = command.OnUsageError
	}
	speakPlainly(app)
	return app
}

// overview is the program without a command.
func overview(name string, std streams) *cli.App {
	app := newApp(name, &cli.Command{
		Usage: "passive checks for Nagios, Naemon and Icinga",
		Action: func(c *cli.Context) error {
			if word := c.Args().First(); word != "" {
				return usageError(name, fmt.Errorf("there is no command %q: it is one of %s", word, strings.Join(words(), ", ")))
			}
			return cli.ShowAppHelp(c)
		},
	}, std)
	app.CustomAppHelpTemplate = literal(overviewManual().text())
	return app
}

func words() []string {
	var all []string
	for _, a := range applets() {
		all = append(all, a.word)
	}
	return all
}

// misuse is a command line that cannot be read.
type misuse struct{ error }

func (misuse) ExitCode() int { return 2 }

func usageError(name string, err error) error {
	return misuse{fmt.Errorf("%w (see `%s --help`)", err, name)}
}
