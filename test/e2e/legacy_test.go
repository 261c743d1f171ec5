//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire/certs/certstest"
)

// What stands for version 0.3.9 here is written from what is known of it, with
// OpenSSL's own programs as its TLS; nothing of wire/legacy is used.

// tlsVersions are OpenSSL's options for them, oldest first.
var tlsVersions = []string{"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"}

// anyCipher lets OpenSSL of today speak as that of 2013.
const anyCipher = "ALL:@SECLEVEL=0"

// oldCertificates makes what the README of 0.3.9 had people make: RSA keys, and
// names in the subject only.
func oldCertificates(t *testing.T) certstest.Set {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	s := certstest.Set{CA: path("ca.cert"), ServerCert: path("server.cert"), ServerKey: path("server.key"),
		ClientCert: path("client.cert"), ClientKey: path("client.key"), AllowedDir: path("allowed")}
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=old CA", "-keyout", path("ca.key"), "-out", s.CA)
	for name, files := range map[string][2]string{"monitor": {s.ServerKey, s.ServerCert}, "web1": {s.ClientKey, s.ClientCert}} {
		openssl(t, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN="+name, "-keyout", files[0], "-out", path("csr"))
		openssl(t, "x509", "-req", "-in", path("csr"), "-CA", s.CA, "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2", "-out", files[1])
	}
	if err := os.Mkdir(s.AllowedDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.AllowedDir, "web1.pem"), rig.ReadFile(t, s.ClientCert), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

// oldPair is a server and a client with such certificates.
func oldPair(t *testing.T, c *rig.Core) *rig.Pair {
	t.Helper()
	p := rig.NewPair(t, c.Path, "nagios")
	p.Set = oldCertificates(t)
	p.ServerArgs = append(p.ServerArgs, "--ssl-ca-cert", p.Set.CA, "--ssl-cert", p.Set.ServerCert, "--ssl-key", p.Set.ServerKey,
		"--allowed-client-cert-dir", p.Set.AllowedDir)
	p.ClientArgs = append(p.ClientArgs, "--ssl-ca-cert", p.Set.CA, "--ssl-cert", p.Set.ClientCert, "--ssl-key", p.Set.ClientKey, "--ssl-verify", "ca")
	return p
}

// mime is base64 as Python's base64 module wraps it.
func mime(text string) string {
	var b strings.Builder
	for all := base64.StdEncoding.EncodeToString([]byte(text)); len(all) > 0; {
		n := min(76, len(all))
		b.WriteString(all[:n] + "\n")
		all = all[n:]
	}
	return b.String()
}

// oldClient is openssl s_client with the client's certificate.
func oldClient(p *rig.Pair, args ...string) *exec.Cmd {
	return exec.Command("openssl", append([]string{"s_client", "-connect", fmt.Sprint("127.0.0.1:", p.Port), "-cert", p.Set.ClientCert,
		"-key", p.Set.ClientKey, "-CAfile", p.Set.CA, "-verify_return_error", "-quiet", "-no_ign_eof"}, args...)...)
}

func oldResultLine(output string) string {
	return fmt.Sprintf("[%d] PROCESS_SERVICE_CHECK_RESULT;web1;old;0;%s\n", time.Now().Unix(), output)
}

func TestE2ELegacyClients(t *testing.T) {
	c := rig.NewCore(t)
	p := oldPair(t, c)
	p.ServerArgs = append(p.ServerArgs, "--tls-min-version", "1.0")
	p.StartServer()
	p.AwaitPort()
	for _, version := range tlsVersions {
		t.Run(version[1:], func(t *testing.T) {
			newer := mime(oldResultLine("newer " + version))
			cmd := oldClient(p, version, "-cipher", anyCipher)
			cmd.Stdin = strings.NewReader(fmt.Sprintf("%d %s", len(newer), newer))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			c.Await(";web1;old;0;newer " + version)
			text := oldResultLine("older "+version) + oldResultLine("and another")
			if got, want := converse(t, oldClient(p, version, "-cipher", anyCipher), mime(text)), fmt.Sprintf("OK %d bytes received and written.\n", len(text)); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			c.Await(";web1;old;0;older " + version)
			c.Await(";web1;old;0;and another")
		})
	}
	for _, version := range tlsVersions[:3] { // RSA key exchange: there is none in TLS 1.3
		text := mime(oldResultLine("RSA key exchange " + version))
		cmd := oldClient(p, version, "-cipher", "AES128-SHA:@SECLEVEL=0")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("%d %s", len(text), text))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", version, err, out)
		}
		c.Await("RSA key exchange " + version)
	}
}

// converse sends a message of the older form and returns its answer.
func converse(t *testing.T, cmd *exec.Cmd, message string) string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	patience := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer patience.Stop()
	if _, err := io.WriteString(stdin, message); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	stdin.Close()
	cmd.Wait()
	answer, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("answer %q: %v", line, err)
	}
	return string(answer)
}

// What is refused names the option that allows it.
func TestE2ELegacyClientsThatAreRefused(t *testing.T) {
	c := rig.NewCore(t)
	p := oldPair(t, c)
	for _, args := range [][]string{{"-tls1", "-cipher", anyCipher}, {"-tls1_1", "-cipher", anyCipher}, {"-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"}} {
		p.StartServer() // one that runs tells of the same fault of an address once a minute
		p.AwaitPort()
		cmd := oldClient(p, args...)
		cmd.Stdin = strings.NewReader("8 QUFBCg==")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%q was let in: %s", args, out)
		}
		awaitWords(t, p.Server, 0, "refused a connection", "--tls-min-version")
		p.Server.Stop()
	}
	p.ServerArgs = append(p.ServerArgs, "--legacy=false")
	p.StartServer()
	p.AwaitPort()
	cmd := oldClient(p, "-tls1_3")
	cmd.Stdin = strings.NewReader("8 QUFBCg==")
	cmd.Run() // s_client has no opinion on how the connection ended
	awaitWords(t, p.Server, 0, "refused a connection", "--legacy=false", "web1")
}

// Certificates signed with SHA-1 cannot be let in: both ends say so.
func TestE2ELegacySHA1(t *testing.T) {
	p := oldPair(t, rig.NewCore(t))
	key, dir := filepath.Join(filepath.Dir(p.Set.CA), "ca.key"), t.TempDir()
	for name, private := range map[string]string{"client": p.Set.ClientKey, "server": p.Set.ServerKey} {
		openssl(t, "req", "-new", "-key", private, "-subj", "/CN="+name, "-out", filepath.Join(dir, "csr"))
		openssl(t, "x509", "-req", "-sha1", "-in", filepath.Join(dir, "csr"), "-CA", p.Set.CA, "-CAkey", key, "-CAcreateserial", "-days", "2", "-out", filepath.Join(dir, name))
	}
	p.StartServer()
	p.AwaitPort()
	good := p.Set
	p.Set.ClientCert = filepath.Join(dir, "client")
	cmd := oldClient(p, "-tls1_2", "-cipher", anyCipher)
	cmd.Stdin = strings.NewReader("8 QUFBCg==")
	cmd.Run() // that it is refused, the log says
	awaitWords(t, p.Server, 0, "refused a connection", "signed with SHA1-RSA")
	p.Server.Stop()
	p.Set = good
	p.Set.ServerCert = filepath.Join(dir, "server")
	startOldServer(t, p, "-tls1_2", "-cipher", anyCipher)
	code, _, stderr := rig.Program(t, "h\ts\t1\tx\n", "massive-passive-send", "--server", fmt.Sprint("127.0.0.1:", p.Port),
		"--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA, "--ssl-verify", "ca")
	if code != 2 || !strings.Contains(stderr, "signed with SHA1-RSA") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// awaitWords waits for a line of a daemon's log, behind the first from bytes.
func awaitWords(t *testing.T, d *rig.Daemon, from int, parts ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(d.Words()[from:]) {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(line, part)
			}
			if all {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line of the log says %q:\n%s", parts, d.Words()[from:])
		}
	}
}

// oldServer is openssl s_server: it shows what comes, and closes in order
// behind its client.
type oldServer struct {
	mu  sync.Mutex
	got bytes.Buffer
}

func (s *oldServer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func startOldServer(t *testing.T, p *rig.Pair, args ...string) *oldServer {
	t.Helper()
	s := &oldServer{}
	cmd := exec.Command("openssl", append([]string{"s_server", "-accept", fmt.Sprint("127.0.0.1:", p.Port), "-cert", p.Set.ServerCert,
		"-key", p.Set.ServerKey, "-CAfile", p.Set.CA, "-Verify", "1", "-verify_return_error", "-quiet", "-no_ign_eof"}, args...)...)
	stdin, err := cmd.StdinPipe() // s_server ends where its input does
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = s
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); stdin.Close() })
	p.AwaitPort()
	return s
}

var newerForm = regexp.MustCompile(`^(\d+) `)

// messages decodes what came.
func (s *oldServer) messages() (list []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := s.got.String(); rest != ""; {
		m := newerForm.FindStringSubmatch(rest)
		if m == nil {
			return list, fmt.Errorf("%.100q is no message of the newer form", rest)
		}
		n, _ := strconv.Atoi(m[1])
		if rest = rest[len(m[0]):]; len(rest) < n {
			return list, nil // not all of it is here
		}
		text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rest[:n], "\n", ""))
		if err != nil || mime(string(text)) != rest[:n] {
			return list, fmt.Errorf("%.100q is not base64 as Python's module wraps it: %v", rest[:n], err)
		}
		list, rest = append(list, string(text)), rest[n:]
	}
	return list, nil
}

func (s *oldServer) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		list, err := s.messages()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if strings.Contains(m, text) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no message with %q: %q", text, list)
		}
	}
}

func TestE2ELegacyServers(t *testing.T) {
	for _, version := range tlsVersions {
		t.Run(version[1:], func(t *testing.T) {
			p := oldPair(t, rig.NewCore(t))
			s := startOldServer(t, p, version, "-cipher", anyCipher)
			ssl := []string{"--server", fmt.Sprint("127.0.0.1:", p.Port), "--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA}
			code, _, stderr := rig.Program(t, "h\ts\t1\tx\n", "massive-passive-send", append(ssl, "--tls-min-version", "1.0")...)
			if code != 2 || !strings.Contains(stderr, "--ssl-verify=ca") {
				t.Errorf("a certificate without names: exit code %d, %q", code, stderr)
			}
			if code, _, stderr = rig.Program(t, "h\ts\t1\tx\n", "massive-passive-send", append(ssl, "--ssl-verify", "ca")...); version < "-tls1_2" {
				if code == 0 || !strings.Contains(stderr, "--tls-min-version=1.0") {
					t.Errorf("an old TLS: exit code %d, %q", code, stderr)
				}
			} else if code != 0 {
				t.Errorf("exit code %d, %q", code, stderr)
			}
			code, stdout, stderr := rig.Program(t, "web1\tsent\t1\tfirst\nsecond\\\n", "massive-passive-send", append(ssl, "--ssl-verify", "ca", "--tls-min-version", "1.0")...)
			if code != 0 || stdout != "1 data packet(s) sent to host successfully.\n" || stderr != "" {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
			s.await(t, `] PROCESS_SERVICE_CHECK_RESULT;web1;sent;1;first\nsecond\\`+"\n")
			p.AddCheck("old", map[string]any{"check_description": "ran", "check_hostname": "web1", "check_type": "service_check",
				"interval": 0.5, "command": "/bin/echo for an old server"})
			p.ClientArgs = append(p.ClientArgs, "--tls-min-version", "1.0")
			p.StartClient()
			s.await(t, ";web1;ran;0;for an old server\n")
		})
	}
}
