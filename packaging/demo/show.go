package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	checks "massive-passive/wire/check"

	"golang.org/x/sys/unix"
)

// readLines reads the command pipe until it is closed.
func readLines(pipe io.Reader) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		r := bufio.NewReader(pipe)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return lines
}

// printer shows external commands as a person wants to see them.
type printer struct {
	out     io.Writer
	colour  bool
	results int
	seen    map[string]int // results by service
}

func newPrinter(out io.Writer, colour bool) *printer {
	return &printer{out: out, colour: colour, seen: map[string]int{}}
}

// line shows one line of the command pipe, and the lines of a file that it
// passes, as a core would read them.
func (p *printer) line(line []byte) {
	r, err := checks.ParseLine(line)
	if err == nil && r.Kind != checks.Command {
		p.result(r)
		return
	}
	if _, rest, ok := strings.Cut(string(line), "PROCESS_FILE;"); ok {
		file, _, _ := strings.Cut(rest, ";")
		data, err := os.ReadFile(file)
		for passed := range strings.Lines(string(data)) {
			if !strings.Contains(passed, "PROCESS_FILE;") {
				p.line([]byte(passed))
			}
		}
		if err == nil {
			err = os.Remove(file)
		}
		if err == nil {
			return
		}
	}
	fmt.Fprintf(p.out, "a line that is no check result: %q\n", line)
}

// indent is where the output begins, below which further lines stand.
const indent = 43

func (p *printer) result(r checks.Result) {
	p.results++
	p.seen[r.Service]++
	at := time.UnixMicro(r.Finish).Format(time.TimeOnly)
	code := int(r.Code)
	if code < 0 || code >= len(states) {
		code = len(states) - 1
	}
	state := states[code]
	lines := strings.Split(strings.TrimRight(string(r.Output), "\n"), "\n")
	fmt.Fprintf(p.out, "%s  %-10s %-12s %s %s\n", at, clean(r.Host), clean(r.Service),
		p.paint(state.ink, fmt.Sprintf("%-8s", state.word)), p.output(lines[0]))
	for _, line := range lines[1:] {
		fmt.Fprintf(p.out, "%*s%s\n", indent, "", p.output(line))
	}
}

// output shows a line of output, with its perfdata set apart.
func (p *printer) output(line string) string {
	text, perfdata, ok := strings.Cut(clean(line), "|")
	if !ok {
		return text
	}
	return text + p.paint(faint, " | "+strings.TrimSpace(perfdata))
}

// clean replaces what could do something to a terminal.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, strings.ReplaceAll(text, "\t", " "))
}

// The inks of an ANSI terminal.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	purple = "35"
	faint  = "2"
)

var states = [...]struct{ word, ink string }{
	{"OK", green}, {"WARNING", yellow}, {"CRITICAL", red}, {"UNKNOWN", purple},
}

func (p *printer) paint(ink, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + ink + "m" + text + "\x1b[0m"
}

// finish says what was shown and what comes next.
func (p *printer) finish(after time.Duration) {
	fmt.Fprintf(p.out, "\n%d results of %d checks in %s. What comes next, with README.md:\n", p.results, len(p.seen), after.Round(time.Second))
	fmt.Fprint(p.out, `  make test                 see that it works here
  make build, make install  put it in place
  then certificates, the server beside your Nagios, Naemon or Icinga, and a client with check files of yours
`)
}

// colourful says whether f is a terminal whose user has nothing against colour.
func colourful(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
