package app

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	helpWidth  = 100
	helpColumn = 30 // where an option's text begins
)

// topicFiles are the texts of `massive-passive help TOPIC`.
//
//go:embed help/*.txt
var topicFiles embed.FS

// topics are the names of topicFiles, in the order of their importance.
func topics() []string { return []string{"check-files", "cron", "patterns"} }

func topic(name string) (string, error) {
	text, err := topicFiles.ReadFile("help/" + name + ".txt")
	return string(text), err
}

// text is what --help shows.
func (m manual) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage: %s", m.name, m.usage, m.name)
	if len(m.options) > 0 {
		b.WriteString(" [options]")
	}
	switch {
	case len(m.commands) > 0:
		fmt.Fprint(&b, " COMMAND")
	case m.arguments != "":
		fmt.Fprint(&b, " ", m.arguments)
	}
	b.WriteString("\n")
	if m.description != "" {
		fmt.Fprintf(&b, "\n%s\n", m.description)
	}
	if len(m.commands) > 0 {
		b.WriteString("\nCommands, each with a --help of its own:\n")
		for _, c := range m.commands {
			b.WriteString(column(strings.TrimPrefix(c.name, m.name+" "), c.usage, 14))
		}
	}
	group := ""
	for _, o := range m.options {
		if o.group != group {
			group = o.group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		text := o.usage
		if o.standard != "" {
			text += " (default: " + o.standard + ")"
		}
		b.WriteString(column(o.calls(), text, helpColumn))
	}
	if len(m.options) > 0 && m.word != "pki" {
		b.WriteString("\n" + wrapped(onEnvironment, helpWidth))
	}
	b.WriteString("\n" + wrapped(licence, helpWidth))
	return b.String()
}

// column puts text beside a name, or below it where that is too long.
func column(name, text string, at int) string {
	lines := strings.Split(strings.TrimSuffix(wrapped(text, helpWidth-at), "\n"), "\n")
	indent := strings.Repeat(" ", at)
	first := "  " + name
	if len(first) > at-2 {
		return first + "\n" + indent + strings.Join(lines, "\n"+indent) + "\n"
	}
	return first + strings.Repeat(" ", at-len(first)) + strings.Join(lines, "\n"+indent) + "\n"
}

// wrapped breaks text into lines of at most width bytes, where words allow it.
func wrapped(text string, width int) string {
	var b strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		switch {
		case length == 0:
		case length+1+len(word) > width:
			b.WriteByte('\n')
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String() + "\n"
}

// tellHelp gives a command, and those below it, the help that --help shows.
func tellHelp(name, word string, c *cli.Command) {
	c.CustomHelpTemplate = literal(manualOf(name, word, c).text())
	for _, sub := range c.Subcommands {
		tellHelp(name+" "+sub.Name, word, sub)
	}
}

// literal keeps a finished text from being read as a template.
func literal(text string) string { return strings.ReplaceAll(text, "{{", `{{"{{"}}`) }

// helpCommand is `massive-passive help`.
func helpCommand(std streams) *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "explain a command or a topic",
		ArgsUsage: "[COMMAND | TOPIC | man COMMAND | completion SHELL]",
		Description: "Topics are " + strings.Join(topics(), ", ") + ". `man` prints a man page, `completion` what bash, zsh or fish\n" +
			"need to complete commands and options.\n\nExample: massive-passive help check-files",
		Action: func(c *cli.Context) error { return explain(std.stdout, c.Args().Slice()) },
	}
}

func explain(w io.Writer, args []string) error {
	if len(args) == 0 {
		return write(w, overviewManual().text())
	}
	what, rest := args[0], args[1:]
	switch {
	case what == "man" && len(rest) <= 1:
		m, err := findManual(append(rest, "")[0])
		if err != nil {
			return err
		}
		return write(w, m.page(version))
	case what == "completion" && len(rest) == 1:
		text, err := completion(rest[0])
		if err != nil {
			return usageError("massive-passive help", err)
		}
		return write(w, text)
	case len(rest) > 0:
		return usageError("massive-passive help", fmt.Errorf("%q is one word too many", rest[0]))
	case slices.Contains(topics(), what):
		text, err := topic(what)
		if err != nil {
			return err
		}
		return write(w, text)
	}
	m, err := findManual(what)
	if err != nil {
		return err
	}
	return write(w, m.text())
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func findManual(word string) (manual, error) {
	if word == "" {
		return overviewManual(), nil
	}
	for _, m := range manuals() {
		if m.word == word {
			return m, nil
		}
	}
	return manual{}, usageError("massive-passive help", fmt.Errorf("there is no command and no topic %q: commands are %s, topics %s",
		word, strings.Join(words(), ", "), strings.Join(topics(), ", ")))
}

// manuals are those of all commands, under their names behind the program's.
func manuals() []manual {
	var all []manual
	for _, a := range applets() {
		c := a.command(streams{})
		bindAll(a.word, c)
		all = append(all, manualOf("massive-passive "+a.word, a.word, c))
	}
	return all
}

// bindAll gives the options of a command, and of those below it, their
// variables.
func bindAll(word string, c *cli.Command) {
	bindEnvironment(word, c.Flags)
	for _, sub := range c.Subcommands {
		bindAll(word, sub)
	}
}

func overviewManual() manual {
	return manual{name: "massive-passive", usage: "passive checks for Nagios, Naemon and Icinga", commands: manuals(),
		description: "Runs Nagios plugins by schedule on the hosts that they check, and brings their results to the monitoring\n" +
			"core, over mutual TLS and without losing one. `massive-passive help TOPIC` explains " + strings.Join(topics(), ", ") + ".\n\n" +
			"Example: massive-passive client --help"}
}
