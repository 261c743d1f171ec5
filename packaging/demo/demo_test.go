package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// audience gathers what the demo prints, and goes home when it has seen enough.
type audience struct {
	bytes.Buffer
	enough func(seen string) bool
	leave  context.CancelFunc
}

func (a *audience) Write(b []byte) (int, error) {
	n, err := a.Buffer.Write(b)
	if a.enough(a.String()) {
		a.leave()
	}
	return n, err
}

// stageless gives the demo a folder for its temporary files, and checks in the
// end that nothing is left there and no process that was told of it runs.
func stageless(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil || len(lines) == 0 {
			t.Errorf("cannot look for processes: %v", err)
		}
		for _, name := range lines {
			if line, _ := os.ReadFile(name); bytes.Contains(line, []byte(dir)) {
				t.Errorf("still running: %s %q", name, line)
			}
		}
	})
}

// TestDemo shows a demo to its end: built from this tree, with a real server,
// a real client and the sample checks.
func TestDemo(t *testing.T) {
	stageless(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := &audience{leave: cancel, enough: func(seen string) bool {
		_, after, again := strings.Cut(seen, "The server starts again. ")
		return again && strings.Contains(after, "results of the last seconds came again") && strings.Contains(after, "OK       run ") &&
			strings.Contains(seen, "hello this is an environment test: moep!") &&
			strings.Contains(seen, "load average ") && strings.Contains(seen, " file systems, the fullest is ")
	}}
	if err := demo(ctx, options{length: 20 * time.Second, width: standardWidth}, a); err != nil {
		t.Fatalf("%v\n%s", err, &a.Buffer)
	}
	if !a.enough(a.String()) || !strings.Contains(a.String(), " of 4 checks in ") || !strings.Contains(a.String(), " are all there, in order.") {
		t.Errorf("not all checks were shown:\n%s", &a.Buffer)
	}
	for line := range strings.Lines(a.String()) {
		if strings.HasPrefix(line, "  ") && strings.Contains(line, "/") {
			continue // a path is as long as it is
		}
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > standardWidth {
			t.Errorf("a line has %d characters: %q", n, line)
		}
	}
}

// TestDemoOfAFailure holds that a child that ends is not a silent end.
func TestDemoOfAFailure(t *testing.T) {
	program := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"the $1 cannot go on\" >&2\nexit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	stageless(t)
	var out bytes.Buffer
	err := demo(t.Context(), options{binary: program, length: time.Minute}, &out)
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "cannot go on") {
		t.Errorf("got %v, want the exit code and the log", err)
	}
}

func TestDemoOfNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "silent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	stageless(t)
	var out bytes.Buffer
	err := demo(t.Context(), options{binary: program, length: 100 * time.Millisecond}, &out)
	if err == nil || !strings.Contains(err.Error(), "no result arrived") || !strings.Contains(err.Error(), "the client said nothing") {
		t.Errorf("got %v, want that nothing arrived, and the logs", err)
	}
	err = demo(t.Context(), options{binary: filepath.Join(t.TempDir(), "missing"), length: time.Minute}, &out)
	if err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("got %v, want that the server could not be started", err)
	}
}

// TestStubbornChild holds that a child that ignores SIGTERM is killed, with all
// of its group, and said to have been.
func TestStubbornChild(t *testing.T) {
	dir := t.TempDir()
	c, err := start("client", dir, "/bin/sh", []string{"-c", "trap '' TERM; echo ready; while :; do sleep 60; done"})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if said, _ := os.ReadFile(c.logFile); strings.Contains(string(said), "ready") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child did not get ready")
		}
	}
	err = c.stop(50 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") || !strings.Contains(err.Error(), "ready") {
		t.Errorf("got %v, want that it was killed, and its log", err)
	}
	if err := c.stop(time.Minute); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

func TestPrinter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passed")
	if err := os.WriteFile(file, []byte("[1700000000] PROCESS_HOST_CHECK_RESULT;h;1;gone\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 0).Format(time.TimeOnly)
	blank := strings.Repeat(" ", indent)
	for _, c := range []struct {
		line   string
		colour bool
		want   string
	}{
		{"[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;0;fine\n", false, at + "  s            OK       fine\n"},
		{"[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;2;bad|a=1;;\n", true,
			at + "  s            \x1b[31mCRITICAL\x1b[0m bad\n" + blank + "\x1b[2m| a=1;;\x1b[0m\n"},
		{`[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;1;one\ntwo|a=1\nC:\\new` + "\n", false,
			at + "  s            WARNING  one\n" + blank + "two\n" + blank + "| a=1\n" + blank + "C:\\new\n"},
		{"[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;9;a\x1b[2Jb\n", false, at + "  s            UNKNOWN  a\uFFFD[2Jb\n"},
		{"[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;0;a line of more than  twenty\u00e9 letters-and-no-blank-there\n", false,
			at + "  s            OK       a line of more than \n" + blank + "twenty\u00e9\n" + blank + "letters-and-no-blank-there\n"},
		{"[1700000000] RESTART_PROGRAM\n", false, "a line that is no check result: \"[1700000000] RESTART_PROGRAM\\n\"\n"},
		{"[1700000000] PROCESS_FILE;" + file + ";1\n", false, at + "  h            DOWN     gone\n"},
	} {
		var out bytes.Buffer
		newPrinter(&out, c.colour, indent+20).line([]byte(c.line))
		if out.String() != c.want {
			t.Errorf("%q\ngot  %q\nwant %q", c.line, out.String(), c.want)
		}
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the passed file is still there: %v", err)
	}
}
