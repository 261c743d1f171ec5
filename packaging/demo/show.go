package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	width   int // of a line, in characters
	results int
	seen    map[string]int // results by service
}

func newPrinter(out io.Writer, colour bool, width int) *printer {
	return &printer{out: out, colour: colour, width: width, seen: map[string]int{}}
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
	code := int(r.Code)
	if code < 0 || code >= len(states) {
		code = len(states) - 1
	}
	state := states[code]
	if r.Kind == checks.Host { // a core knows two states of a host by a plugin's code
		state = hostStates[min(code/2, 1)]
	}
	fmt.Fprintf(p.out, "%s  %-10s %-12s %s ", time.UnixMicro(r.Finish).Format(time.TimeOnly),
		clean(r.Host), clean(r.Service), p.paint(state.ink, fmt.Sprintf("%-8s", state.word)))
	lines := p.output(string(r.Output))
	fmt.Fprintln(p.out, strings.Join(lines, "\n"+strings.Repeat(" ", indent)))
}

// output divides a plugin's output into lines that fit, its perfdata set apart.
func (p *printer) output(output string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(output, "\n"), "\n") {
		text, perfdata, found := strings.Cut(clean(line), "|")
		lines = append(lines, fold(text, p.width-indent)...)
		if !found {
			continue
		}
		for _, part := range fold("| "+strings.TrimSpace(perfdata), p.width-indent) {
			lines = append(lines, p.paint(faint, part))
		}
	}
	return lines
}

// fold breaks a line at blanks into lines of at most width characters, where
// its words allow that.
func fold(line string, width int) []string {
	lines, used := []string{""}, 0
	for i, word := range strings.Split(line, " ") {
		n := utf8.RuneCountInString(word)
		last := len(lines) - 1
		switch {
		case i == 0:
			lines[last], used = word, n
		case used+1+n <= width:
			lines[last], used = lines[last]+" "+word, used+1+n
		default:
			lines, used = append(lines, word), n
		}
	}
	return lines
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

var hostStates = [...]struct{ word, ink string }{{"UP", green}, {"DOWN", red}}

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

// standardWidth is that of lines which go to no terminal.
const standardWidth = 120

// terminal says whether f is one, with its width; otherwise what width to use.
func terminal(f *os.File) (width int, is bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return standardWidth, false
	case size.Col == 0: // it does not know
		return standardWidth, true
	}
	return int(size.Col), true
}

// colourful says whether the user of a terminal wants colour.
func colourful() bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
