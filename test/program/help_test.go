package program

import (
	"massive-passive/test/rig"

	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	for _, x := range []struct {
		program string
		args    []string
		code    int
		says    string
	}{
		{"massive-passive", nil, 0, "Commands, each with a --help of its own"},
		{"massive-passive", []string{"help"}, 0, "Commands, each with a --help of its own"},
		{"massive-passive", []string{"help", "client"}, 0, "Usage: massive-passive client [options]"},
		{"massive-passive-client", []string{"--help"}, 0, "Usage: massive-passive-client [options]"},
		{"massive-passive", []string{"server", "-h"}, 0, "(default: 0.0.0.0, ::)"},
		{"massive-passive-pki", []string{"init", "--help"}, 0, "Usage: massive-passive-pki init [options] [DIR]"},
		{"massive-passive", []string{"help", "nonsense"}, 2, `no command and no topic "nonsense"`},
		{"massive-passive", []string{"help", "completion", "csh"}, 2, `"csh"`},
		{"massive-passive", []string{"help", "cron", "more"}, 2, `"more"`},
	} {
		code, stdout, stderr := rig.Program(t, "", x.program, x.args...)
		if code != x.code || !strings.Contains(stdout+stderr, x.says) || strings.Contains(stdout, "GLOBAL OPTIONS") {
			t.Errorf("%s %q: exit code %d\n%s%s", x.program, x.args, code, stdout, stderr)
		}
		if x.code == 0 && !strings.HasSuffix(strings.TrimSpace(stdout), "mysportgroup.de.") {
			t.Errorf("%s %q does not end with the licence", x.program, x.args)
		}
	}
}

func TestOptionsFromTheEnvironment(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	t.Setenv("MASSIVE_PASSIVE_MAX_OUTPUT", "12")
	args := append([]string{"--check-config"}, p.ClientArgs...)
	if code, _, stderr := rig.Program(t, "", "massive-passive-client", args...); code != 2 || !strings.Contains(stderr, "--max-output") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if code, _, stderr := rig.Program(t, "", "massive-passive-client", append(args, "--max-output", "4096")...); code != 0 {
		t.Errorf("the command line does not win: exit code %d, %q", code, stderr)
	}
	t.Setenv("MASSIVE_PASSIVE_MAX_OUTPUT", "many")
	if code, _, stderr := rig.Program(t, "", "massive-passive-client", args...); code != 2 || !strings.Contains(stderr, "MASSIVE_PASSIVE_MAX_OUTPUT") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}
