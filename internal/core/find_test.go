package core

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// process lays out what /proc shows of one.
func process(t *testing.T, proc, pid, cwd string, words ...string) {
	t.Helper()
	dir := filepath.Join(proc, pid)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cmdline"), strings.Join(words, "\x00")+"\x00")
	if cwd != "" {
		if err := os.Symlink(cwd, filepath.Join(dir, "cwd")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheConfigurationOfRunningCoresIsFound(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, "1", "", "/sbin/init")
	process(t, proc, "20", "", "/usr/sbin/nagios4", "/etc/nagios4/nagios.cfg")
	process(t, proc, "21", "", "/usr/sbin/nagios4", "--worker", "/var/lib/nagios4/rw/nagios.qh")
	process(t, proc, "22", "", "/usr/sbin/nagios4", "-d", "/etc/nagios4/nagios.cfg") // the same, as a daemon
	process(t, proc, "23", "/etc", "naemon", "--daemon", "naemon/naemon.cfg")
	process(t, proc, "24", "", "naemon", "elsewhere.cfg") // where is not to be seen
	process(t, proc, "25", "", "vim", "/etc/nagios3/nagios.cfg")
	process(t, proc, "26", "", "nagios", "--help")
	process(t, proc, "27", "", "nagios")
	process(t, proc, "28", "")
	process(t, proc, "self", "", "nagios", "/self")
	want := []string{"/etc/nagios4/nagios.cfg", "/var/lib/nagios4/rw/nagios.qh", "/etc/naemon/naemon.cfg"}
	me := uint32(os.Geteuid())
	if got := runningConfigs(proc, me); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := runningConfigs(proc, me+1); len(got) > 0 {
		t.Errorf("of another user's processes %q are taken", got)
	}
}

// A configuration is the core's only if it names the very pipe.
func TestAnothersConfigurationIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	pipe, other, link := filepath.Join(dir, "nagios.cmd"), filepath.Join(dir, "other.cmd"), filepath.Join(dir, "link")
	for _, p := range []string{pipe, other} {
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "other.cfg"), "command_file="+other+"\nobject_cache_file=/other\n")
	write(t, filepath.Join(dir, "its.cfg"), "command_file="+filepath.Join(link, "nagios.cmd")+"\nobject_cache_file=/its\n")
	files := []string{"/nowhere", pipe, filepath.Join(dir, "other.cfg"), filepath.Join(dir, "its.cfg")}
	if c, ok := configFor(pipe, files); !ok || c.ObjectCache != "/its" {
		t.Errorf("taken was %+v, %v", c, ok)
	}
	if c, ok := configFor(pipe, files[:3]); ok {
		t.Errorf("taken was another's: %+v", c)
	}
	if _, ok := Find(filepath.Join(dir, "its.cfg")); ok {
		t.Error("a core was found that reads a regular file")
	}
}
