package rig

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

	"massive-passive/wire/certs/certstest"
)

// LinkTo makes a symlink to this test binary under a name of the program.
func LinkTo(t testing.TB, name string) string {
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

// Daemon is a server or client in a process of its own.
type Daemon struct {
	T      testing.TB
	Cmd    *exec.Cmd
	Exited chan struct{}
	mu     sync.Mutex
	log    bytes.Buffer
}

func (d *Daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

func (d *Daemon) Words() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

func startDaemon(t testing.TB, name string, args ...string) *Daemon {
	t.Helper()
	return StartWrapped(t, nil, name, args...)
}

// StartWrapped starts a daemon by way of another command that becomes it.
func StartWrapped(t testing.TB, wrap []string, name string, args ...string) *Daemon {
	t.Helper()
	return StartProgram(t, name, slices.Concat(wrap, []string{LinkTo(t, name)}, args))
}

// StartProgram starts a daemon by the words that it takes, but for those that
// every daemon of a test is given behind them.
func StartProgram(t testing.TB, name string, words []string) *Daemon {
	t.Helper()
	d := &Daemon{T: t, Exited: make(chan struct{})}
	words = append(slices.Clone(words), "--foreground", "--log-format", "json")
	d.Cmd = exec.Command(words[0], words[1:]...)
	d.Cmd.Stdout, d.Cmd.Stderr = d, d
	if err := d.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.Cmd.Wait(); close(d.Exited) }()
	t.Cleanup(func() {
		d.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, Ends(d.Words()))
		}
	})
	return d
}

// Ends are the beginning of a long text and its end, where things go wrong.
func Ends(text string) string {
	const first, last = 4000, 16000
	if len(text) <= first+last {
		return text
	}
	return text[:first] + "\n...\n" + text[len(text)-last:]
}

func (d *Daemon) Stop() {
	d.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.Exited:
	case <-time.After(30 * time.Second):
		d.T.Errorf("%s did not stop within 30 s", d.Cmd.Path)
		d.Cmd.Process.Signal(syscall.SIGQUIT) // it says what it does
		select {
		case <-d.Exited:
		case <-time.After(5 * time.Second):
			d.Kill()
		}
	}
}

func (d *Daemon) Signal(s syscall.Signal) {
	d.T.Helper()
	if err := d.Cmd.Process.Signal(s); err != nil {
		d.T.Fatal(err)
	}
}

func (d *Daemon) Kill() {
	d.Cmd.Process.Kill()
	<-d.Exited
}

// Pair is a server and a client with throwaway certificates.
type Pair struct {
	T          testing.TB
	Dir        string
	Set        certstest.Set
	Port       int
	Server     *Daemon
	Client     *Daemon
	ServerArgs []string
	ClientArgs []string
}

func NewPair(t testing.TB, commandFile, dialect string) *Pair {
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
	p := &Pair{T: t, Dir: dir, Set: set, Port: UnusedPort(t)}
	p.ServerArgs = []string{"--listen", fmt.Sprint("127.0.0.1:", p.Port), "--command-file", commandFile, "--dialect", dialect,
		"--ssl-ca-cert", set.CA, "--ssl-cert", set.ServerCert, "--ssl-key", set.ServerKey,
		"--allowed-client-cert-dir", set.AllowedDir, "--state-dir", filepath.Join(dir, "server")}
	p.ClientArgs = []string{"--confdir", filepath.Join(dir, "checks"), "--initial-random-wait-range", "4",
		"--default-servers", fmt.Sprint("core=127.0.0.1:", p.Port), "--state-dir", filepath.Join(dir, "client"),
		"--ssl-ca-cert", set.CA, "--ssl-cert", set.ClientCert, "--ssl-key", set.ClientKey}
	if err := os.Mkdir(filepath.Join(dir, "checks"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Pair) StartServer() { p.Server = startDaemon(p.T, "massive-passive-server", p.ServerArgs...) }

func (p *Pair) StartClient() { p.Client = startDaemon(p.T, "massive-passive-client", p.ClientArgs...) }

// AddCheck writes a check file.
func (p *Pair) AddCheck(name string, keys map[string]any) {
	p.T.Helper()
	data, err := json.Marshal(keys)
	if err != nil {
		p.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "checks", name+".cfg"), data, 0o644); err != nil {
		p.T.Fatal(err)
	}
}

// lastPort is the port that unusedPort gave last. Another run of the tests on this machine begins elsewhere.
var lastPort = func() *atomic.Int32 {
	p := new(atomic.Int32)
	p.Store(10_000 + rand.Int32N(10_000))
	return p
}()

// UnusedPort finds a port on loopback that nobody listens on now, and gives none twice. It is none of those that the
// kernel gives to connections: one of them could have it while a server that is to come back is away.
func UnusedPort(t testing.TB) int {
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

// AwaitPort waits until the server listens.
func (p *Pair) AwaitPort() {
	p.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", p.Port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("the server does not listen: %v\n%s", err, p.Server.Words())
		}
	}
}
