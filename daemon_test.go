package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/app"
	"massive-passive/wire/certs/certstest"
)

// TestMain lets the test binary stand for the program, under each of its
// names: end-to-end tests enter through the real main.
func TestMain(m *testing.M) {
	if slices.Contains(app.Programs(), filepath.Base(os.Args[0])) {
		os.Exit(app.Main(os.Args))
	}
	os.Exit(m.Run())
}

// linkTo makes a symlink to this test binary under a name of the program.
func linkTo(t testing.TB, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// daemon is a server or client in a process of its own.
type daemon struct {
	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{}
	mu     sync.Mutex
	log    bytes.Buffer
}

func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

func (d *daemon) words() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

func startDaemon(t testing.TB, name string, args ...string) *daemon {
	t.Helper()
	return startWrapped(t, nil, name, args...)
}

// startWrapped starts a daemon by way of another command that becomes it.
func startWrapped(t testing.TB, wrap []string, name string, args ...string) *daemon {
	t.Helper()
	return startProgram(t, name, slices.Concat(wrap, []string{linkTo(t, name)}, args))
}

// startProgram starts a daemon by the words that it takes, but for those that
// every daemon of a test is given behind them.
func startProgram(t testing.TB, name string, words []string) *daemon {
	t.Helper()
	d := &daemon{t: t, exited: make(chan struct{})}
	words = append(slices.Clone(words), "--foreground", "--log-format", "json")
	d.cmd = exec.Command(words[0], words[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = d, d
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.cmd.Wait(); close(d.exited) }()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, ends(d.words()))
		}
	})
	return d
}

// ends are the beginning of a long text and its end, where things go wrong.
func ends(text string) string {
	const first, last = 4000, 16000
	if len(text) <= first+last {
		return text
	}
	return text[:first] + "\n...\n" + text[len(text)-last:]
}

func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(30 * time.Second):
		d.t.Errorf("%s did not stop within 30 s", d.cmd.Path)
		d.cmd.Process.Signal(syscall.SIGQUIT) // it says what it does
		select {
		case <-d.exited:
		case <-time.After(5 * time.Second):
			d.kill()
		}
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.exited
}

// pair is a server and a client with throwaway certificates.
type pair struct {
	t          testing.TB
	dir        string
	set        certstest.Set
	port       int
	server     *daemon
	client     *daemon
	serverArgs []string
	clientArgs []string
}

func newPair(t testing.TB, commandFile, dialect string) *pair {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o711); err != nil { // the core reads long results from the spool below it
			t.Fatal(err)
		}
	}
	set, err := certstest.WriteSet(dir, "client-1")
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, dir: dir, set: set, port: unusedPort(t)}
	p.serverArgs = []string{"--listen", fmt.Sprint("127.0.0.1:", p.port), "--command-file", commandFile, "--dialect", dialect,
		"--ssl-ca-cert", set.CA, "--ssl-cert", set.ServerCert, "--ssl-key", set.ServerKey,
		"--allowed-client-cert-dir", set.AllowedDir, "--state-dir", filepath.Join(dir, "server")}
	p.clientArgs = []string{"--confdir", filepath.Join(dir, "checks"), "--initial-random-wait-range", "4",
		"--default-servers", fmt.Sprint("core=127.0.0.1:", p.port), "--state-dir", filepath.Join(dir, "client"),
		"--ssl-ca-cert", set.CA, "--ssl-cert", set.ClientCert, "--ssl-key", set.ClientKey}
	if err := os.Mkdir(filepath.Join(dir, "checks"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) startServer() { p.server = startDaemon(p.t, "massive-passive-server", p.serverArgs...) }
func (p *pair) startClient() { p.client = startDaemon(p.t, "massive-passive-client", p.clientArgs...) }

// addCheck writes a check file.
func (p *pair) addCheck(name string, keys map[string]any) {
	p.t.Helper()
	data, err := json.Marshal(keys)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "checks", name+".cfg"), data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// lastPort is the port that unusedPort gave last. Another run of the tests on this machine begins elsewhere.
var lastPort = func() *atomic.Int32 {
	p := new(atomic.Int32)
	p.Store(10_000 + rand.Int32N(10_000))
	return p
}()

// unusedPort finds a port on loopback that nobody listens on now, and gives none twice. It is none of those that the
// kernel gives to connections: one of them could have it while a server that is to come back is away.
func unusedPort(t testing.TB) int {
	t.Helper()
	for {
		port := int(lastPort.Add(1))
		if port >= ephemeralPorts(t) {
			t.Fatal("no port is left below those that the kernel gives to connections")
		}
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			l.Close()
			return port
		}
	}
}

// ephemeralPorts is where those begin that the kernel gives to connections.
func ephemeralPorts(t testing.TB) (first int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &first)
	}
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// awaitPort waits until the server listens.
func (p *pair) awaitPort() {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", p.port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the server does not listen: %v\n%s", err, p.server.words())
		}
	}
}
