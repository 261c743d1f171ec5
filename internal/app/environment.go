package app

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// environmentPrefix begins the variable of every option.
const environmentPrefix = "MASSIVE_PASSIVE_"

// variable is the environment variable of an option: --ssl-key of most
// commands is MASSIVE_PASSIVE_SSL_KEY. pki has a prefix of its own, for what
// --server or --dir mean there nobody wants by accident.
func variable(word, option string) string {
	prefix := environmentPrefix
	if word == "pki" {
		prefix += "PKI_"
	}
	return prefix + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// bindEnvironment gives each option its variable. Options of one letter alone,
// which are there for send_nsca's sake, and those that end at once have none;
// one that has its own keeps it.
func bindEnvironment(word string, flags []cli.Flag) {
	for _, f := range flags {
		name := longest(f.Names())
		if len(name) == 1 || name == "help" || name == "version" {
			continue
		}
		if to := variables(f); to != nil && *to == nil {
			*to = []string{variable(word, name)}
		}
	}
}

// variables is where a flag keeps the names of its variables; nil where the
// kind of flag is not used here.
func variables(f cli.Flag) *[]string {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return &f.EnvVars
	case *cli.StringFlag:
		return &f.EnvVars
	case *cli.StringSliceFlag:
		return &f.EnvVars
	case *cli.IntFlag:
		return &f.EnvVars
	case *cli.Int64Flag:
		return &f.EnvVars
	case *cli.Float64Flag:
		return &f.EnvVars
	case *cli.DurationFlag:
		return &f.EnvVars
	case *cli.GenericFlag:
		return &f.EnvVars
	case interface{ Variables() *[]string }: // one of a command's own
		return f.Variables()
	}
	return nil
}

func longest(names []string) string {
	best := ""
	for _, n := range names {
		if len(n) > len(best) {
			best = n
		}
	}
	return best
}
