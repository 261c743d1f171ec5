//go:build e2e

package hostile

import (
	"massive-passive/test/rig"

	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// twoHosts are two network namespaces with a cable between them, each with an /etc/massive-passive of its own: for
// the program they are two machines.
type twoHosts struct {
	t              *testing.T
	server, client string // the namespaces
}

const (
	monitorName    = "monitor.pki.test"
	monitorAddress = "198.18.7.1"

	cable = "cable" // the interface in both namespaces
)

func newTwoHosts(t *testing.T) *twoHosts {
	t.Helper()
	id := "mppki" + strconv.Itoa(os.Getpid())
	h := &twoHosts{t, id + "s", id + "c"}
	if err := os.Mkdir("/etc/massive-passive", 0o755); err == nil { // what the namespaces' own is mounted over
		t.Cleanup(func() { os.Remove("/etc/massive-passive") })
	} else if !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	for _, namespace := range []string{h.server, h.client} {
		t.Cleanup(func() {
			exec.Command("ip", "netns", "del", namespace).Run() // one that could not be made is not there
			os.RemoveAll(filepath.Join("/etc/netns", namespace))
			os.Remove("/etc/netns") // unless others use it
		})
		if err := os.MkdirAll(h.etc(namespace), 0o755); err != nil {
			t.Fatal(err)
		}
		h.ip("netns", "add", namespace)
	}
	h.ip("link", "add", cable, "netns", h.server, "type", "veth", "peer", "name", cable, "netns", h.client)
	h.ip("-n", h.server, "addr", "add", monitorAddress+"/24", "dev", cable)
	h.ip("-n", h.client, "addr", "add", "198.18.7.2/24", "dev", cable)
	for _, namespace := range []string{h.server, h.client} {
		h.ip("-n", namespace, "link", "set", cable, "up")
	}
	return h
}

// etc is what `ip netns exec` shows a program in the namespace as /etc/massive-passive.
func (h *twoHosts) etc(namespace string) string {
	return filepath.Join("/etc/netns", namespace, "massive-passive")
}

func (h *twoHosts) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip %q: %v\n%s", args, err, out)
	}
}

func (h *twoHosts) wrap(namespace string) []string { return []string{"ip", "netns", "exec", namespace} }

// pki runs `massive-passive pki` on one of the hosts, where no other program is to be found.
func (h *twoHosts) pki(namespace string, args ...string) string {
	h.t.Helper()
	words := append(append(h.wrap(namespace), rig.LinkTo(h.t, "massive-passive"), "pki"), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = []string{"PATH=/nowhere"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("pki %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// Three commands, with nothing but the binary, take two bare machines to a result in the core; taking the client out
// again takes one more.
func TestE2EPKIThreeCommands(t *testing.T) {
	h := newTwoHosts(t)
	c := rig.NewCore(t)
	dir := t.TempDir()
	archive := filepath.Join(dir, "web1.tar")
	h.pki(h.server, "init", "--server", monitorName+","+monitorAddress)
	said := h.pki(h.server, "client", "web1", "--bundle", archive)
	if !strings.Contains(said, "allowed on this machine's server") {
		t.Errorf("the second command said %q", said)
	}
	h.pki(h.client, "install", archive)

	checks := filepath.Join(h.etc(h.client), "checks.d")
	checkFile := fmt.Sprintf(`{"check_description": "three", "check_hostname": "web1", "check_type": "service_check", "interval": 0.5,
		"command": "/bin/echo by three commands", "servers": {"%s": "%s"}}`, monitorName, monitorAddress)
	if err := errors.Join(os.Mkdir(checks, 0o755), os.WriteFile(filepath.Join(checks, "three.cfg"), []byte(checkFile), 0o644)); err != nil {
		t.Fatal(err)
	}
	server := rig.StartWrapped(t, h.wrap(h.server), "massive-passive-server", "--command-file", c.Path, "--dialect", "nagios", "--state-dir", filepath.Join(dir, "server"))
	client := rig.StartWrapped(t, h.wrap(h.client), "massive-passive-client", "--state-dir", filepath.Join(dir, "client"), "--initial-random-wait-range", "0")
	c.Await(";web1;three;0;by three commands")
	for name, d := range map[string]*rig.Daemon{"server": server, "client": client} {
		if strings.Contains(d.Words(), "not safe") {
			t.Errorf("the %s does not like the files that the three commands made:\n%s", name, d.Words())
		}
	}

	if err := os.Remove(filepath.Join(h.etc(h.server), "allowed-client-cert.d", "web1.pem")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(client.Words(), "does not list your certificate"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the client was not told that it is locked out")
		}
	}
}

// A renegotiation, which Go's own client cannot ask for, is refused, and the next good client served.
func TestE2EPKIRenegotiation(t *testing.T) {
	s := besiege(t, func(*siege) {})
	s.before = s.vitals()
	s.attacks([]attack{{"renegotiation", func(s *siege) {
		set := s.pair.Set
		cmd := exec.Command("openssl", "s_client", "-connect", fmt.Sprint("127.0.0.1:", s.pair.Port), "-tls1_2", "-cert", set.ClientCert,
			"-key", set.ClientKey, "-CAfile", set.CA, "-alpn", "massive-passive/1")
		cmd.Stdin = strings.NewReader("R\n")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "RENEGOTIATING") || !strings.Contains(string(out), "alert unexpected message") {
			s.Errorf("%v: openssl said %s", err, out)
		}
	}}})
}
