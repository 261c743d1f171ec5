package sink

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A core of the test's: the shell under another name, which keeps a pipe open
// and starts a child that outlives it.
type fakeCore struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

const fakeName = "mpwatchtest"

func startCore(t *testing.T, pipe string, script string) *fakeCore {
	t.Helper()
	shell := filepath.Join(t.TempDir(), fakeName)
	binary, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shell, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, "-c", `exec 3<>"$0"; echo up; `+script, pipe, "core.cfg")
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
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	return &fakeCore{t, cmd, stdin}
}

func newPipe(t *testing.T) (string, os.FileInfo) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core.cmd")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, info
}

func TestCoreWatchSeesTheEnd(t *testing.T) {
	path, info := newPipe(t)
	other, _ := newPipe(t)
	core := startCore(t, path, "read line")
	another := startCore(t, other, "read line")
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName, pipe: info}
	defer w.end()
	w.begin(time.Now())
	if len(w.fds) != 1 || w.over() {
		t.Fatalf("watches %d processes, over: %v; want one that runs", len(w.fds), w.over())
	}
	another.cmd.Process.Kill()
	another.cmd.Wait()
	if w.over() {
		t.Error("the end of another core was taken for the core's")
	}
	core.cmd.Process.Kill()
	core.cmd.Wait()
	if !w.over() {
		t.Error("the end of the core was not seen")
	}
	w.begin(time.Now())
	if w.seen() || w.over() {
		t.Error("a core that is gone is watched")
	}
}

// What a killed core leaves behind is watched in its place.
func TestCoreWatchSeesOrphans(t *testing.T) {
	path, info := newPipe(t)
	core := startCore(t, path, `exec 4<&0; (read line <&4) & wait`)
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName, pipe: info}
	defer w.end()
	w.begin(time.Now())
	if len(w.fds) != 1 {
		t.Fatalf("watches %d processes, want the topmost", len(w.fds))
	}
	main := core.cmd.Process
	eventually(t, "the child runs", func() bool { return len(childrenOf(t, main.Pid)) == 1 })
	main.Kill()
	main.Wait()
	if !w.over() {
		t.Error("the end of the main process was not seen")
	}
	w.begin(time.Now())
	if len(w.fds) != 1 || w.over() {
		t.Fatalf("watches %d processes, want the orphan", len(w.fds))
	}
	core.stdin.Close()
	eventually(t, "the end of the orphan", w.over)
}

// childrenOf lists the processes of the core's name whose parent is pid.
func childrenOf(t *testing.T, pid int) []process {
	t.Helper()
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var list []process
	for _, e := range entries {
		var n int
		for _, c := range filepath.Base(e) {
			n = 10*n + int(c-'0')
		}
		if p, ok := w.read(n); ok && p.parent == pid {
			list = append(list, p)
		}
	}
	return list
}

// Without the right to see who holds the pipe, the configuration tells cores apart.
func TestCoreWatchByConfiguration(t *testing.T) {
	path, _ := newPipe(t)
	startCore(t, path, "read line")
	for config, want := range map[string]int{"core.cfg": 1, "": 1} {
		w := coreWatch{user: uint32(os.Geteuid()), name: fakeName, config: config}
		w.begin(time.Now())
		if len(w.fds) != want {
			t.Errorf("configuration %q: watches %d, want %d", config, len(w.fds), want)
		}
		w.end()
	}
}
