//go:build bench

package bench

import (
	"massive-passive/test/rig"

	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// buildProgram makes the program as `make build` does.
func buildProgram(t testing.TB) (binary string) {
	t.Helper()
	return buildInstalled(t, "massive-passive", ".", "-tags", "urfave_cli_no_docs", ".")
}

// buildInstalled builds a static program and copies it, as `make install` and
// the packages do: what the linker wrote piecemeal lies in small pages of the
// kernel's cache, from which a program takes over a millisecond longer to start.
func buildInstalled(t testing.TB, name, module string, args ...string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	built := filepath.Join(dir, "built")
	build := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", built}, args...)...)
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, name)
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return binary
}

// startBuilt starts the server from a binary that was built, and waits until it
// listens.
func startBuilt(p *rig.Pair, binary string) {
	p.T.Helper()
	asUnit(p.T, func() {
		p.Server = rig.StartProgram(p.T, "massive-passive-server", append([]string{link(p.T, binary, "massive-passive-server")}, p.ServerArgs...))
	})
	p.AwaitPort()
}

// asUnit has start start a process with the timer slack of the server's unit,
// which costs or saves processor time.
func asUnit(t testing.TB, start func()) {
	t.Helper()
	const unit, setting = "packaging/systemd/massive-passive-server.service", "\nTimerSlackNSec="
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(text), setting)
	value, _, _ = strings.Cut(value, "\n")
	slack, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("%s: %s: %v", unit, setting[1:], err)
	}
	runtime.LockOSThread() // the new process has that of the thread that starts it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // as it was
	start()
}

// link gives a binary one of the program's names.
func link(t testing.TB, binary, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(binary, path); err != nil {
		t.Fatal(err)
	}
	return path
}
