// massive-passive runs Nagios plugins by schedule on the hosts that they
// check, and brings their results to the monitoring core. This package
// chooses the command, by the name of the program or its first word, and turns
// signals and errors into what a process has for them.
package main

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
	_ "time/tzdata" // the time zones of check files, on machines that have none, such as an empty image

	"massive-passive/client"
	"massive-passive/sender"
	"massive-passive/server"
	"massive-passive/wire/certs/pki"
	"massive-passive/wire/status"

	"github.com/urfave/cli/v2"
)

// Set by the linker, see the Makefile.
var (
	version = "unknown"
	commit  = "unknown"
)

// streams are the process's own, or a test's.
type streams struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	ready          *os.File // tells the caller of a process in the background that it started; nil in the foreground
}

func main() {
	os.Exit(run(os.Args, own()))
}

func own() streams { return streams{os.Args, os.Stdin, os.Stdout, os.Stderr, readiness()} }

// applet is one command and the program names that stand for it.
type applet struct {
	word    string
	links   []string
	command func(streams) *cli.Command
	// arrange brings the arguments into the order and form that the option
	// parser reads, each option under its first name; nil: it reads them as
	// they are.
	arrange func(args []string) []string
}

func applets() []applet {
	return []applet{
		{"client", []string{"massive-passive-client"}, clientCommand, nil},
		{"server", []string{"massive-passive-server"}, serverCommand, nil},
		{"send", []string{"massive-passive-send", "send_nsca"}, sendCommand, sender.Arrange},
		{"status", []string{"massive-passive-status"}, statusCommand, nil},
		{"pki", []string{"massive-passive-pki"}, pkiCommand, nil},
		{"help", nil, helpCommand, nil},
	}
}

func serverCommand(std streams) *cli.Command {
	return server.Command(server.Env{Version: version, Stdout: std.stdout, Flags: daemonFlags("server"), Become: becomeUser, Daemon: func(c *cli.Context, start server.Start) error {
		return std.daemon(c, "server", func(p process) (service, error) { return start(p.log, p.drop, p.sockets) })
	}})
}

func sendCommand(std streams) *cli.Command {
	return sender.Command(senderEnv(std))
}

func pkiCommand(std streams) *cli.Command {
	return pki.Command(pki.Env{Stdin: std.stdin, Stdout: std.stdout, Stderr: std.stderr})
}

func senderEnv(std streams) sender.Env {
	return sender.Env{Stdin: std.stdin, Stdout: std.stdout, Stderr: std.stderr, Version: version}
}

func clientCommand(std streams) *cli.Command {
	return client.Command(client.Env{Version: version, Flags: daemonFlags("client"),
		Daemon: func(c *cli.Context, start client.Start) error {
			return std.daemon(c, "client", func(p process) (service, error) { return start(p.log, p.drop) })
		},
		Send: func(ctx context.Context, s client.Sending) error {
			o := sender.DefaultSendOptions()
			o.Servers, o.Raw = s.Servers, true
			o.SSLKey, o.SSLCert, o.SSLCACert, o.SSLVerify = s.SSLKey, s.SSLCert, s.SSLCACert, s.SSLVerify
			o.TLSMinVersion = s.TLSMinVersion
			return sender.Run(ctx, senderEnv(std), o)
		}})
}

func statusCommand(std streams) *cli.Command {
	return status.Command(status.Env{Stdout: std.stdout, StateDirs: []string{client.DefaultOptions().StateDir, server.DefaultOptions().StateDir}})
}

// run is the whole program but for the exit: its result is the exit code.
func run(args []string, std streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal kills
	app, args := choose(args, std)
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	if text := strings.TrimSpace(err.Error()); text != "" { // else all was said
		fmt.Fprintf(std.stderr, "%s: %s\n", app.Name, text)
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// choose finds the applet by the program's name, then by the first word.
func choose(args []string, std streams) (*cli.App, []string) {
	name := filepath.Base(args[0])
	for _, a := range applets() {
		for _, link := range a.links {
			if name == link {
				return a.app(name, args, std)
			}
		}
	}
	if len(args) > 1 {
		for _, a := range applets() {
			if args[1] == a.word {
				return a.app("massive-passive "+a.word, args[1:], std)
			}
		}
	}
	return overview(args, std), args
}

// asksVersion tells that nothing but the version is asked for, as scripts do
// often: it needs no options, and no help to be made.
func asksVersion(args []string) bool { return len(args) == 2 && args[1] == "--version" }

// app sets the applet up, and brings its arguments into their order.
func (a applet) app(name string, args []string, std streams) (*cli.App, []string) {
	if a.arrange == nil && asksVersion(args) {
		return newApp(name, &cli.Command{}, std), args
	}
	command := a.command(std)
	bindAll(a.word, command)
	if a.arrange != nil {
		args = a.arrange(args)
		if !slices.Contains(args, "--"+sender.ShowHelp) {
			command.Flags = needed(command.Flags, args)
			return newApp(name, command, std), args
		}
	}
	tellHelp(name, a.word, command)
	return newApp(name, command, std), args
}

// needed are the flags that occur in arguments that were arranged, or in the
// environment. To set up all options costs a short command a good part of its
// time.
func needed(flags []cli.Flag, args []string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool {
		if to := variables(f); to != nil && slices.ContainsFunc(*to, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
			return false
		}
		name := "--" + f.Names()[0]
		return !slices.ContainsFunc(args, func(arg string) bool { return arg == name || strings.HasPrefix(arg, name+"=") })
	})
}

func newApp(name string, command *cli.Command, std streams) *cli.App {
	app := &cli.App{
		Name:            name,
		HelpName:        name,
		Usage:           command.Usage,
		Flags:           command.Flags,
		Action:          command.Action,
		Commands:        command.Subcommands,
		Version:         fmt.Sprintf("%s (%s)", version, commit),
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
	return app
}

// overview is the program without a command.
func overview(args []string, std streams) *cli.App {
	app := newApp("massive-passive", &cli.Command{
		Usage: "passive checks for Nagios, Naemon and Icinga",
		Action: func(c *cli.Context) error {
			if word := c.Args().First(); word != "" {
				return usageError("massive-passive", fmt.Errorf("there is no command %q: it is one of %s", word, strings.Join(words(), ", ")))
			}
			return cli.ShowAppHelp(c)
		},
	}, std)
	if !asksVersion(args) {
		app.CustomAppHelpTemplate = literal(overviewManual().text())
	}
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
