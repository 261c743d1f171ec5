package app

import (
	"embed"
	"fmt"
	"strings"
)

// page is the man page, section 8, as roff with the man macros.
func (m manual) page(version string) string {
	var b strings.Builder
	name := strings.ReplaceAll(m.name, " ", "-")
	fmt.Fprintf(&b, ".TH %s 8 \"\" \"massive-passive %s\" \"System administration\"\n", strings.ToUpper(name), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(name), roff(m.usage))
	for _, call := range synopses(m) {
		fmt.Fprintf(&b, ".B %s\n[options] %s\n.br\n", roff(call), roff(m.arguments))
	}
	b.WriteString(".SH DESCRIPTION\n" + roffText(m.description))
	for _, c := range m.commands {
		if m.word == "" && c.word == "help" {
			continue // it has no page
		}
		if m.word == "" {
			fmt.Fprintf(&b, ".TP\n.BR %s (8)\n%s\n", roff(strings.ReplaceAll(c.name, " ", "-")), roff(c.usage))
			continue
		}
		fmt.Fprintf(&b, ".SH COMMAND %s\n.B %s\n[options] %s\n.PP\n%s\n", roff(strings.ToUpper(strings.TrimPrefix(c.name, m.name+" "))),
			roff(c.name), roff(c.arguments), roffText(c.usage+"\n\n"+c.description))
		b.WriteString(roffOptions(c.options, ".SS"))
	}
	b.WriteString(roffOptions(m.options, ".SS"))
	for _, name := range m.topics() {
		if text, err := topic(name); err == nil {
			fmt.Fprintf(&b, ".SH %s\n.nf\n%s.fi\n", strings.ToUpper(strings.ReplaceAll(name, "-", " ")), roffLines(text))
		}
	}
	b.WriteString(m.practice())
	fmt.Fprintf(&b, ".SH ENVIRONMENT\n%s\n.SH LICENSE\n%s\n", roff(onEnvironment), roff(licence))
	if m.word != "" {
		b.WriteString(".SH SEE ALSO\n.BR massive\\-passive (8)\n")
	}
	return b.String()
}

// practiceFiles are a page's sections on files, exit status, signals and examples.
//
//go:embed man/*.txt
var practiceFiles embed.FS

// practice are a page's sections that options cannot tell. A heading stands in
// capitals at the beginning or behind an empty line. Below it are names, each with
// a text indented behind it; below EXAMPLES paragraphs.
func (m manual) practice() string {
	text, err := practiceFiles.ReadFile("man/" + m.word + ".txt")
	if err != nil {
		return "" // help and the program itself have none
	}
	var b, examples strings.Builder
	before, inExamples := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		body, indented := strings.CutPrefix(line, "    ")
		switch {
		case before == "" && line != "" && line == strings.ToUpper(line):
			inExamples = line == "EXAMPLES"
			fmt.Fprintf(&b, ".SH %s\n", line)
		case inExamples:
			examples.WriteString(line + "\n")
		case line == "":
		case indented:
			b.WriteString(roff(body) + "\n")
		default:
			fmt.Fprintf(&b, ".TP\n.B %s\n", roff(line))
		}
		before = line
	}
	return b.String() + roffText(examples.String())
}

// topics are those that belong on a page.
func (m manual) topics() []string {
	return map[string][]string{"client": {"check-files", "cron"}, "server": {"patterns"}}[m.word]
}

// synopses are the ways to call a command.
func synopses(m manual) []string {
	calls := []string{m.name}
	for _, a := range applets() {
		if a.word == m.word {
			calls = append(calls, a.links...)
		}
	}
	return calls
}

func roffOptions(options []option, heading string) string {
	var b strings.Builder
	group := ""
	for _, o := range options {
		if group == "" && o.group != ungrouped {
			b.WriteString(".SH OPTIONS\n")
		}
		if o.group != group {
			group = o.group
			fmt.Fprintf(&b, "%s %s\n", heading, roff(group))
		}
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(o.calls()), roff(o.usage))
		if o.standard != "" {
			fmt.Fprintf(&b, "(default: %s)\n", roff(o.standard))
		}
		if o.variable != "" {
			fmt.Fprintf(&b, ".br\n.I %s\n", roff(o.variable))
		}
	}
	return b.String()
}

// roff protects what the formatter would take for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// roffText sets paragraphs; those that are indented keep their lines.
func roffText(text string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(&b, ".nf\n%s.fi\n", roffLines(paragraph))
			continue
		}
		b.WriteString(roffLines(paragraph))
	}
	return b.String()
}

func roffLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(roff(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
