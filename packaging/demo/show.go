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

	lines   map[string]bool // what was shown, to know it again
	repeats bool            // what comes may have been shown before
	again   int             // came again since the last that was new
	resumed bool            // something new came after what came again
	runs    []int           // of the check whose results are numbered
}

func newPrinter(out io.Writer, colour bool, width int) *printer {
	return &printer{out: out, colour: colour, width: width, seen: map[string]int{}, lines: map[string]bool{}}
}

// say tells what happens, apart from the results.
func (p *printer) say(text string) {
	fmt.Fprintln(p.out)
	for _, line := range fold(text, p.width-4) {
		fmt.Fprintln(p.out, p.paint(bold, "--- "+line))
	}
	fmt.Fprintln(p.out)
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

// known tells that a result was shown before. A server that was killed cannot know
// what the core made of its last ten seconds, and hands them over once more.
func (p *printer) known(r checks.Result) bool {
	key := fmt.Sprint(r.Kind, r.Host, ";", r.Service, ";", r.Finish, ";", string(r.Output))
	if p.repeats && p.lines[key] {
		p.again++
		return true
	}
	p.lines[key] = true
	p.resumed = p.resumed || p.repeats
	if p.again > 0 {
		p.say(fmt.Sprintf("%d results of the last seconds came again: a core may have lost them. What is new follows.", p.again))
		p.again = 0
	}
	return false
}

// indent is where the output begins, below which further lines stand.
const indent = 32

func (p *printer) result(r checks.Result) {
	if p.known(r) {
		return
	}
	p.results++
	var run int
	if n, _ := fmt.Sscanf(string(r.Output), "run %d", &run); r.Service == counter && n == 1 {
		p.runs = append(p.runs, run)
	}
	p.seen[r.Service]++
	code := int(r.Code)
	if code < 0 || code >= len(states) {
		code = len(states) - 1
	}
	state := states[code]
	if r.Kind == checks.Host { // a core knows two states of a host by a plugin's code
		state = hostStates[min(code/2, 1)]
	}
	name := r.Service
	if r.Kind == checks.Host {
		name = r.Host
	}
	fmt.Fprintf(p.out, "%s  %-12s %s ", time.UnixMicro(r.Finish).Format(time.TimeOnly), clean(name), p.paint(state.ink, fmt.Sprintf("%-8s", state.word)))
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
	bold   = "1"
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
	fmt.Fprintf(p.out, "\n%d results of %d checks in %s.\n", p.results, len(p.seen), after.Round(time.Second))
	if n := len(p.runs); n > 0 && p.missing() == nil {
		fmt.Fprintf(p.out, "The counter's runs %d to %d are all there, in order.\n", p.runs[0], p.runs[n-1])
	}
	fmt.Fprint(p.out, `What comes next, with README.md:

  make test                 see that it works here
  make build, make install  put it in place
  then certificates, the server beside your Nagios, Naemon or Icinga, and a
  client with check files of yours
`)
}

// missing says which of the numbered results did not come, or came out of order.
func (p *printer) missing() error {
	for i := 1; i < len(p.runs); i++ {
		if p.runs[i] != p.runs[i-1]+1 {
			return fmt.Errorf("behind the counter's run %d came run %d", p.runs[i-1], p.runs[i])
		}
	}
	return nil
}

// standardWidth is that of lines which go to no terminal.
const standardWidth = 80

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
