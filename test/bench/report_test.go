//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// keptFrom is the line of BENCHMARKS.md from which on it was written by hand:
// what is above is made anew each time, this and what follows stays.
const keptFrom = "## What limits it\n"

// write makes the file anew but for what was written by hand.
func (b *bench) write(t *testing.T, file string, begin time.Time) {
	t.Helper()
	text := []byte(b.report(begin))
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if at := bytes.Index(old, []byte(keptFrom)); at >= 0 {
		text = append(append(text, '\n'), old[at:]...)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) report(begin time.Time) string {
	var text strings.Builder
	fmt.Fprintf(&text, `# Benchmarks

Made by %[1]smake bench%[1]s on %[2]s, in %[3]v, on %[4]s.
Versions: %[5]s.

Both ends of every connection, the reader of the pipe and the peers shared this machine. Figures are medians, in
parentheses the lowest and the highest of the turns; what stands beside a peer took turns with it, and the ratio is the
median of the turns' ratios. Results have 60 bytes (host, service, code, output) unless said otherwise, are numbered, and
each number was seen to arrive once; but into Nagios the last one was waited for, and where the flush is compared the ACKs
were. The server ran with its defaults: mutual TLS 1.3, the journal flushed before an ACK, and as its unit starts it.

%[6]s

| what | measured | beside | ratio | goal | |
| --- | --- | --- | --- | --- | --- |
`, "`", begin.UTC().Format("2006-01-02"), time.Since(begin).Round(time.Second), machine(), versions(), b.verdict())
	for _, r := range b.rows {
		fmt.Fprintln(&text, r)
	}
	text.WriteString("\n## As it grows\n")
	for _, chart := range b.charts {
		fmt.Fprintf(&text, "\n%s", chart)
	}
	return text.String()
}

// verdict counts the goals.
func (b *bench) verdict() string {
	goals, missed := 0, 0
	for _, r := range b.rows {
		if r.goal != (goal{}) {
			goals++
		}
		if r.short() > 0 {
			missed++
		}
	}
	return fmt.Sprintf("Goals: %d of %d are met.", goals-missed, goals)
}

// chart draws a bar for each of values.
func chart(title, unit string, labels []string, values []float64) string {
	const width = 50
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n\n```text\n", title)
	for i, v := range values {
		bar := int(math.Round(width * v / slices.Max(values)))
		fmt.Fprintf(&text, "%12s  %-*s %s %s\n", labels[i], width, strings.Repeat("█", bar), figure(v), unit)
	}
	return text.String() + "```\n"
}

func machine() string {
	model := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(info), "model name"); found {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.Trim(line, "\t :")
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // only for people
	return fmt.Sprintf("%d cores of %s, Linux %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)))
}

// versions are those of the packages that were compared with.
func versions() string {
	list := []string{"massive-passive " + shell("git describe --tags --always --dirty"), runtime.Version()}
	for _, p := range []string{"nagios4-core"} {
		list = append(list, p+" "+shell("dpkg-query -W -f '${Version}' "+p))
	}
	for _, p := range []string{"nsca", "nsca-ng-server"} {
		list = append(list, p+" "+shell("zcat -f "+rig.PeersDir()+"/"+p+"/usr/share/doc/"+p+"/changelog.Debian.gz | sed -n '1s/.*(\\(.*\\)).*/\\1/p'"))
	}
	return strings.Join(list, ", ")
}

// shell returns what a command prints, "unknown" if it fails.
func shell(command string) string {
	out, err := exec.Command("sh", "-c", command).Output()
	if text := strings.TrimSpace(string(out)); err == nil && text != "" {
		return text
	}
	return "unknown"
}
