package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkWith is a check file with these fields beside those that each needs.
func checkWith(rest string) string {
	return `{"check_description": "d", "check_hostname": "h", "check_type": "service_check", "interval": 5, "servers": {"s": "127.0.0.1"}, ` + rest + `}`
}

func TestInspectNamesWhatWillNotRun(t *testing.T) {
	o, dir := DefaultOptions(), t.TempDir()
	o.ConfDirs = []string{dir}
	script := filepath.Join(t.TempDir(), "check")
	must(t, os.WriteFile(script, []byte("#!/usr/bin/env python3\n"), 0o755))
	writeCheck(t, dir, "gone.cfg", checkWith(`"command": "/no/such/plugin"`))
	writeCheck(t, dir, "macro.cfg", checkWith(`"command": ["/bin/echo", "$ARG1$"]`))
	writeCheck(t, dir, "put.cfg", checkWith(`"command": "/bin/echo $PASS", "env": {"PASS": "secret"}`))
	writeCheck(t, dir, "py.cfg", checkWith(`"command": "`+script+`"`))
	writeCheck(t, dir, "good.cfg", checkWith(`"command": "`+script+`", "env": {"PATH": "/bin"}`))
	var out, warn bytes.Buffer
	must(t, Inspect(t.Context(), o, Inspection{}, &out, &warn))
	for _, want := range []string{
		`warning: gone.cfg: plugin "/no/such/plugin" was not found`,
		`warning: macro.cfg:1:139: "command": still has $ARG1$, a macro of the core`,
		`note: put.cfg: in its command, what its environment has is put in for $PASS`,
		`note: py.cfg: its plugin begins with #!/usr/bin/env python3, and its environment has no PATH`,
	} {
		if !strings.Contains(warn.String(), want) {
			t.Errorf("lacks %q:\n%s", want, warn.String())
		}
	}
	if said := warn.String(); strings.Contains(said, "secret") || strings.Contains(said, "good.cfg: its plugin") {
		t.Errorf("says too much:\n%s", said)
	}
	o.DefaultEnv = []string{"PATH=/usr/bin:/bin"}
	warn.Reset()
	must(t, Inspect(t.Context(), o, Inspection{}, &out, &warn))
	if strings.Contains(warn.String(), "no PATH") {
		t.Errorf("a PATH for all does not count:\n%s", warn.String())
	}
}

func TestOnceShowsWhatThePluginRanIn(t *testing.T) {
	for rest, c := range map[string]struct{ shows, hints string }{
		`"command": "/bin/sh -c 'echo out; echo oops >&2'", "env": {"A": "b"}, "cwd": "/tmp"`: {
			"directory: /tmp\nenvironment: \"A=b\"\ncode:    0\n", ""},
		`"command": "/bin/sh -c 'echo out; echo oops >&2; exit 1'"`: {"environment: empty\n", ""},
		`"command": "no-such-plugin"`:                               {"was not found in PATH", "has no PATH"},
		`"command": "no-such-plugin | cat; exit 127"`:               {"exit code 127", "has no PATH"},
		`"command": "exit 126;"`:                                    {"exit code 126", "has no PATH"},
		`"command": "/usr/bin/env no-such-interpreter"`:             {"exit code 127", "has no PATH"},
		`"command": "echo \"ModuleNotFoundError: No module named 'x'\" >&2; exit 1", "env": {"PATH": "/bin"}`: {
			"standard error:\nModuleNotFoundError", "compare PATH, HOME"},
		`"command": "/no/such/plugin"`:                {"was not found", ""},
		`"command": "echo 'page not found'; exit 2;"`: {"page not found", ""},
	} {
		file := filepath.Join(t.TempDir(), "a.cfg")
		must(t, os.WriteFile(file, []byte(checkWith(rest)), 0o600))
		var out, warn bytes.Buffer
		must(t, Once(t.Context(), DefaultOptions(), file, false, &out, &warn))
		if !strings.Contains(out.String(), c.shows) || !strings.Contains(warn.String(), c.hints) || c.hints == "" && warn.Len() > 0 {
			t.Errorf("%s:\n%s%s", rest, out.String(), warn.String())
		}
		if strings.Contains(rest, "oops") && !strings.Contains(out.String(), "standard error:\noops\n") {
			t.Errorf("%s: no standard error:\n%s", rest, out.String())
		}
	}
}
