package program

import (
	"massive-passive/test/rig"

	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What the pki command makes is what server and send take, through the real
// main of each.
func TestPKISetUpDelivers(t *testing.T) {
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	serverDir, clientDir, archive := filepath.Join(p.Dir, "S"), filepath.Join(p.Dir, "C"), filepath.Join(p.Dir, "web1.tar")
	for _, args := range [][]string{
		{"init", serverDir, "--server", "localhost,127.0.0.1"},
		{"client", "web1", "--dir", serverDir, "--bundle", archive},
		{"install", archive, "--dir", clientDir},
	} {
		if code, _, stderr := rig.Program(t, "", "massive-passive-pki", args...); code != 0 {
			t.Fatalf("%q: exit code %d, %s", args, code, stderr)
		}
	}
	for n, arg := range p.ServerArgs {
		if name, ok := strings.CutPrefix(arg, p.Dir+"/"); ok && (strings.Contains(name, "ssl") || strings.HasPrefix(name, "allowed")) {
			p.ServerArgs[n] = filepath.Join(serverDir, name)
		}
	}
	p.StartServer()
	p.AwaitPort()
	path := func(name string) string { return filepath.Join(clientDir, name) }
	code, _, stderr := rig.Program(t, "h\ts\t0\tby its own CA", "massive-passive-send", "--server", fmt.Sprint("127.0.0.1:", p.Port),
		"--ssl-ca-cert", path("massive-passive-ssl-ca.cert"), "--ssl-cert", path("massive-passive-client-ssl.cert"), "--ssl-key", path("massive-passive-client-ssl.key"))
	if code != 0 {
		t.Fatalf("send: exit code %d, %s", code, stderr)
	}
	c.Await(";h;s;0;by its own CA")
	for _, x := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"init", serverDir}, 1, "--force"},
		{[]string{"bogus"}, 2, "bogus"},
		{[]string{"client", "--dir", serverDir}, 2, "NAME"},
	} {
		if code, stdout, stderr := rig.Program(t, "", "massive-passive-pki", x.args...); code != x.code || !strings.Contains(stderr, x.says) || stdout != "" {
			t.Errorf("%q: exit code %d\n%s\n%s", x.args, code, stdout, stderr)
		}
	}
}
