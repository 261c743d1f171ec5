//go:build e2e

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkConfig runs the server's check of its configuration and compares the exit code and parts of what it says.
func (p *pair) checkConfig(code int, said []string, args ...string) {
	p.t.Helper()
	p.deliverTo()
	got, stdout, stderr := program(p.t, "", "massive-passive-server", append(append(p.serverArgs, "--check-config"), args...)...)
	if got != code {
		p.t.Errorf("%q: exit code %d, want %d", args, got, code)
	}
	for _, part := range said {
		if !strings.Contains(stdout+stderr, part) {
			p.t.Errorf("%q: it does not say %q:\n%s%s", args, part, stdout, stderr)
		}
	}
}

func TestE2ECheckConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can become other users: run this as root")
	}
	nagios := newNagiosRig(t, nil)
	nagios.start()
	icinga := newIcingaRig(t, nil)
	icinga.start()
	pair := func() *pair {
		p := newPair(t, "unused", "nagios")
		if err := os.Chmod(p.set.AllowedDir, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	config := []string{"--nagios-config", nagios.configFile()}
	pair().checkConfig(0, []string{"user     nagios", "core     nagios", "door     checkresults:" + nagios.checkResultDir() + " (nagios)", "open: files may be put there"},
		append(config, "--user", "nagios")...)
	pair().checkConfig(1, []string{"user     nobody", "NOT OPEN", "may not write to " + nagios.checkResultDir()}, append(config, "--user", "nobody")...)
	pair().checkConfig(0, []string{"door     command-file:" + nagios.commandFile(), "the core reads it"}, append(config, "--user", "nagios", "--sink", "command-file:")...)
	pair().checkConfig(1, []string{"NOT OPEN", "may not write to " + nagios.commandFile()}, append(config, "--user", "nobody", "--sink", "command-file:")...)
	nagios.stop()
	pair().checkConfig(0, []string{"the core is not running"}, append(config, "--user", "nagios", "--sink", "command-file:")...)
	pair().checkConfig(1, []string{"does not exist"}, "--sink", "command-file:/nowhere/icinga2.cmd")

	pair().checkConfig(0, []string{"(Icinga 2)", "open: results may be handed in"}, icinga.apiSink(t)...)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair().checkConfig(1, []string{"NOT OPEN", "does not know the user"}, append(icinga.apiSink(t), "--icinga2-password-file", wrong)...)
	for _, name := range []string{nagios.checkResultDir()} {
		if entries, err := os.ReadDir(name); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, %v after the checks", name, entries, err)
		}
	}
}
