package pki

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"massive-passive/internal/option"
	"massive-passive/wire/certs"

	"github.com/urfave/cli/v2"
)

// Env is what a command gets from the program around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Command is `massive-passive pki`.
func Command(env Env) *cli.Command {
	c := &cli.Command{
		Name:  "pki",
		Usage: "make and keep the certificates of servers and clients",
		Description: "From nothing to a working pair, on the server and then on the client:\n\n" +
			"   massive-passive pki init --server monitor.example.org,192.0.2.10\n" +
			"   massive-passive pki client web1 --bundle web1.tar\n" +
			"   massive-passive pki install web1.tar",
		Subcommands: []*cli.Command{initCommand(env), serverCommand(env), clientCommand(env), requestCommand(env), signCommand(env),
			listCommand(env), renewCommand(env), installCommand(env)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return option.Wrong(c.Args().First(), "there is no such command; `massive-passive pki --help` lists them")
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, sub := range c.Subcommands {
		sub.OnUsageError = misused
		sub.HideHelpCommand = true
	}
	return c
}

func misused(c *cli.Context, err error, _ bool) error {
	return option.Wrong("pki "+c.Command.Name, fmt.Sprintf("%v (see `massive-passive pki %s --help`)", err, c.Command.Name))
}

// The flags that several commands share; each command gets its own copy.

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Value: certs.DefaultDir, Usage: "`DIR` of the CA and all that it made"}
}

func hostFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Value: certs.DefaultDir, Usage: "`DIR` where client and server look for their files"}
}

func daysFlag() cli.Flag {
	return &cli.IntFlag{Name: "days", Value: leafDays, Usage: "how many `DAYS` a certificate is good for, at most as long as the CA's"}
}

func bundleFlag() cli.Flag {
	return &cli.StringFlag{Name: "bundle", Usage: "one archive to carry to the host and install there: `FILE`, a directory for NAME.tar, or - for standard output"}
}

func ownerFlag() cli.Flag {
	return &cli.StringFlag{Name: "owner", DefaultText: "massive-passive if root runs this and there is that user, else whoever runs this",
		Usage: "`USER[:GROUP]` as which the daemon runs, who gets its private key; a GROUP that is named may read it"}
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace files that are there"}
}

func initCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a CA", ArgsUsage: "[DIR]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Value: "massive-passive CA", Usage: "`NAME` of the CA, for people"},
			&cli.IntFlag{Name: "days", Value: caDays, Usage: "how many `DAYS` the CA is good for"},
			&cli.StringSliceFlag{Name: "server", Usage: "`NAME`,... and addresses of the server on this machine, which gets its certificate at once"},
			dirFlag(), ownerFlag(), forceFlag(),
		},
		Action: action(0, 1, func(c *cli.Context, args []string) error {
			o := initOptions{dir: c.String("dir"), name: c.String("name"), days: c.Int("days"), hosts: c.StringSlice("server"),
				owner: c.String("owner"), force: c.Bool("force")}
			if len(args) > 0 {
				if c.IsSet("dir") && o.dir != args[0] {
					return misused(c, fmt.Errorf("the directory is %s as well as %s: name it once", o.dir, args[0]), true)
				}
				o.dir = args[0]
			}
			return o.run(env)
		}),
	}
}

func serverCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "server", Usage: "make the certificate of one server, for all names and addresses by which clients reach it", ArgsUsage: "NAME...",
		Flags: []cli.Flag{dirFlag(), daysFlag(), bundleFlag(), ownerFlag(), forceFlag()},
		Action: action(1, many, func(c *cli.Context, args []string) error {
			return issueOptions{issueFlags: readIssue(c)}.server(env, args)
		}),
	}
}

func clientCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "client", Usage: "make the certificates of clients and allow them", ArgsUsage: "NAME...",
		Flags: []cli.Flag{dirFlag(), daysFlag(), bundleFlag(), forceFlag()},
		Action: action(1, many, func(c *cli.Context, args []string) error {
			return issueOptions{issueFlags: readIssue(c)}.clients(env, args)
		}),
	}
}

func requestCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "request", Usage: "make a key on this host and a request for a CA to sign, so that the key never leaves the host", ArgsUsage: "NAME...",
		Flags: []cli.Flag{hostFlag(),
			&cli.BoolFlag{Name: "server", Usage: "for the server: NAME... are its names and addresses; else NAME is the client's"},
			&cli.StringFlag{Name: "out", DefaultText: "NAME.csr", Usage: "`FILE` for the request, - for standard output"},
			ownerFlag(), forceFlag()},
		Action: action(1, many, func(c *cli.Context, args []string) error {
			return requestOptions{dir: c.String("dir"), server: c.Bool("server"), out: c.String("out"), owner: c.String("owner"),
				force: c.Bool("force")}.run(env, args)
		}),
	}
}

func signCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "sign", Usage: "sign what hosts asked for with `pki request`", ArgsUsage: "FILE...",
		Flags: []cli.Flag{dirFlag(), daysFlag(), bundleFlag(),
			&cli.BoolFlag{Name: "server", Usage: "the requests are those of servers; else of clients, which become allowed"},
			&cli.BoolFlag{Name: "renew", Usage: "the certificate joins those that the client has, instead of being refused"},
			forceFlag()},
		Action: action(1, many, func(c *cli.Context, args []string) error {
			o := issueOptions{issueFlags: readIssue(c)}
			o.renew = c.Bool("renew")
			return o.sign(env, args, c.Bool("server"))
		}),
	}
}

func listCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "show all certificates in a directory and until when they are good",
		Flags:  []cli.Flag{hostFlag()},
		Action: action(0, 0, func(c *cli.Context, _ []string) error { return list(env, c.String("dir")) }),
	}
}

func renewCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "renew", Usage: "make new keys and certificates for what was made before; a client's old ones stay good beside them", ArgsUsage: "[NAME...]",
		Flags: []cli.Flag{dirFlag(), daysFlag(), bundleFlag(), ownerFlag(),
			&cli.BoolFlag{Name: "server", Usage: "NAME is that of a server; else of clients"},
			&cli.IntFlag{Name: "within", Usage: "instead of NAMEs: whatever ends within this many `DAYS`"},
			&cli.BoolFlag{Name: "ca", Usage: "the CA's own certificate, for the same key; it must then be copied to all hosts"}},
		Action: action(0, many, func(c *cli.Context, args []string) error {
			o := issueOptions{issueFlags: readIssue(c)}
			o.renew = true
			return renewOptions{issueOptions: o, server: c.Bool("server"), within: c.Int("within"), ca: c.Bool("ca"), daysSet: c.IsSet("days")}.run(env, args)
		}),
	}
}

func installCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "install", Usage: "put an archive, or certificates in PEM form, where client and server look for them", ArgsUsage: "FILE",
		Description: "FILE is an archive of `pki client`, `server`, `sign` or `renew`, or - for standard input. It may also hold PEM\n" +
			"certificates that any CA signed for a key that `pki request` made here, and the CA's own.",
		Flags: []cli.Flag{hostFlag(), ownerFlag(), forceFlag()},
		Action: action(1, 1, func(c *cli.Context, args []string) error {
			return installOptions{dir: c.String("dir"), owner: c.String("owner"), force: c.Bool("force")}.run(env, args[0])
		}),
	}
}

func readIssue(c *cli.Context) issueFlags {
	return issueFlags{dir: c.String("dir"), days: c.Int("days"), bundle: c.String("bundle"), owner: c.String("owner"), force: c.Bool("force")}
}

const many = 1 << 20

// action calls f with the arguments. Options may stand behind them, as people
// write them; the library stops at the first argument.
func action(least, most int, f func(*cli.Context, []string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c)
		switch {
		case err != nil:
			return misused(c, err, true)
		case c.Bool("help"):
			return cli.ShowSubcommandHelp(c)
		case len(args) < least:
			return misused(c, fmt.Errorf("name %s", c.Command.ArgsUsage), true)
		case len(args) > most:
			return misused(c, fmt.Errorf("%q is one argument too many", args[most]), true)
		}
		return f(c, args)
	}
}

func arguments(c *cli.Context) (args []string, err error) {
	rest := c.Args().Slice()
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			return append(args, rest...), nil
		case word == "-" || !strings.HasPrefix(word, "-"):
			args = append(args, word)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		flag := findFlag(c, name)
		if flag == nil {
			return nil, fmt.Errorf("flag provided but not defined: %s", word)
		}
		if _, boolean := flag.(*cli.BoolFlag); !given && boolean {
			value = "true"
		} else if !given && len(rest) == 0 {
			return nil, fmt.Errorf("flag needs an argument: %s", word)
		} else if !given {
			value, rest = rest[0], rest[1:]
		}
		if err := c.Set(name, value); err != nil {
			return nil, fmt.Errorf("invalid value %q for %s: %w", value, word, err)
		}
	}
	return args, nil
}

func findFlag(c *cli.Context, name string) cli.Flag {
	for _, flag := range append(slices.Clone(c.Command.Flags), cli.HelpFlag) {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}
