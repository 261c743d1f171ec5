package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is foreseen of a plugin that cannot be started is what its run says.
func TestProblemSaysWhatARunSays(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, 0)
	for name, c := range map[string]struct {
		words []string
		dir   string
		trust bool
	}{
		"missing":       {words: []string{dir + "/none"}},
		"below a file":  {words: []string{put("file", "#!/bin/sh\n", 0o755) + "/x"}},
		"no x bits":     {words: []string{put("closed", "#!/bin/sh\n", 0o644)}},
		"directory":     {words: []string{dir}},
		"interpreter":   {words: []string{put("script", "#!/no/such/shell -e\n", 0o755)}},
		"windows lines": {words: []string{put("dos", "#!/bin/sh\r\nexit 0\r\n", 0o755)}},
		"empty":         {words: []string{put("empty", "", 0o755)}},
		"no name":       {words: []string{"no-such-plugin"}},
		"no directory":  {words: []string{"/bin/true"}, dir: dir + "/none"},
		"damaged":       {words: []string{put("damaged", "\x00\x01\x02", 0o755)}},
		"a good one":    {words: []string{"true"}, trust: true},
		"no #! line":    {words: []string{put("plain", "exit 0\n", 0o755)}, trust: true},
		"relative":      {words: []string{"./plain"}, dir: dir, trust: true},
	} {
		command, err := List(c.words, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.dir == "" {
			c.dir = "/"
		}
		said := command.Problem(t.Context(), c.dir)
		ran := r.Run(t.Context(), Spec{Command: command, Dir: c.dir})
		if c.trust != (said == "") || ran.Trouble != None && "UNKNOWN: "+said != string(ran.Output) {
			t.Errorf("%s: foreseen %q, and the run said %q", name, said, ran.Output)
		}
	}
}

func TestProblemOfALineForTheShell(t *testing.T) {
	for line, want := range map[string]string{
		"/no/such/plugin -w 1 | cat":    `plugin "/no/such/plugin" was not found`,
		"  /no/such/plugin; true":       "",
		"cd /tmp && /no/such/plugin":    "",
		"LANG=C /no/such/plugin":        "",
		"/no/such/$NAME x; true":        "",
		"/bin/true && exec /no/such/it": "",
	} {
		command, err := Parse(line, nil)
		if err != nil || !command.ByShell() {
			t.Fatalf("%s: %v", line, err)
		}
		if got := command.Problem(t.Context(), "/"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestWhatEnvHasToFind(t *testing.T) {
	python := place(t, "python", "#!/usr/bin/env python3\n", 0o755)
	for line, want := range map[string]string{
		python: "python3",
		place(t, "spaced", "#! /usr/bin/env -S LANG=C perl -w\n", 0o755): "perl",
		python + " | cat":                  "python3",
		"/usr/bin/env -i A=b ruby x":       "ruby",
		place(t, "sh", "#!/bin/sh", 0o755): "",
		"/bin/true":                        "",
		"/no/such":                         "",
		"/usr/bin/env":                     "",
	} {
		command, err := Parse(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := command.EnvInterpreter(t.Context(), "/"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestReplacedNamesAreKnown(t *testing.T) {
	for line, want := range map[string]string{
		`/bin/echo $B '${A}' "$B" $C`: "A B",
		`/bin/echo $C`:                "",
		`/bin/echo $A | cat`:          "", // the shell does it
	} {
		command, err := Parse(line, map[string]string{"A": "1", "B": "$A"})
		if got := strings.Join(command.Replaced(), " "); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

// Standard error is told apart even where it stands in for the output and is
// cut there.
func TestStandardErrorIsKept(t *testing.T) {
	r := newRunner(t, 0)
	if o := r.Run(t.Context(), Spec{Command: script(t, "echo out; echo warning >&2")}); string(o.Output) != "out" || string(o.Stderr) != "warning\n" {
		t.Errorf("output %q, standard error %q", o.Output, o.Stderr)
	}
	o := r.Run(t.Context(), Spec{Command: script(t, "printf %0400d 7 >&2"), MaxOutput: 300})
	if want := strings.Repeat("0", 300); !o.Truncated || string(o.Stderr) != want || !strings.HasSuffix(string(o.Output), "[output cut at 300 bytes]") {
		t.Errorf("output %q, standard error %q", o.Output, o.Stderr)
	}
}
