package client

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"massive-passive/client/outbox"
	"massive-passive/internal/disk/disktest"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
)

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
	file := filepath.Join(o.StateDir, outbox.StateFile)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disktest.TakeAway(t, file)
	var log bytes.Buffer
	c, err := New(o, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.runner.Close() }()
	if !strings.Contains(log.String(), "input/output error") {
		t.Errorf("it says %s", log.String())
	}
	if err := c.outbox.State.AddModern("a"); err != nil || !c.outbox.State.Modern("a") {
		t.Errorf("not known for this run: %v", err)
	}
	if to, err := os.Readlink(file); err != nil || to != "/proc/self/mem" {
		t.Errorf("the file that could not be read was replaced: %q, %v", to, err)
	}
}
