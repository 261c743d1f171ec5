//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkConfig runs the server's check of its configuration and compares the exit code and parts of what it says.
func checkConfig(p *rig.Pair, code int, said []string, args ...string) {
	p.T.Helper()
	p.DeliverTo()
	got, stdout, stderr := rig.Program(p.T, "", "massive-passive-server", append(append(p.ServerArgs, "--check-config"), args...)...)
	if got != code {
		p.T.Errorf("%q: exit code %d, want %d", args, got, code)
	}
	for _, part := range said {
		if !strings.Contains(stdout+stderr, part) {
			p.T.Errorf("%q: it does not say %q:\n%s%s", args, part, stdout, stderr)
		}
	}
}

func TestE2ECheckConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can become other users: run this as root")
	}
	nagios := rig.NewNagiosRig(t, nil)
	nagios.Start()
	icinga := rig.NewIcingaRig(t, nil)
	icinga.Start()
	pair := func() *rig.Pair {
		p := rig.NewPair(t, "unused", "nagios")
		if err := os.Chmod(p.Set.AllowedDir, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	config := []string{"--nagios-config", nagios.ConfigFile()}
	checkConfig(pair(), 0, []string{"user     nagios", "core     nagios", "sink     checkresults:" + nagios.CheckResultDir() + " (nagios)", "open: files may be put there"},
		append(config, "--user", "nagios")...)
	checkConfig(pair(), 1, []string{"user     nobody", "NOT OPEN", "may not write to " + nagios.CheckResultDir()}, append(config, "--user", "nobody")...)
	checkConfig(pair(), 0, []string{"sink     command-file:" + nagios.CommandFile(), "the core reads it"}, append(config, "--user", "nagios", "--sink", "command-file:")...)
	checkConfig(pair(), 1, []string{"NOT OPEN", "may not write to " + nagios.CommandFile()}, append(config, "--user", "nobody", "--sink", "command-file:")...)
	// The spool of a Debian is its core's alone, the command file a group's.
	if err := os.Chmod(nagios.CheckResultDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(nagios.CommandFile(), 0o662); err != nil {
		t.Fatal(err)
	}
	checkConfig(pair(), 0, []string{"user     nobody", "sink     command-file:" + nagios.CommandFile(), "the core reads it"}, append(config, "--user", "nobody")...)
	if err := os.Chmod(filepath.Dir(nagios.CommandFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	checkConfig(pair(), 1, []string{"NOT OPEN", "may not enter " + filepath.Dir(nagios.CommandFile())}, append(config, "--user", "nobody", "--sink", "command-file:")...)
	narrow := func() *rig.Pair {
		p := pair()
		if err := os.WriteFile(filepath.Join(p.Set.AllowedDir, "client-1.json"), []byte(`{"hosts": ["!db9"]}`), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	checkConfig(narrow(), 0, []string{"policies WRONG", "client-1"}, "--user", "nagios", "--command-file", nagios.CommandFile())
	if err := os.Chmod(filepath.Join(nagios.Dir, "objects.cache"), 0); err != nil {
		t.Fatal(err)
	}
	checkConfig(narrow(), 0, []string{"waits until it can be read", "client-1", "permission denied"}, append(config, "--user", "nagios")...)
	nagios.Stop()
	checkConfig(pair(), 0, []string{"the core is not running"}, append(config, "--user", "nagios", "--sink", "command-file:")...)
	checkConfig(pair(), 1, []string{"does not exist"}, "--sink", "command-file:/nowhere/icinga2.cmd")

	checkConfig(pair(), 0, []string{"(Icinga 2)", "open: results may be handed in"}, icinga.APISink(t)...)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkConfig(pair(), 1, []string{"NOT OPEN", "does not know the user"}, append(icinga.APISink(t), "--icinga2-password-file", wrong)...)
	for _, name := range []string{nagios.CheckResultDir()} {
		if entries, err := os.ReadDir(name); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, %v after the checks", name, entries, err)
		}
	}
}
