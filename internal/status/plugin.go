package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is a plugin's exit code.
type State int

// The states of a plugin.
const (
	OK State = iota
	Warning
	Critical
	Unknown
)

func (s State) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s] }

// worse returns the worse of two states: what is known to be bad counts more
// than what is not known.
func worse(a, b State) State {
	rank := [...]int{OK: 0, Warning: 1, Unknown: 2, Critical: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Thresholds are ages of the oldest result that waits; 0 means none.
type Thresholds struct{ Warning, Critical time.Duration }

// asked tells whether a plugin is wanted.
func (t Thresholds) asked() bool { return t.Warning > 0 || t.Critical > 0 }

// Judge is a plugin's verdict. A journal that takes nothing is critical
// whatever its age: nothing grows old in it then. Results that were rejected or
// given up of late are worth a warning, and so are check files that are wrong:
// checks that nobody makes.
func (t Thresholds) Judge(p *Page) State {
	oldest := p.Journal.OldestAge.duration()
	switch {
	case p.Journal.Refuses != "", t.Critical > 0 && oldest > t.Critical:
		return Critical
	case t.Warning > 0 && oldest > t.Warning:
		return Warning
	case p.Client != nil && len(p.Client.BadFiles) > 0, len(p.Recent.problems()) > 0:
		return Warning
	}
	return OK
}

// summary is the part of a plugin's line about one process.
func (p *Page) summary() string {
	text := p.Role + " has no results waiting"
	if p.Journal.Depth > 0 {
		text = fmt.Sprintf("%s has %s waiting, the oldest for %s", p.Role, count(p.Journal.Depth, "result"), age(p.Journal.OldestAge.duration()))
	}
	if problems := p.Problems(); len(problems) > 0 {
		text += ": " + strings.Join(problems, "; ")
	}
	return strings.ReplaceAll(text, "|", "/") // which would begin the perfdata
}

// perfdata are the page's figures; prefix keeps two pages apart.
func (p *Page) perfdata(t Thresholds, prefix string) string {
	var b strings.Builder
	put := func(label, value string) { fmt.Fprintf(&b, " %s%s=%s", prefix, label, value) }
	total := func(label string, n uint64) { put(label, strconv.FormatUint(n, 10)+"c") }
	put("oldest_age", fmt.Sprintf("%gs;%s;%s;0", float64(p.Journal.OldestAge), threshold(t.Warning), threshold(t.Critical)))
	put("depth", fmt.Sprintf("%d;;;0", p.Journal.Depth))
	put("resting", fmt.Sprintf("%d;;;0", p.Journal.Resting))
	put("bytes", fmt.Sprintf("%dB;;;0;%d", p.Journal.Bytes, p.Journal.MaxBytes))
	total("dropped", p.dropped())
	total("given_up", p.givenUp())
	total("rejected", p.rejected())
	if c := p.Client; c != nil {
		total("skipped", sum(c.Skipped))
		total("late", c.Late)
		total("timed_out", c.TimedOut)
		put("running", fmt.Sprintf("%d;;;0", c.Running))
		put("checks", fmt.Sprintf("%d;;;0", c.Checks))
		put("bad_files", fmt.Sprintf("%d;;;0", len(c.BadFiles)))
	}
	if s := p.Server; s != nil {
		total("taken", s.Taken)
		total("duplicates", s.Duplicates)
		put("connections", fmt.Sprintf("%d;;;0", s.Connections))
	}
	return b.String()
}

func threshold(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'g', -1, 64)
}

// Line is a plugin's output for the pages that were there and the errors of
// those that were not, with the worst of their states.
func (t Thresholds) Line(pages []*Page, failures []error) (string, State) {
	state := OK
	var texts []string
	perfdata := ""
	for _, err := range failures {
		state = worse(state, Unknown)
		texts = append(texts, strings.ReplaceAll(plain(err.Error()), "|", "/"))
	}
	for _, p := range pages {
		state = worse(state, t.Judge(p))
		prefix := ""
		if len(pages) > 1 {
			prefix = p.Role + "_"
		}
		texts = append(texts, p.summary())
		perfdata += p.perfdata(t, prefix)
	}
	line := fmt.Sprintf("massive-passive %s: %s", state, strings.Join(texts, "; "))
	if perfdata != "" {
		line += " |" + perfdata
	}
	return line, state
}
