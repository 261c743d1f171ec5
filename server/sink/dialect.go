package sink

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"massive-passive/internal/core"
	"massive-passive/wire/check"
)

// Dialect is how one core wants results on its command pipe.
type Dialect string

// The dialects of the external command file.
const (
	Nagios = Dialect(core.Nagios)
	Naemon = Dialect(core.Naemon)
	Icinga = Dialect(core.Icinga)
)

// Dialects lists them for messages and help.
func Dialects() []string { return []string{string(Nagios), string(Naemon), string(Icinga)} }

// ParseDialect reads a dialect's name.
func ParseDialect(name string) (Dialect, error) {
	for _, d := range Dialects() {
		if d == name {
			return Dialect(d), nil
		}
	}
	return "", fmt.Errorf("unknown dialect %q: it is one of %s", name, strings.Join(Dialects(), ", "))
}

// queues tells whether the core has another process read the pipe than works on
// what was read.
func (d Dialect) queues() bool { return d != Icinga }

// GuessDialect takes the dialect from the usual paths of a command file. What
// is not known is taken for Nagios.
func GuessDialect(commandFile string) Dialect {
	base := filepath.Base(commandFile)
	switch {
	case strings.Contains(base, "icinga2"), strings.Contains(commandFile, "/icinga2/"):
		return Icinga
	case strings.Contains(base, "naemon"), strings.Contains(commandFile, "/naemon/"):
		return Naemon
	}
	return Nagios
}

// DefaultCommandFiles are where distributions put the command file, in the
// order in which they are looked for.
func DefaultCommandFiles() []string {
	return []string{
		"/var/lib/icinga/rw/icinga.cmd",
		"/var/lib/nagios/rw/nagios.cmd",
		"/var/lib/nagios4/rw/nagios.cmd",
		"/var/spool/nagios/cmd/nagios.cmd",
		"/usr/local/nagios/var/rw/nagios.cmd",
		"/var/lib/naemon/naemon.cmd",
		"/run/icinga2/cmd/icinga2.cmd",
	}
}

// appendLine appends the external command for r, with its newline.
func (d Dialect) appendLine(b []byte, r *check.Result) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, r.Finish/1e6, 10)
	b = append(b, "] "...)
	switch r.Kind {
	case check.Command:
		b = append(b, r.Command...)
	case check.Host:
		b = append(append(b, "PROCESS_HOST_CHECK_RESULT;"...), r.Host...)
		b = append(append(b, ';'), '0'+byte(check.HostState(r.Code)), ';')
		b = d.appendOutput(b, r)
	default:
		b = append(append(b, "PROCESS_SERVICE_CHECK_RESULT;"...), r.Host...)
		b = append(append(b, ';'), r.Service...)
		b = append(append(b, ';'), '0'+byte(serviceState(r.Code)), ';')
		b = d.appendOutput(b, r)
	}
	return append(b, '\n')
}

// appendOutput appends the output so that it stays on one line.
func (d Dialect) appendOutput(b []byte, r *check.Result) []byte {
	output := plain(r.Output)
	switch {
	case d == Nagios:
		return appendEscaped(b, output, true)
	case d == Icinga && r.Kind == check.Service:
		// Icinga turns every `\n` into a newline and knows no way to write a
		// backslash before an n.
		return appendEscaped(b, bytes.ToValidUTF8(output, []byte("\uFFFD")), false)
	case d == Icinga:
		// It unescapes nothing here, but a CR divides lines and ends no command.
		output = bytes.ReplaceAll(output, []byte("\n"), []byte("\r"))
		return append(b, bytes.ToValidUTF8(output, []byte("\uFFFD"))...)
	}
	line := split(output).flat()
	if len(line) == 0 {
		line = []byte(noOutput) // Naemon refuses a result without output
	}
	return append(b, line...)
}

// noOutput stands in where a core does not take empty output.
const noOutput = "(no output)"

func appendEscaped(b, output []byte, backslash bool) []byte {
	for _, c := range output {
		switch {
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\\' && backslash:
			b = append(b, '\\', '\\')
		default:
			b = append(b, c)
		}
	}
	return b
}
