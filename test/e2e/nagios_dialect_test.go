//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests ask Nagios itself, with nothing of the program between, what becomes of each awkward output. What
// the command-file and check-results sinks write is built on the answers.

const nagiosNoOutput = "(No output returned from plugin)" // with "host check" in the plugin's place for a host

// nagiosBothDoors are the outputs that Nagios takes the same way from its pipe and its check-result directory.
func nagiosBothDoors() []rig.Awkward {
	long := strings.Repeat("y", 250_000)
	return []rig.Awkward{
		{`plain`, "plain", "", ""},
		{``, nagiosNoOutput, "", ""},
		{`\nsecond`, nagiosNoOutput, "second", ""},
		// Lines: \n divides them, \\ is a backslash, and any other backslash stands for itself.
		{`one\ntwo\nthree`, "one", "two\nthree", ""},
		{`a\n\nb`, "a", "\nb", ""},
		{`a\nb\n\n`, "a", "b\n", ""}, // one of the newlines at the end goes
		{`a\\b`, `a\b`, "", ""},
		{`a\b\t`, `a\b\t`, "", ""},
		{`C:\\temp\\new`, `C:\temp\new`, "", ""},
		{`end\\`, `end\`, "", ""},
		{`x\ny a\\nb \\`, "x", `y a\nb \`, ""},
		// A semicolon becomes a colon in the first line alone.
		{`a;b|p=1;2;3\nc;d`, "a:b", "c;d", "p=1;2;3"},
		{`[1] PROCESS_HOST_CHECK_RESULT;h;1;x`, "[1] PROCESS_HOST_CHECK_RESULT:h:1:x", "", ""},
		// Perfdata: after the first | of the first line; then after the first | of the others, to the end.
		{`x|p=1`, "x", "", "p=1"},
		{`x |  p=1  `, "x", "", "p=1"},
		{`x|p=1\nl2|q=2\nr=3`, "x", "l2", "p=1 q=2 r=3"},
		{`x\nl2|p=1`, "x", "l2", "p=1"},
		{`x|a|b`, "x", "", "a|b"},
		{`|p=1`, "", "", "p=1"},
		{`x|p=\\1`, "x", "", `p=\1`},
		// Blanks at the ends of the first line go; a carriage return counts as one.
		{`  a b`, "a b", "", ""},
		{"\ta", "a", "", ""},
		{"a \t\r", "a", "", ""},
		{"a\r\\nb", "a", "b", ""},
		{`a\n  b`, "a", "  b", ""},
		// Any other byte but NUL passes.
		{"a\tb\rc", "a\tb\rc", "", ""},
		{"\a\x1b[1m\x7f\v.", "\a\x1b[1m\x7f\v.", "", ""},
		{"\xff\xfe.", "\xff\xfe.", "", ""},
		{"grün €\u2028<&>`~$\"'", "grün €\u2028<&>`~$\"'", "", ""},
		{"a\x00b", "a", "", ""},
		{long, long, "", ""},
		{`z\n` + long + `|p=1`, "z", long, "p=1"},
	}
}

// nagiosOneDoor are the outputs that the two doors treat differently; in both, what the pipe makes of it first.
func nagiosOneDoor() (pipe, directory []rig.Awkward) {
	return []rig.Awkward{
			{` `, nagiosNoOutput, "", ""},
			{`a\nb  `, "a", "b", ""}, // the blanks at the end of the line that is the command
			{`end\`, `end\`, "", ""},
		}, []rig.Awkward{
			{` `, "", "", ""},
			{`a\nb  `, "a", "b  ", ""},
		}
}

// spool hands records to Nagios in one check-result file and returns when it has taken the file.
func spool(r *rig.NagiosRig, records ...string) {
	r.T.Helper()
	path := filepath.Join(r.CheckResultDir(), "cAbCdEf")
	for name, content := range map[string]string{path: strings.Join(records, ""), path + ".ok": ""} {
		if err := os.WriteFile(name+".new", []byte(content), 0o644); err != nil {
			r.T.Fatal(err)
		}
	}
	for _, name := range []string{path, path + ".ok"} {
		if err := os.Rename(name+".new", name); err != nil {
			r.T.Fatal(err)
		}
	}
	rig.Eventually(r.T, rig.ReadingLimit, "take the check-result file", func() error {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s is still there", path)
		}
		return nil
	})
}

func TestE2ERigNagiosOutputs(t *testing.T) {
	pipe, directory := nagiosOneDoor()
	pipe = append(nagiosBothDoors(), pipe...)
	directory = append(nagiosBothDoors(), directory...)
	r := rig.NewNagiosRig(t, append(rig.DoorHosts("pipe", len(pipe)), rig.DoorHosts("directory", len(directory))...))
	r.Start()
	for i, a := range pipe {
		r.Command(rig.ResultCommand(rig.DoorObject("pipe", i, false), "1", a.Written))
		r.Command(rig.ResultCommand(rig.DoorObject("pipe", i, true), "1", a.Written))
	}
	var records []string
	for i, a := range directory {
		records = append(records, rig.ResultRecord(rig.DoorObject("directory", i, false), "1", a.Written, time.Now()),
			rig.ResultRecord(rig.DoorObject("directory", i, true), "1", a.Written, time.Now()))
	}
	spool(r, records...)
	readings := r.Fence()
	for door, outputs := range map[string][]rig.Awkward{"pipe": pipe, "directory": directory} {
		for i, a := range outputs {
			a.Check(t, door, readings, rig.DoorObject(door, i, false))
			a.Output = strings.Replace(a.Output, nagiosNoOutput, "(No output returned from host check)", 1)
			a.Check(t, door+", host", readings, rig.DoorObject(door, i, true))
		}
	}
}

// A backslash at the very end of a record's output joins the next line to it, and the record is lost with it:
// a writer must never leave one unescaped.
func TestE2ERigNagiosDirectoryBackslash(t *testing.T) {
	r := rig.NewNagiosRig(t, rig.DoorHosts("directory", 2))
	r.Start()
	lost, next := rig.DoorObject("directory", 0, false), rig.DoorObject("directory", 1, false)
	spool(r, rig.ResultRecord(lost, "1", `x\`, time.Now()), rig.ResultRecord(next, "1", "y", time.Now()))
	readings := r.Fence()
	if got := readings[lost]; !got.LastCheck.IsZero() {
		t.Errorf("the record with the backslash was taken: %+v", got)
	}
	rig.Awkward{"y", "y", "", ""}.Check(t, "directory", readings, next)
}

// nagiosCodes are codes as written, and the states that a service and a host get from them through the pipe
// (-1: the result is refused). The directory does not judge them: there the number is the state.
func nagiosCodes() []codeCase {
	const refused = -1
	return []codeCase{
		{"0", 0, 0}, {"1", 1, 1}, {"2", 2, 2}, {"3", 3, refused}, {"4", 3, refused}, {"255", 3, refused},
		{"-1", 3, refused}, {" 1", 1, 1}, {"2.9", 2, 2}, {"x", 0, 0}, {"", 0, 0},
	}
}

func TestE2ERigNagiosCodes(t *testing.T) {
	codes := nagiosCodes()
	r := rig.NewNagiosRig(t, append(rig.DoorHosts("pipe", len(codes)), rig.DoorHosts("directory", 1)...))
	r.Start()
	for i, c := range codes {
		r.Command(rig.ResultCommand(rig.DoorObject("pipe", i, false), c.written, "x"),
			rig.ResultCommand(rig.DoorObject("pipe", i, true), c.written, "x"))
	}
	spool(r, rig.ResultRecord(rig.DoorObject("directory", 0, false), "4", "x", time.Now()),
		rig.ResultRecord(rig.DoorObject("directory", 0, true), "3", "x", time.Now()))
	readings := r.Fence()
	for i, c := range codes {
		c.check(t, readings[rig.DoorObject("pipe", i, false)], readings[rig.DoorObject("pipe", i, true)])
	}
	codeCase{"4 and 3 in the directory", 4, 3}.check(t, readings[rig.DoorObject("directory", 0, false)],
		readings[rig.DoorObject("directory", 0, true)])
}
