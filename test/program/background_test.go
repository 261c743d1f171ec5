package program

import (
	"massive-passive/test/rig"

	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// background is a server that went into the background.
type background struct {
	*rig.Pair
	pidfile, logfile string
	args             []string
}

func newBackground(t *testing.T, more ...string) *background {
	t.Helper()
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	b := &background{Pair: p, pidfile: filepath.Join(p.Dir, "pid"), logfile: filepath.Join(p.Dir, "log")}
	b.args = append(append(p.ServerArgs, "--pidfile", b.pidfile, "--logfile", b.logfile), more...)
	return b
}

// start starts the server as an init script does, and returns its number.
func (b *background) Start() int {
	b.T.Helper()
	code, stdout, stderr := rig.Program(b.T, "", "massive-passive-server", b.args...)
	if code != 0 || stdout != "" {
		b.T.Fatalf("exit code %d, %q, %q\n%s", code, stdout, stderr, rig.ReadFile(b.T, b.logfile))
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(rig.ReadFile(b.T, b.pidfile))))
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { b.end(pid, syscall.SIGKILL) })
	return pid
}

// end waits for a process that is nobody's child here.
func (b *background) end(pid int, signal syscall.Signal) {
	b.T.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it is gone
	}
	defer unix.Close(fd)
	syscall.Kill(pid, signal)
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 20_000); n != 1 {
		b.T.Errorf("process %d did not end by %v: %v\n%s", pid, signal, err, rig.ReadFile(b.T, b.logfile))
	}
}

func (b *background) awaitLog(path, text string) {
	b.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(string(rig.ReadFile(b.T, path)), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.T.Fatalf("%s does not say %q:\n%s", path, text, rig.ReadFile(b.T, path))
		}
	}
}

func TestBackground(t *testing.T) {
	b := newBackground(t)
	pid := b.Start()
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", b.Port)) // the start was reported after the port was open
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for _, link := range []struct{ name, want string }{{"cwd", "/"}, {"fd/0", "/dev/null"}, {"fd/1", "/dev/null"}, {"fd/2", "/dev/null"}} {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link.name)); err != nil || to != link.want {
			t.Errorf("%s is %q, %v", link.name, to, err)
		}
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("session %d, %v", session, err)
	}
	code, _, stderr := rig.Program(t, "", "massive-passive-server", b.args...)
	if code != 1 || !strings.Contains(stderr, fmt.Sprintf("already running as process %d", pid)) {
		t.Errorf("a second start: %d, %q", code, stderr)
	}
	b.end(pid, syscall.SIGTERM)
	b.awaitLog(b.logfile, `"stopped"`)
	if _, err := os.Lstat(b.pidfile); !os.IsNotExist(err) {
		t.Errorf("the pidfile was left: %v", err)
	}
	b.end(b.Start(), syscall.SIGKILL) // leaves its pidfile
	if len(rig.ReadFile(t, b.pidfile)) == 0 {
		t.Fatal("a killed server has no pidfile")
	}
	b.end(b.Start(), syscall.SIGTERM)
}

// A client that is killed while it starts a plugin leaves a child behind that has its lock for another moment.
func TestAPidfileThatAKilledProcessesChildHasLocked(t *testing.T) {
	b := newBackground(t)
	killed := exec.Command("true")
	if err := killed.Run(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(b.pidfile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, killed.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	let := time.AfterFunc(300*time.Millisecond, func() { f.Close() })
	defer let.Stop()
	b.end(b.Start(), syscall.SIGTERM)
}

// What goes wrong in the background is told to who started it.
func TestFailedStartsInTheBackgroundAreReported(t *testing.T) {
	other := newBackground(t)
	other.Start()
	b := newBackground(t)
	dir := t.TempDir()
	link, foreign := filepath.Join(dir, "link"), filepath.Join(dir, "foreign")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, []byte("root:x:0:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--port", "0"}, 2, "--port"},
		{[]string{"--loglevel", "loud"}, 2, "loud"},
		{[]string{"--user", "nobody-of-that-name"}, 2, "nobody-of-that-name"},
		{[]string{"--group", "none-of-that-name"}, 2, "none-of-that-name"},
		{[]string{"--listen", fmt.Sprint("127.0.0.1:", other.Port)}, 1, "another program"},
		{[]string{"--ssl-key", foreign}, 1, "no private key"},
		{[]string{"--pidfile", link}, 1, "symbolic link"},
		{[]string{"--pidfile", foreign}, 1, "something else than a process's number"},
		{[]string{"--pidfile", filepath.Join(dir, "no", "pid")}, 1, "no such file"},
		{[]string{"--logfile", link}, 1, "symbolic link"},
		{[]string{"--logfile", dir}, 1, "directory"},
		{[]string{"--sink", "stdout:"}, 2, "needs --foreground"},
	} {
		code, _, stderr := rig.Program(t, "", "massive-passive-server", append(b.args, x.args...)...)
		if code != x.code || !strings.Contains(stderr, x.says) || strings.Count(stderr, "massive-passive-server: ") != 1 {
			t.Errorf("%q: exit code %d, %q", x.args, code, stderr)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "target")); err == nil {
		t.Error("something was made through a symbolic link")
	}
	if got := string(rig.ReadFile(t, foreign)); got != "root:x:0:0\n" {
		t.Errorf("a file that is no pidfile now holds %q", got)
	}
}

// Paths are meant from where the caller stands, though the process works in /.
func TestBackgroundTakesRelativePaths(t *testing.T) {
	b := newBackground(t)
	for i, arg := range b.args {
		if rest, inside := strings.CutPrefix(arg, b.Dir+"/"); inside {
			b.args[i] = rest
		}
	}
	cmd := exec.Command(rig.LinkTo(t, "massive-passive-server"), b.args...)
	cmd.Dir = b.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(rig.ReadFile(t, b.pidfile))))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGHUP)
	b.awaitLog(b.logfile, "read the directory of allowed clients")
	b.end(pid, syscall.SIGTERM)
	if strings.Contains(string(rig.ReadFile(t, b.logfile)), `"level":"error"`) {
		t.Errorf("%s", rig.ReadFile(t, b.logfile))
	}
}

func TestTheLogFollowsItsRotation(t *testing.T) {
	b := newBackground(t)
	pid := b.Start()
	if info, err := os.Stat(b.logfile); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Rename(b.logfile, b.logfile+".1"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // by itself
		if _, err := os.Stat(b.logfile); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log was not opened anew")
		}
	}
	syscall.Kill(pid, syscall.SIGUSR1)
	b.awaitLog(b.logfile, "massive-passive server: OK")
	if err := os.Rename(b.logfile, b.logfile+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(b.Dir, "elsewhere"), b.logfile); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGHUP)
	b.awaitLog(b.logfile+".2", "goes on in the old file")
	if _, err := os.Stat(filepath.Join(b.Dir, "elsewhere")); err == nil {
		t.Error("the log was made through a symbolic link")
	}
}

// SIGHUP has the server read allowed clients and certificates again.
func TestHangupReloadsTheServer(t *testing.T) {
	b := newBackground(t)
	pid := b.Start()
	if err := os.WriteFile(b.Set.ServerCert, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGHUP)
	b.awaitLog(b.logfile, "the old ones stay in use")
	b.awaitLog(b.logfile, "read the directory of allowed clients")
}

func TestBecomingAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		code, _, stderr := rig.Program(t, "", "massive-passive-server", "--user", "root")
		if code != 2 || !strings.Contains(stderr, "only root") {
			t.Errorf("exit code %d, %q", code, stderr)
		}
		return
	}
	b := newBackground(t, "--user", "nobody", "--group", "daemon")
	for _, path := range []string{filepath.Dir(b.Set.AllowedDir), b.Set.AllowedDir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pid := b.Start()
	status := string(rig.ReadFile(t, fmt.Sprintf("/proc/%d/status", pid)))
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "Gid:\t1\t1\t1\t1", "CapEff:\t0000000000000000"} {
		if !strings.Contains(status, want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	if strings.Contains(status, "Groups:\t0") {
		t.Errorf("root's groups stayed:\n%s", status)
	}
	info, err := os.Stat(filepath.Join(b.Dir, "server"))
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("the state directory: %+v, %v", info.Sys(), err)
	}
}
