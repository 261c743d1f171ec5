package plugin

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shortGrace keeps the tests of stubborn plugins short.
const shortGrace = 300 * time.Millisecond

func newRunner(t testing.TB, grace time.Duration) *Runner {
	t.Helper()
	r, err := New(grace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := r.Stuck(); n != 0 {
			t.Errorf("%d plugins are stuck", n)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close the runner: %v", err)
		}
	})
	return r
}

// script is a command that runs a text as a shell would.
func script(t testing.TB, text string) Command {
	t.Helper()
	c, err := List([]string{"/bin/sh", "-c", text}, map[string]string{"PATH": "/usr/bin:/bin"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// place writes a file for a test to run.
func place(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	r := newRunner(t, 0)
	for _, c := range []struct {
		name, script string
		code         int
		output       string
	}{
		{"ok", "echo 'OK - all fine | x=1'", 0, "OK - all fine | x=1"},
		{"warning", "echo WARN; exit 1", 1, "WARN"},
		{"critical", "echo CRIT; exit 2", 2, "CRIT"},
		{"unknown", "echo DUNNO; exit 3", 3, "DUNNO"},
		{"silent", "exit 1", 1, ""},
		{"lines", "printf 'a\\n\\n b \\n\\n\\n'", 0, "a\n\n b "},
		{"carriage return", "printf 'a\\r\\n'", 0, "a\r"},
		{"any bytes", "printf 'a\\000b\\377\\376;\\n[1] X;y\\n'", 0, "a\x00b\xff\xfe;\n[1] X;y"},
		{"stderr alone", "echo broken >&2; exit 2", 2, "broken"},
		{"stderr beside", "echo noise >&2; echo OK", 0, "OK"},
		{"stderr beside newlines", "echo; echo broken >&2; exit 2", 2, "broken"},
		{"input is empty", "cat; echo $?", 0, "0"},
		{"directory", "pwd", 0, "/"},
		{"environment", "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=; echo end", 0, "PATH=/usr/bin:/bin\nend"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := time.Now()
			o := r.Run(context.Background(), Spec{Command: script(t, c.script), Timeout: time.Minute})
			if o.Code != c.code || string(o.Output) != c.output || o.Trouble != None || o.Truncated {
				t.Errorf("got %d %q (%s, truncated %v), want %d %q", o.Code, o.Output, o.Trouble, o.Truncated, c.code, c.output)
			}
			if o.Start.Before(before) || o.Finish.Before(o.Start) || time.Now().Before(o.Finish) {
				t.Errorf("ran from %v to %v, called at %v", o.Start, o.Finish, before)
			}
		})
	}
}

func TestRunParsedLine(t *testing.T) {
	r := newRunner(t, 0)
	for _, c := range []struct {
		line, want string
		env        map[string]string
	}{
		{"/bin/echo 'hello this is an environment test: $TESTERTEST'", "hello this is an environment test: moep!", map[string]string{"TESTERTEST": "moep!"}},
		{"/bin/echo hello | /usr/bin/tr a-z A-Z; echo $X", "HELLO\ny", map[string]string{"X": "y"}},
		{"echo found by the default path", "found by the default path", nil},
	} {
		cmd, err := Parse(c.line, c.env)
		if err != nil {
			t.Fatal(err)
		}
		if o := r.Run(context.Background(), Spec{Command: cmd}); string(o.Output) != c.want || o.Code != 0 {
			t.Errorf("%s: %d %q, want %q", c.line, o.Code, o.Output, c.want)
		}
	}
}

func TestProgramSearch(t *testing.T) {
	r := newRunner(t, 0)
	path := place(t, "check_it", "#!/bin/sh\necho \"$0 in $PWD\"\n", 0o755)
	dir := filepath.Dir(path)
	for _, c := range []struct{ word, path, dir, want string }{
		{"check_it", "/nowhere:" + dir, "/", path + " in /"},
		{"check_it", "", dir, "NOT FOUND"}, // an empty PATH searches nothing
		{"check_it", ".", dir, "./check_it in " + dir},
		{"check_it", ":/bin", dir, "./check_it in " + dir},
		{"./check_it", "/bin", dir, "./check_it in " + dir},
		{path, "/bin", "/", path + " in /"},
	} {
		cmd, err := List([]string{c.word}, map[string]string{"PATH": c.path})
		if err != nil {
			t.Fatal(err)
		}
		o := r.Run(context.Background(), Spec{Command: cmd, Dir: c.dir})
		if c.want == "NOT FOUND" && o.Trouble == NotFound {
			continue
		}
		if string(o.Output) != c.want {
			t.Errorf("%q with PATH %q in %q: %s %q, want %q", c.word, c.path, c.dir, o.Trouble, o.Output, c.want)
		}
	}
}

func TestTrouble(t *testing.T) {
	r := newRunner(t, shortGrace)
	noBits := place(t, "plain", "#!/bin/sh\n", 0o644)
	for _, c := range []struct {
		name    string
		spec    Spec
		trouble Trouble
		text    string // what the output begins with, PATH for the program's path
	}{
		{"code 4", Spec{Command: script(t, "echo hi; exit 4")}, BadCode, "UNKNOWN: plugin \"/bin/sh\" ended with exit code 4, plugins end with 0 to 3\nhi"},
		{"code 200", Spec{Command: script(t, "echo hi >&2; exit 200")}, BadCode, "UNKNOWN: plugin \"/bin/sh\" ended with exit code 200, plugins end with 0 to 3\nhi"},
		{"SIGSEGV", Spec{Command: script(t, "echo hi; kill -SEGV $$")}, Signal, "UNKNOWN: plugin \"/bin/sh\" was killed by signal 11 (SIGSEGV)\nhi"},
		{"SIGKILL", Spec{Command: script(t, "kill -KILL $$")}, Signal, "UNKNOWN: plugin \"/bin/sh\" was killed by signal 9 (SIGKILL)"},
		{"real-time signal", Spec{Command: script(t, "kill -40 $$")}, Signal, "UNKNOWN: plugin \"/bin/sh\" was killed by signal 40"},
		{"not found", Spec{Command: list(t, "/no/such/check")}, NotFound, "UNKNOWN: plugin \"/no/such/check\" was not found"},
		{"not found in PATH", Spec{Command: list(t, "check_none")}, NotFound, "UNKNOWN: plugin \"check_none\" was not found in PATH \"/usr/local/sbin:"},
		{"below a file", Spec{Command: list(t, noBits+"/check")}, NotFound, "UNKNOWN: plugin \"" + noBits + "/check\" was not found: a part of its path is not a directory"},
		{"no interpreter", Spec{Command: list(t, place(t, "x", "#!/no/python -u\n", 0o755))}, NotFound, "PATH is there, but the interpreter /no/python of its first line is not"},
		{"windows line ends", Spec{Command: list(t, place(t, "x", "#!/bin/sh\r\necho\r\n", 0o755))}, NotFound, "PATH is there, but the interpreter of its first line, because that line ends in a carriage return"},
		{"no x bits", Spec{Command: list(t, noBits)}, NotExecutable, "PATH is not executable: its mode lacks the x bits"},
		{"no x bits in PATH", Spec{Command: listIn(t, filepath.Dir(noBits), "plain")}, NotExecutable, "UNKNOWN: plugin \"" + noBits + "\" is not executable: its mode lacks the x bits"},
		{"directory as program", Spec{Command: list(t, t.TempDir())}, NotExecutable, "PATH is a directory"},
		{"empty file", Spec{Command: list(t, place(t, "x", "", 0o755))}, NotExecutable, "PATH is an empty file"},
		{"wrong machine", Spec{Command: list(t, place(t, "x", "\x7fELF\x02\x02\x01\x00junk", 0o755))}, NotExecutable, "PATH is a program for another machine, or damaged"},
		{"missing directory", Spec{Command: script(t, "echo"), Dir: "/no/dir"}, BadDirectory, "UNKNOWN: the working directory \"/no/dir\" cannot be used: no such file or directory"},
		{"missing directory and PATH", Spec{Command: list(t, "check_none"), Dir: "/no/dir"}, BadDirectory, "UNKNOWN: the working directory \"/no/dir\" cannot be used"},
		{"file as directory", Spec{Command: script(t, "echo"), Dir: noBits}, BadDirectory, "UNKNOWN: the working directory \"" + noBits + "\" is not a directory"},
		{"arguments too long", Spec{Command: list(t, "/bin/true", strings.Repeat("x", 3<<20))}, StartFailure, "UNKNOWN: plugin \"/bin/true\" could not be started: argument list too long"},
		{"no command", Spec{}, StartFailure, "UNKNOWN: the check has no command"},
		{"shell finds nothing", Spec{Command: line(t, "check_none | cat; check_none")}, NotFound, "UNKNOWN: exit code 127: the shell did not find a program of command \"check_none | cat; check_none\"\n"},
		{"shell cannot execute", Spec{Command: line(t, noBits+" && :")}, NotExecutable, "UNKNOWN: exit code 126: the shell could not execute a program of command"},
		{"signal in the shell", Spec{Command: line(t, "/bin/sh -c 'kill -SEGV $$'; exit $?")}, Signal, "UNKNOWN: exit code 139: in command \"/bin/sh -c 'kill -SEGV $$'; exit $?\" a program was killed by signal 11 (SIGSEGV)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := r.Run(context.Background(), c.spec)
			want := c.text
			if rest, ok := strings.CutPrefix(want, "PATH"); ok {
				want = "UNKNOWN: plugin \"" + c.spec.Command.words[0] + "\"" + rest
			}
			if o.Code != 3 || o.Trouble != c.trouble || !bytes.HasPrefix(o.Output, []byte(want)) {
				t.Errorf("got %d %s %q, want 3 %s %q", o.Code, o.Trouble, o.Output, c.trouble, want)
			}
		})
	}
}

func list(t testing.TB, words ...string) Command {
	t.Helper()
	c, err := List(words, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func listIn(t testing.TB, path string, words ...string) Command {
	t.Helper()
	c, err := List(words, map[string]string{"PATH": path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func line(t testing.TB, text string) Command {
	t.Helper()
	c, err := Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScriptWithoutFirstLine(t *testing.T) {
	r := newRunner(t, 0)
	path := place(t, "check", "echo \"$1 from sh\"; exit 1\n", 0o755)
	o := r.Run(context.Background(), Spec{Command: list(t, path, "hello")})
	if o.Code != 1 || string(o.Output) != "hello from sh" || o.Trouble != None {
		t.Errorf("got %d %q %s, want what /bin/sh makes of it", o.Code, o.Output, o.Trouble)
	}
}
