package program

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/sender"
	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
)

// mute is a server that listens and does with each connection what talk does,
// which gets it before the TLS handshake.
func mute(t *testing.T, talk func(net.Conn)) (address string, l net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talk(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), l
}

// TestSendTellsWhatBecameOfIt holds the exit code and the line on standard
// error to what happened to the result.
func TestSendTellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	there := fmt.Sprint("127.0.0.1:", p.Port)
	silent, _ := mute(t, func(conn net.Conn) { t.Cleanup(func() { conn.Close() }) })
	end, err := certs.Load(certs.Files{Cert: p.Set.ServerCert, Key: p.Set.ServerKey, CA: p.Set.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := certs.ServerConfig(end, tls.RequireAndVerifyClientCert, wire.ALPN)
	config.NextProtos = []string{wire.ALPN}
	var vanishing net.Listener
	vanishes, vanishing := mute(t, func(conn net.Conn) { // takes what comes, and is gone for good
		secured := tls.Server(conn, config)
		secured.Read(make([]byte, 1))
		vanishing.Close()
		conn.Close()
	})
	mutes, _ := mute(t, func(conn net.Conn) { // takes what comes, and says nothing
		secured := tls.Server(conn, config)
		secured.Read(make([]byte, 1))
		t.Cleanup(func() { conn.Close() })
	})
	away := fmt.Sprint("127.0.0.1:", rig.UnusedPort(t)) // after all others have theirs
	const good, command = "h\ts\t0\tfine", "[7] DISABLE_NOTIFICATIONS\n"
	for _, x := range []struct {
		name   string
		stdin  string
		args   []string
		code   int
		stderr []string
	}{
		{"nobody listens", good, []string{"--server", away}, sender.ExitNotSent, []string{"1 of 1 results not sent: " + away + " refused the connection"}},
		{"a port that says nothing", good, []string{"--server", silent}, sender.ExitNotSent, []string{"1 of 1 results not sent: " + silent + " did not answer in time"}},
		{"a server that dies with it", good, []string{"--server", vanishes}, sender.ExitUnknown, []string{"1 of 1 results sent without an answer", vanishes}},
		{"a server that takes it and is mute", good, []string{"--server", mutes}, sender.ExitUnknown, []string{"1 of 1 results sent without an answer", "did not answer in time"}},
		{"what this client may not send", command, []string{"--server", there, "-C"}, sender.ExitRefused, []string{"1 of 1 results refused", "DISABLE_NOTIFICATIONS"}},
		{"one there, one away", good, []string{"--server", there, "--server", away}, sender.ExitNotSent, []string{"to " + away + ": 1 of 1 results not sent: " + away, "; " + there + " has all of them"}},
		{"one mute, one there", good, []string{"--server", mutes, "--server", there}, sender.ExitUnknown, []string{"to " + mutes + ": 1 of 1 results sent without an answer", "; " + there + " has all of them"}},
		{"one away, one mute", good, []string{"--server", away, "--server", mutes}, sender.ExitUnknown, []string{"not sent: " + away, "without an answer"}},
	} {
		args := append([]string{"--timeout", "1.5", "--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA}, x.args...)
		code, stdout, stderr := rig.Program(t, x.stdin, "massive-passive-send", args...)
		if code != x.code || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d\nstdout %q\nstderr %q", x.name, code, stdout, stderr)
		}
		for _, part := range x.stderr {
			if !strings.Contains(stderr, part) {
				t.Errorf("%s: no %q in %q", x.name, part, stderr)
			}
		}
	}
	if err := os.Remove(filepath.Join(p.Set.AllowedDir, "client-1.pem")); err != nil {
		t.Fatal(err)
	}
	p.Server.Stop()
	p.StartServer()
	p.AwaitPort()
	code, _, stderr := rig.Program(t, good, "massive-passive-send", "--server", there, "--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA)
	if code != sender.ExitRefused || !strings.Contains(stderr, "1 of 1 results refused: ") || !strings.Contains(stderr, "allowed-client-cert.d") {
		t.Errorf("an unlisted certificate: %d %q", code, stderr)
	}
}

// TestSendThatIsStoppedSaysSo stops one that found nobody to talk to, when it is
// about to try for the second time.
func TestSendThatIsStoppedSaysSo(t *testing.T) {
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	tried := make(chan struct{}, 100)
	address, _ := mute(t, func(conn net.Conn) {
		conn.Close()
		tried <- struct{}{}
	})
	var problems bytes.Buffer
	cmd := exec.Command(rig.LinkTo(t, "massive-passive-send"), "--server", address, "--timeout", "60",
		"--ssl-key", set.ClientKey, "--ssl-cert", set.ClientCert, "--ssl-ca-cert", set.CA)
	cmd.Stdin, cmd.Stderr = strings.NewReader("h\ts\t0\tfine"), &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer killed.Stop()
	for range 2 {
		select {
		case <-tried:
		case <-time.After(20 * time.Second):
			t.Error("it does not try")
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != sender.ExitNotSent || !strings.Contains(problems.String(), "1 of 1 results not sent") {
		t.Errorf("%v\n%s", cmd.ProcessState, problems.String())
	}
}

// TestARefusedConnectionIsTriedAgain: a server that restarts refuses, and a result for it need not be lost.
// Under each name the time-out says for how long.
func TestARefusedConnectionIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	there := fmt.Sprint("127.0.0.1:", p.Port)
	keys := []string{"--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA}
	for _, name := range []string{"massive-passive-send", "send_nsca"} {
		code, _, stderr := rig.Program(t, "h\ts\t0\tx", name, append([]string{"-H", there, "-to", "0"}, keys...)...)
		if code != sender.ExitNotSent || !strings.Contains(stderr, "refused the connection") {
			t.Errorf("%s with one try: exit code %d, %s", name, code, stderr)
		}
		var problems bytes.Buffer
		cmd := exec.Command(rig.LinkTo(t, name), append([]string{"-H", there, "-to", "60"}, keys...)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader("h\ts\t0\tx"), &problems
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			t.Errorf("%s gave up at once: %v, %s", name, err, problems.String())
			continue
		case <-time.After(time.Second): // longer only makes it try more often
		}
		p.StartServer()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v, %s", name, err, problems.String())
		}
		p.Server.Stop()
	}
}

func TestSendWarnsOfAnEmptyOutput(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	for _, quiet := range []bool{false, true} {
		args := []string{"--server", fmt.Sprint("127.0.0.1:", p.Port), "--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA}
		if quiet {
			args = append(args, "--quiet")
		}
		code, _, stderr := rig.Program(t, "host\tservice\t0\t", "massive-passive-send", args...)
		if code != 0 || strings.Contains(stderr, "has an empty output") == quiet {
			t.Errorf("quiet %v: exit code %d, %q", quiet, code, stderr)
		}
	}
}
