package sink

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	return startNamed(t, fakeName, pipe, script, "core.cfg")
}

// startNamed starts a process of another name, with arguments of a core's.
func startNamed(t *testing.T, name, pipe, script string, args ...string) *fakeCore {
	t.Helper()
	shell := filepath.Join(t.TempDir(), name)
	binary, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shell, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, append([]string{"-c", `exec 3<>"$0"; echo up; ` + script, pipe}, args...)...)
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
func childrenOf(t *testing.T, pid int) []coreProcess {
	t.Helper()
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var list []coreProcess
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

// Programs that only carry the core's name come and go while it runs.
func TestCoreWatchPassesOverWhatIsNoCore(t *testing.T) {
	path, _ := newPipe(t)
	core := startCore(t, path, "read line")
	for _, other := range []struct {
		name string
		args []string
	}{
		{fakeName + "_copy", []string{"core.cfg"}},
		{fakeName + "-x", nil},
		{fakeName, []string{"-v", "core.cfg"}},
		{fakeName, []string{"-dvx", "core.cfg"}},
		{fakeName, []string{"--verify-config", "core.cfg"}},
		{fakeName, []string{"-s", "core.cfg"}},
	} {
		startNamed(t, other.name, path, "read line", other.args...)
	}
	for _, config := range []string{"", "core.cfg"} {
		w := coreWatch{user: uint32(os.Geteuid()), name: fakeName, config: config}
		found := w.find()
		if len(found) != 1 || found[0].pid != core.cmd.Process.Pid {
			t.Errorf("configuration %q: found %v, want process %d alone", config, found, core.cmd.Process.Pid)
		}
	}
	versioned := startNamed(t, fakeName+"4", path, "read line", "-d", "core.cfg")
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName}
	if found := w.find(); len(found) != 2 {
		t.Errorf("found %v, want process %d too, whose name has a version", found, versioned.cmd.Process.Pid)
	}
}

func TestCoreWatchKnowsIcingasCommands(t *testing.T) {
	w := coreWatch{name: Icinga.watchName()}
	for line, want := range map[string]bool{
		"icinga2 --no-stack-rlimit daemon --close-stdio -e /var/log/icinga2/error.log": true,
		"icinga2 daemon -c /etc/icinga2/icinga2.conf":                                  true,
		"icinga2 daemon -C":         false,
		"icinga2 daemon --validate": false,
		"icinga2 object list":       false,
		"":                          true, // hidden
	} {
		if got := w.atWork(strings.Split(line, " ")); got != want {
			t.Errorf("%q: at work %v", line, got)
		}
	}
}

// Of two families, one may be hidden and the other not: what can be seen to
// have the pipe closed is not the core.
func TestCoreWatchKeepsWhatIsHidden(t *testing.T) {
	_, info := newPipe(t)
	other, _ := newPipe(t)
	open := startCore(t, other, "read line").cmd.Process.Pid
	const hidden = 1 << 30 // of which nothing can be seen
	w := coreWatch{user: uint32(os.Geteuid()), name: fakeName, pipe: info}
	got := w.choose(map[int][]coreProcess{open: {{pid: open}}, hidden: {{pid: hidden}}})
	if len(got) != 1 || len(got[hidden]) != 1 {
		t.Errorf("chose %v, want the hidden one", got)
	}
	if got := w.choose(map[int][]coreProcess{open: {{pid: open}}}); len(got) != 0 {
		t.Errorf("chose %v, which has another pipe", got)
	}
}
