package rig

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// PeersDir is where .ci/setup unpacks the programs of NSCA and NSCA-ng.
func PeersDir() string {
	if dir := os.Getenv("PEERS_DIR"); dir != "" {
		return dir
	}
	return "/var/cache/massive-passive/peers"
}

// startPeer starts a server of another project, which ends with the test.
func startPeer(t testing.TB, port int, program string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(PeersDir(), program), args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run .ci/setup", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%.5000s", program, log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", program, err, log.String())
		}
	}
}

// WriteFile writes a file in a directory of its own.
func WriteFile(t testing.TB, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// StartNSCA starts NSCA's server for a core and returns its port.
func StartNSCA(t testing.TB, c *Core) (port int) {
	t.Helper()
	port = UnusedPort(t)
	dir := t.TempDir()
	startPeer(t, port, "nsca/usr/sbin/nsca", "-f", "--single", "-c", WriteFile(t, "nsca.cfg", fmt.Sprintf("server_address=127.0.0.1\nserver_port=%d\n"+
		"command_file=%s\nalternate_dump_file=%s/dump\npid_file=%s/pid\npassword=secret\ndecryption_method=1\ndebug=0\nmax_packet_age=30\n", port, c.Path, dir, dir)))
	return port
}

// StartNSCANG starts NSCA-ng's server for a core and returns its port.
func StartNSCANG(t testing.TB, c *Core) (port int) {
	t.Helper()
	port = UnusedPort(t)
	startPeer(t, port, "nsca-ng-server/usr/sbin/nsca-ng", "-F", "-S", "-c", WriteFile(t, "nsca-ng.cfg", fmt.Sprintf("command_file = \"%s\"\n"+
		"listen = \"127.0.0.1:%d\"\nlog_level = 2\ntemp_directory = \"%s\"\nauthorize \"*\" {\n password = \"secret\"\n hosts = \".*\"\n services = \".*\"\n commands = \".*\"\n}\n",
		c.Path, port, t.TempDir())))
	return port
}

const (
	ConfigNSCA   = "password=secret\nencryption_method=1\n"
	ConfigNSCANG = "identity = \"web1\"\npassword = \"secret\"\n"
)
