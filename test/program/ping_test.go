package program

import (
	"massive-passive/test/rig"

	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPing(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	ping := func(server string) (int, string) {
		code, stdout, stderr := rig.Program(t, "", "massive-passive-client", append([]string{"--ping", server}, p.ClientArgs...)...)
		return code, stdout + stderr
	}
	server := fmt.Sprint("127.0.0.1:", p.Port)
	for _, x := range []struct {
		server string
		code   int
		says   string
	}{
		{server, 0, server + " takes results, version "},
		{"core=" + server, 0, " ms, welcome "},
		{fmt.Sprint("127.0.0.1:", rig.UnusedPort(t)), 1, "refused the connection"},
		{"127.0.0.1:port", 2, "--ping"},
	} {
		if code, said := ping(x.server); code != x.code || !strings.Contains(said, x.says) {
			t.Errorf("%s: exit code %d, %q", x.server, code, said)
		}
	}
	if err := os.Remove(filepath.Join(p.Set.AllowedDir, "client-1.pem")); err != nil {
		t.Fatal(err)
	}
	p.Server.Stop()
	p.StartServer()
	p.AwaitPort()
	if code, said := ping(server); code != 1 || !strings.Contains(said, "does not list your certificate") {
		t.Errorf("not listed: exit code %d, %q", code, said)
	}
}

// A result that is sent by hand is told to have arrived, and where.
func TestOnceSendSaysWhereItWent(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	server := fmt.Sprint("127.0.0.1:", p.Port)
	file := filepath.Join(t.TempDir(), "once.cfg")
	text := fmt.Sprintf(`{"check_description": "d", "check_hostname": "h", "check_type": "service_check", "interval": 5, "command": "echo fine", "servers": {"core": %q}}`, server)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := rig.Program(t, "", "massive-passive-client", append([]string{"--once", file, "--send"}, p.ClientArgs...)...)
	if want := "sent to: core (" + server + ")\n"; code != 0 || !strings.HasSuffix(stdout, want) {
		t.Errorf("%d, %q, %q, want %q", code, stdout, stderr, want)
	}
}
