package app

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What packaging/daemon does with the settings, our script does as well.
func TestSettingsAreReadAsTheDaemonReadsThem(t *testing.T) {
	daemon, err := os.ReadFile("../../packaging/daemon")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`settings="[^"]*"|\nunset START .*`)
	if got, want := names.FindAllString(settingsScript, -1), names.FindAllString(string(daemon), -1); len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("got %q, packaging/daemon has %q", got, want)
	}
	defaults := regexp.MustCompile(`(?m)^[A-Z_]+=\$\{.*$|^set -u$`)
	if got, want := defaults.FindAllString(settingsScript, -1), defaults.FindAllString(string(daemon), -1); len(want) < 6 || !slices.Equal(got, want) {
		t.Errorf("got %q, packaging/daemon has %q", got, want)
	}
}

func TestSettings(t *testing.T) {
	t.Setenv("USER", "somebody")
	t.Setenv("MASSIVE_PASSIVE_HOSTNAME", "caller")
	t.Setenv("MASSIVE_PASSIVE_CONFDIR", "/caller")
	file := settingsFile(t, `echo this goes elsewhere
CONFDIR="/a b"
DEFAULT_ENV="PATH=/bin
LC_NUMERIC=C"
MINE=/x
LOGLEVEL=
DAEMON_ARGS="--batch-mode   --hostname ${MINE}
--pidfile ${PIDFILE:-none}"
export MASSIVE_PASSIVE_MAX_OUTPUT=300
`)
	s, err := readSettings(t.Context(), file, true, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"CONFDIR", "DEFAULT_ENV", "DAEMON_ARGS"}; !slices.Equal(s.names, want) {
		t.Errorf("names %q, want %q", s.names, want)
	}
	if want := []string{"--batch-mode", "--hostname", "/x", "--pidfile", "none"}; !slices.Equal(s.args, want) {
		t.Errorf("arguments %q, want %q", s.args, want)
	}
	var ours []string
	for _, v := range s.environment {
		if strings.HasPrefix(v, environmentPrefix) {
			ours = append(ours, strings.TrimPrefix(v, environmentPrefix))
		}
	}
	slices.Sort(ours)
	if want := []string{"CONFDIR=/a b", "DEFAULT_ENV=PATH=/bin\nLC_NUMERIC=C", "HOSTNAME=caller", "MAX_OUTPUT=300", "PIDFILE=/run/massive-passive-client.pid",
		"SSL_CA_CERT=/etc/massive-passive/massive-passive-ssl-ca.cert", "SSL_CERT=/etc/massive-passive/massive-passive-client-ssl.cert",
		"SSL_KEY=/etc/massive-passive/massive-passive-client-ssl.key"}; !slices.Equal(ours, want) {
		t.Errorf("environment %q, want %q", ours, want)
	}
}

func TestSettingsWithoutAnything(t *testing.T) {
	s, err := readSettings(t.Context(), settingsFile(t, ""), true, io.Discard)
	if err != nil || len(s.names)+len(s.args) > 0 || len(s.environment) == 0 {
		t.Errorf("%q, %q, %v", s.names, s.args, err)
	}
	for _, file := range []string{"none", filepath.Join(t.TempDir(), "gone")} {
		if s, err := readSettings(t.Context(), file, false, io.Discard); err != nil || s.file != "" {
			t.Errorf("%s: %v, %v", file, s, err)
		}
	}
}

func TestSettingsThatAreNotRead(t *testing.T) {
	open := settingsFile(t, "USER=x\n")
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		filepath.Join(t.TempDir(), "gone"):          "no such file",
		t.TempDir():                                 "it is a directory",
		open:                                        "everybody may write",
		settingsFile(t, "if\n"):                     "exit status",
		settingsFile(t, "exit 0\n"):                 "ended too soon",
		settingsFile(t, "X=$NOT_SET\n"):             "exit status",
		settingsFile(t, "cat /dev/zero >&4\n"):      "there is too much of it",
		settingsFile(t, "kill -KILL $$; sleep 9\n"): "killed",
	}
	if os.Geteuid() == 0 {
		foreign := settingsFile(t, "USER=x\n")
		if err := os.Chown(foreign, 12345, 0); err != nil {
			t.Fatal(err)
		}
		files[foreign] = "belongs to user 12345"
	}
	for file, want := range files {
		if _, err := readSettings(t.Context(), file, true, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", file, err, want)
		}
	}
}

func TestSettingsThatNeverEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := readSettings(ctx, settingsFile(t, "(while :; do sleep 1; done) & wait\n"), true, io.Discard); err == nil {
		t.Error("they ended")
	}
}

func TestWithoutOption(t *testing.T) {
	got := withoutOption([]string{"-confdir", "a", "--x", "--confdir=b", "confdir", "--confdirs", "--confdir"}, "confdir")
	if want := []string{"--x", "confdir", "--confdirs"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
