package app

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// manual is all that a user is told about a command: help texts, man pages and
// completions are made from it, so that none can say something else than the
// option parser does.
type manual struct {
	name        string // as it is called
	word        string // of the applet; empty: the program itself
	usage       string // in one line
	arguments   string
	description string
	options     []option // in the order of their groups
	commands    []manual // below it
}

// option is one of a command's.
type option struct {
	names       []string // with their dashes, the longest first
	placeholder string   // empty: it takes no value
	usage       string
	standard    string // what it is if left out; may be empty
	group       string
	variable    string // of the environment; may be empty
}

const (
	ungrouped = "Options"
	licence   = "massive-passive is free software under the GNU General Public License, version 3 or later, and comes without any " +
		"warranty. The original is by Robin Wittler, Copyright (C) 2012 by mysportgroup.de."
	onEnvironment = "Each option can be set by an environment variable as well: MASSIVE_PASSIVE_ and its name in capitals, as " +
		"MASSIVE_PASSIVE_LOG_FORMAT for --log-format. The command line wins."
)

// manualOf describes an applet called by name.
func manualOf(name, word string, c *cli.Command) manual {
	m := manual{name: name, word: word, usage: c.Usage, arguments: c.ArgsUsage, description: c.Description}
	for _, f := range c.Flags {
		if o, visible := describe(f); visible {
			m.options = append(m.options, o)
		}
	}
	m.options = grouped(m.options)
	for _, sub := range c.Subcommands {
		m.commands = append(m.commands, manualOf(name+" "+sub.Name, word, sub))
	}
	return m
}

func describe(f cli.Flag) (o option, visible bool) {
	d, ok := f.(cli.DocGenerationFlag)
	v, hides := f.(cli.VisibleFlag)
	if !ok || hides && !v.IsVisible() {
		return o, false
	}
	o.group = ungrouped
	if c, ok := f.(cli.CategorizableFlag); ok && c.GetCategory() != "" {
		o.group = c.GetCategory()
	}
	for _, name := range f.Names() {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		o.names = append(o.names, dashes+name)
	}
	slices.SortStableFunc(o.names, func(a, b string) int { return len(b) - len(a) })
	before, rest, quoted := strings.Cut(d.GetUsage(), "`")
	if o.usage = before; quoted {
		word, after, _ := strings.Cut(rest, "`")
		o.placeholder, o.usage = word, before+word+after
	}
	if !d.TakesValue() {
		o.placeholder = ""
	} else if o.placeholder == "" {
		o.placeholder = "VALUE"
	}
	if text := strings.ReplaceAll(d.GetDefaultText(), `"`, ""); text != "" && text != "false" && text != "0" {
		o.standard = text
	}
	if vars := d.GetEnvVars(); len(vars) > 0 {
		o.variable = vars[0]
	}
	return o, true
}

// grouped keeps the groups in the order in which they first appear.
func grouped(options []option) []option {
	var groups []string
	for _, o := range options {
		if !slices.Contains(groups, o.group) {
			groups = append(groups, o.group)
		}
	}
	slices.SortStableFunc(options, func(a, b option) int { return slices.Index(groups, a.group) - slices.Index(groups, b.group) })
	return options
}

// takesPath tells whether the value is a file or a directory.
func (o option) takesPath() bool {
	return slices.Contains([]string{"FILE", "DIR", "PATH"}, o.placeholder)
}

// calls is how the option is written, as `-l, --loglevel LEVEL`.
func (o option) calls() string {
	names := slices.Clone(o.names)
	slices.Reverse(names)
	text := strings.Join(names, ", ")
	if o.placeholder != "" {
		text += " " + o.placeholder
	}
	return text
}
