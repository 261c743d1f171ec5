package program

import (
	"massive-passive/test/rig"

	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manages is a service manager, as far as a service sees it.
type manages struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newManager(t *testing.T) *manages {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manages{t, path, conn}
}

// await reads what it is told until that begins with state.
func (m *manages) await(state string) string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for message := make([]byte, 4096); ; {
		n, err := m.conn.Read(message)
		if err != nil {
			m.t.Fatalf("wait for %s: %v", state, err)
		}
		if strings.HasPrefix(string(message[:n]), state) {
			return string(message[:n])
		}
	}
}

func TestServiceManagerIsToldHowItGoes(t *testing.T) {
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("WATCHDOG_USEC", "200000")
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	answers := func(role string) { // as who starts a unit and asks for its state at once sees it
		t.Helper()
		if _, err := os.Stat(filepath.Join(p.Dir, role, "status.sock")); err != nil {
			t.Errorf("the %s said READY, and nobody can ask it: %v", role, err)
		}
	}
	p.StartServer()
	m.await("READY=1")
	answers("server")
	m.await("WATCHDOG=1")
	p.Server.Signal(syscall.SIGHUP)
	if told := m.await("RELOADING=1"); !strings.Contains(told, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q", told)
	}
	m.await("READY=1")
	m.await("WATCHDOG=1")
	p.Server.Signal(syscall.SIGTERM)
	m.await("STOPPING=1")
	<-p.Server.Exited
	p.StartClient()
	m.await("READY=1")
	answers("client")
	p.Client.Signal(syscall.SIGHUP)
	m.await("RELOADING=1")
	m.await("READY=1")
	m.await("WATCHDOG=1")
	p.Client.Signal(syscall.SIGTERM)
	m.await("STOPPING=1")
}

// The server takes a socket that was opened for it, and --listen stays closed.
func TestSocketActivation(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	d := &rig.Daemon{T: t, Exited: make(chan struct{})}
	d.Cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`,
		rig.LinkTo(t, "massive-passive-server"), "--foreground", "--log-format", "json"}, p.ServerArgs...)...)
	d.Cmd.Stdout, d.Cmd.Stderr, d.Cmd.ExtraFiles = d, d, []*os.File{socket}
	if err := d.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.Cmd.Wait(); close(d.Exited) }()
	t.Cleanup(d.Stop)
	l.Close() // now the server alone listens
	code, stdout, stderr := rig.Program(t, "h\ts\t0\tby socket\n", "massive-passive-send", "--server", l.Addr().String(),
		"--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA)
	if code != 0 {
		t.Errorf("exit code %d, %q, %q\n%s", code, stdout, stderr, d.Words())
	}
	if conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", p.Port)); err == nil {
		conn.Close()
		t.Error("the server listens where --listen says as well")
	}
}
