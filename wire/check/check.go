// Package check holds the one value that massive-passive moves: the result of
// a check, its rules and its one encoding. It is for everybody who makes,
// carries or delivers results. It is not the place for escaping: how a core
// wants a result written is the business of that core's sink.
package check

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind says what a Result is about.
type Kind uint8

const (
	// Service is the result of a service check.
	Service Kind = 1
	// Host is the result of a host check.
	Host Kind = 2
	// Command is any other external command, passed on as it came.
	Command Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Service:
		return "service"
	case Host:
		return "host"
	case Command:
		return "command"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// The return codes of a plugin, which are the states of a service.
const (
	OK       int32 = 0
	Warning  int32 = 1
	Critical int32 = 2
	Unknown  int32 = 3
)

// The limits of a Result, in bytes. MaxOutput is the most that any peer may
// send; the sender cuts before it, the receiver refuses beyond it.
const (
	MaxName    = 1024
	MaxOutput  = 1 << 20
	MaxCommand = 64 << 10
)

// Result is what one run of a check said, or a raw external command.
type Result struct {
	Kind    Kind
	Host    string
	Service string
	Code    int32  // the plugin's return code
	Output  []byte // any bytes: text, long text and perfdata as the plugin wrote them
	// Start and Finish are microseconds since the Unix epoch; 0 is not known.
	// A command has the time of its entry in Finish.
	Start, Finish int64
	TimedOut      bool
	Command       string // a Command's text, without its time stamp

	unknown []byte // fields of a later version, kept as they came
}

// InvalidError says why a Result may not travel.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return e.Reason }

func invalid(format string, args ...any) error {
	return &InvalidError{fmt.Sprintf(format, args...)}
}

// Validate holds r against the rules that keep a core safe: names that cannot
// end a field or a line, sizes within limits. The error is an *InvalidError.
func (r *Result) Validate() error {
	if len(r.Output) > MaxOutput {
		return invalid("output of %d bytes is over the limit of %d", len(r.Output), MaxOutput)
	}
	if r.Start < 0 || r.Finish < 0 {
		return invalid("a time before 1970")
	}
	switch r.Kind {
	case Service:
		if err := ValidName("service", r.Service); err != nil {
			return err
		}
		return ValidName("host", r.Host)
	case Host:
		if r.Service != "" {
			return invalid("host result names the service %q", clip(r.Service))
		}
		return ValidName("host", r.Host)
	case Command:
		return validCommand(r.Command)
	}
	return invalid("unknown kind of result: %d", uint8(r.Kind))
}

// ValidName refuses what no core takes as an object's name and what could end
// the name's field or line in a command file. what ("host", "service") names
// it in the *InvalidError.
func ValidName(what, name string) error {
	if name == "" {
		return invalid("%s name is empty", what)
	}
	if len(name) > MaxName {
		return invalid("%s name of %d bytes is over the limit of %d", what, len(name), MaxName)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == 0x7f || c == ';' {
			return invalid("%s name %q contains %q, which may not stand in a name", what, clip(name), c)
		}
	}
	if strings.TrimSpace(name) != name {
		return invalid("%s name %q begins or ends with a blank", what, clip(name))
	}
	return nil
}

func validCommand(command string) error {
	if command == "" {
		return invalid("command is empty")
	}
	if len(command) > MaxCommand {
		return invalid("command of %d bytes is over the limit of %d", len(command), MaxCommand)
	}
	if i := strings.IndexAny(command, "\x00\r\n"); i >= 0 {
		return invalid("command %q contains %q", clip(command), command[i])
	}
	name := CommandName(command)
	switch strings.ToUpper(name) {
	case "PROCESS_FILE": // it would have the core read commands that nobody has judged
		return invalid("PROCESS_FILE is never accepted from outside")
	case serviceResult, hostResult: // as a command it would pass by what is judged of a result, its host and its service
		return invalid("command %q: a check result travels as a result, never as a raw command", clip(command))
	}
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return invalid("command %q: %q may not stand in the name of an external command", clip(command), c)
		}
	}
	if name == "" {
		return invalid("command %q has no name", clip(command))
	}
	return nil
}

// CommandName returns the external command's name: all before the first ";".
func CommandName(command string) string {
	name, _, _ := strings.Cut(command, ";")
	return name
}

// HostState turns a plugin's return code into the state of a host, as the
// cores do it for active checks: OK and WARNING are up (0), the rest down (1).
func HostState(code int32) int32 {
	if code == OK || code == Warning {
		return 0
	}
	return 1
}

// HostCode turns the code that external commands and send_nsca have for a host
// into a plugin's. Theirs is a state (0 up, 1 down, 2 unreachable), so that 1 is
// down there, where a plugin's 1, WARNING, leaves a host up.
func HostCode(state int32) int32 {
	if state == 1 {
		return Critical
	}
	return state
}

// CutOutput cuts output that is longer than limit and ends it with a note
// that says so, without splitting a UTF-8 character; the result keeps within
// limit.
func CutOutput(output []byte, limit int) []byte {
	if len(output) <= limit {
		return output
	}
	note := fmt.Sprintf("\n[output cut at %d bytes]", limit)
	if len(note) > limit {
		return output[:limit]
	}
	keep := limit - len(note)
	for back := 0; back < utf8.UTFMax && keep > 0 && !utf8.RuneStart(output[keep]); back++ {
		keep--
	}
	return append(output[:keep:keep], note...)
}

// clip shortens what came from outside to what fits a log line.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
