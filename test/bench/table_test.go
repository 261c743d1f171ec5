//go:build bench && e2e

package bench

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// series are the figures of one thing, one of each turn.
type series []float64

func (s series) median() float64 { return median(s) }

// String is the median, and the lowest and the highest if there was more than
// one turn.
func (s series) String() string {
	if len(s) == 0 {
		return ""
	}
	if len(s) == 1 {
		return figure(s[0])
	}
	return fmt.Sprintf("%s (%s to %s)", figure(s.median()), figure(slices.Min(s)), figure(slices.Max(s)))
}

// figure writes three digits, or all before the point in groups of three.
func figure(x float64) string {
	switch {
	case math.Abs(x) < 10:
		return fmt.Sprintf("%.2f", x)
	case math.Abs(x) < 100:
		return fmt.Sprintf("%.1f", x)
	}
	digits := fmt.Sprintf("%.0f", x)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// row is one line of BENCHMARKS.md.
type row struct {
	what   string
	unit   string
	ours   series
	peer   string // what theirs are of; "" for none
	theirs series // turn by turn beside ours
	goal   goal   // nothing is asked of a row without
}

// goal is what a row is held to: the figure itself, or its ratio to the peer's.
type goal struct {
	limit float64
	most  bool // the limit is the highest that is good, not the lowest
	ratio bool
}

func atLeast(x float64) goal { return goal{limit: x} }

func atMost(x float64) goal { return goal{limit: x, most: true} }

func (g goal) ofPeer() goal { g.ratio = true; return g }

func (g goal) String() string {
	if g == (goal{}) {
		return ""
	}
	text := "at least "
	if g.most {
		text = "at most "
	}
	text += figure(g.limit)
	if g.ratio {
		text += " of it"
	}
	return text
}

// ratios are ours to theirs in each turn, so that a slow minute of the machine
// meets both.
func (r row) ratios() (list series) {
	for i := range min(len(r.ours), len(r.theirs)) {
		list = append(list, r.ours[i]/r.theirs[i])
	}
	return list
}

// short tells by what part the goal is missed; 0 if it is not.
func (r row) short() float64 {
	if r.goal == (goal{}) {
		return 0
	}
	got := r.ours
	if r.goal.ratio {
		got = r.ratios()
	}
	if r.goal.most {
		return max(0, got.median()/r.goal.limit-1)
	}
	return max(0, 1-got.median()/r.goal.limit)
}

func (r row) String() string {
	verdict := ""
	switch {
	case r.goal == (goal{}):
	case r.short() == 0:
		verdict = "met"
	default:
		verdict = fmt.Sprintf("**missed by %.0f %%**", 100*r.short())
	}
	peer := r.peer
	if len(r.theirs) > 0 {
		peer += ": " + r.theirs.String()
	}
	ratio := ""
	if len(r.theirs) > 0 {
		ratio = figure(r.ratios().median())
	}
	return fmt.Sprintf("| %s | %s %s | %s | %s | %s | %s |", r.what, r.ours, r.unit, peer, ratio, r.goal, verdict)
}

// bench is what the rows share, and what comes of them.
type bench struct {
	binary string // the program as `make build` makes it
	rows   []row
	charts []string
}

// measurement fills rows.
type measurement struct {
	name string
	run  func(*testing.T, *bench) []row
}

func measurements() []measurement {
	return []measurement{
		{"one connection", benchOneConnection},
		{"many connections", benchManyConnections},
		{"real Nagios", benchRealNagios},
		{"send", benchSend},
		{"new connections", benchNewConnections},
		{"messages of 0.3.9", benchOldMessages},
		{"idle", benchIdle},
		{"20,000 hosts", func(t *testing.T, b *bench) []row { return benchHosts20000(t, b, time.Minute) }},
		{"checks", benchChecks},
		{"binary", benchBinary},
		{"flush", benchFlush},
		{"more connections", benchMoreConnections},
		{"more in the journal", benchMoreJournal},
	}
}

// TestBenchTable measures everything of BENCHMARKS.md, and writes the file that
// the variable BENCHMARKS names. A goal that is missed stands in the table and
// fails nothing, for the machine may be slow; a result that is lost, or a
// program that fails, fails the test, and leaves the file as it was.
func TestBenchTable(t *testing.T) {
	b := &bench{binary: buildProgram(t)}
	begin := time.Now()
	for _, m := range measurements() {
		t.Run(m.name, func(t *testing.T) {
			for _, r := range m.run(t, b) {
				b.rows = append(b.rows, r)
				t.Log(r)
			}
		})
	}
	if file := os.Getenv("BENCHMARKS"); file != "" && !t.Failed() {
		b.write(t, file, begin)
	}
}
