package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/disk/disktest"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
)

func TestModernServersOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		m, err := loadModernServers(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"monitor.example.org", "second with a blank"} {
			if m.has(name) != (run > 0) {
				t.Errorf("run %d: %q is known: %v", run, name, m.has(name))
			}
			if err := m.add(name); err != nil {
				t.Fatal(err)
			}
		}
		if m.has("monitor") {
			t.Error("a part of a name is known")
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "modern-servers"))
	if want := "monitor.example.org\nsecond with a blank\n"; err != nil || string(data) != want {
		t.Errorf("the file holds %q, %v", data, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestModernServersThatCannotBeKept(t *testing.T) {
	if _, err := loadModernServers("/dev/null"); err == nil {
		t.Error("an unreadable file was taken for none")
	}
	m, err := loadModernServers(filepath.Join(t.TempDir(), "gone"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.add("a"); err == nil || !m.has("a") {
		t.Errorf("not kept: %v; known for this run: %v", err, m.has("a"))
	}
}

// The check that would report a failing disk must not be silenced by it.
func TestAClientStartsWhereItsDiskFails(t *testing.T) {
	synctest.Test(t, aClientStartsWhereItsDiskFails)
}

func aClientStartsWhereItsDiskFails(t *testing.T) {
	o := DefaultOptions()
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	o.SSLCACert, o.SSLCert, o.SSLKey = set.CA, set.ClientCert, set.ClientKey
	o.StateDir, o.ConfDirs = t.TempDir(), []string{t.TempDir()}
	file := filepath.Join(o.StateDir, "modern-servers")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disktest.TakeAway(t, file)
	var log bytes.Buffer
	c, err := New(o, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer c.outbox.journal.Load().Close()
	if !strings.Contains(log.String(), "input/output error") {
		t.Errorf("it says %s", log.String())
	}
	if err := c.modern.add("a"); err != nil || !c.modern.has("a") {
		t.Errorf("not known for this run: %v", err)
	}
	if to, err := os.Readlink(file); err != nil || to != "/proc/self/mem" {
		t.Errorf("the file that could not be read was replaced: %q, %v", to, err)
	}
}

func TestAStateFileThatIsAwayForAMomentIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m, err := loadModernServers(dir)
		if err == nil {
			err = m.add("a")
		}
		if err != nil {
			t.Fatal(err)
		}
		disktest.TakeAwayFor(t, time.Second, filepath.Join(dir, "modern-servers"))
		if m, err = loadModernServers(dir); err != nil || !m.has("a") {
			t.Errorf("known: %v, %v", m.has("a"), err)
		}
	})
}
