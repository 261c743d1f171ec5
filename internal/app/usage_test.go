package app

import (
	"strings"
	"testing"
)

// What is wrong with an option is told in the option's own words.
func TestWrongOptionsAreNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"massive-passive", "server", "--port", "abc"}, 2, `--port: "abc" is no whole number`},
		{[]string{"massive-passive", "server", "--journal-max-bytes", "1G"}, 2, `--journal-max-bytes: "1G" is no whole number, without a unit`},
		{[]string{"massive-passive", "server", "--idle-timeout=10s"}, 2, `--idle-timeout: "10s" is no number, without a unit`},
		{[]string{"massive-passive", "server", "--foreground=perhaps"}, 2, `--foreground: "perhaps" is neither true nor false`},
		{[]string{"massive-passive", "server", "--comand-file", "/x"}, 2, "there is no option --comand-file; did you mean --command-file?"},
		{[]string{"massive-passive", "client", "--confidr", "/x"}, 2, "did you mean --confdir?"},
		{[]string{"massive-passive", "client", "--zzzzzz"}, 2, "there is no option --zzzzzz (see"},
		{[]string{"massive-passive", "server", "--port"}, 2, "--port needs a value"},
		{[]string{"massive-passive", "pki", "init", "--day", "3"}, 2, "there is no option --day; did you mean --days?"},
		{[]string{"massive-passive", "send", "--timeout", "soon"}, 3, `--timeout: "soon" is no`},
	} {
		code, _, stderr := call(c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: %d, %q does not say %q", c.args, code, stderr, c.says)
		}
	}
}
