package program

import (
	"massive-passive/test/rig"

	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check files and settings as a packaged client has them: neither the host nor the
// servers are in the files.
func TestChecksAreLookedAtWithTheSettingsOfTheDaemon(t *testing.T) {
	dir, other := openDir(t), openDir(t)
	put := func(dir, name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	who := put(dir, "who.cfg", `{"check_description": "who", "check_type": "service_check", "interval": 60, "command": "/usr/bin/id -un"}`)
	put(other, "other.cfg", `{"check_description": "other", "check_type": "service_check", "interval": 60, "command": "/bin/true"}`)
	settings := put(dir, "settings", "CONFDIR="+dir+"\nUSER=nobody\nDAEMON_ARGS=\"--hostname web9 --default-servers core=192.0.2.1 --confdir "+dir+"\"\n")
	t.Setenv("MASSIVE_PASSIVE_CONFDIR", "/no/such/directory")
	note := "settings of " + settings + ": CONFDIR, USER, DAEMON_ARGS; as user "
	for _, c := range []struct {
		args         []string
		code         int
		says, warns  string
		saysNot      string
		needsRoot    bool
		silentOfFile bool
	}{
		{args: []string{"--check-config"}, says: `who.cfg: ok: "who" on "web9"`, warns: note},
		{args: []string{"--check-config", "--hostname", "mine"}, says: `"who" on "mine"`, warns: note},
		{args: []string{"--check-config", "--confdir", other}, says: `"other" on "web9"`, saysNot: "who.cfg", warns: note},
		{args: []string{"--once", who}, says: "output:\nnobody\n", warns: note + "nobody\n", needsRoot: true},
		{args: []string{"--once", who, "--user", "daemon"}, says: "output:\ndaemon\n", warns: note + "daemon\n", needsRoot: true},
		{args: []string{"--once", who, "--default-servers", "mine=192.0.2.2"}, says: "servers: mine (192.0.2.2:5678)\n", warns: note},
		{args: []string{"--check-config", "--settings", "none"}, code: 1, warns: "/no/such/directory", silentOfFile: true},
		{args: []string{"--foreground"}, code: 2, warns: "--settings: only goes with"},
	} {
		if c.needsRoot && os.Geteuid() != 0 {
			continue
		}
		code, stdout, stderr := rig.Program(t, "", "massive-passive-client", append([]string{"--settings", settings}, c.args...)...)
		if code != c.code || !strings.Contains(stdout, c.says) || !strings.Contains(stderr, c.warns) ||
			c.saysNot != "" && strings.Contains(stdout, c.saysNot) || c.silentOfFile && strings.Contains(stderr, settings) {
			t.Errorf("%q: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}

// openDir is a directory that other users can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
