package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CommandsInFile writes external commands to a file of the core's folder and returns its path.
func (p *coreProcess) CommandsInFile(name string, mode os.FileMode, text string) string {
	p.T.Helper()
	path := filepath.Join(p.Dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.T.Fatal(err)
	}
	return path
}

// Exists tells whether a file is there.
func Exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// Inode returns the number of a file's inode.
func Inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// The rigs lay out private monitoring cores in a test's own folder, run them as the user that the packages
// run them as, and read back what they believe. They are no fakes: each is the packaged program with a
// configuration of ours, so that a test sees what an installation would do.

const (
	coreStartLimit = 90 * time.Second // beside seven others on two processors
	coreStopLimit  = 20 * time.Second
	ReadingLimit   = 30 * time.Second
	pollInterval   = 50 * time.Millisecond

	// Each rig has this object beside those that the test asked for. A result for it, written after others,
	// shows that the core has dealt with them, refused ones included.
	FenceHost    = "rig fence"
	FenceService = "fence"
)

// Host is one host of a rig's configuration, with its services, all passive.
type Host struct {
	Name     string
	Services []string
}

// Reading is what a core believes about one host or service.
type Reading struct {
	State      int    // of a service 0 to 3, of a host 0 (UP) or 1 (DOWN); Nagios also has 2 (UNREACHABLE)
	Output     string // the first line, without perfdata
	LongOutput string // the lines after it, joined by \n
	Perfdata   string
	LastCheck  time.Time // zero if the core never had a result
}

// ObjectName names a host (service empty) or a service.
type ObjectName struct {
	Host, Service string
}

// Eventually polls until met returns nil, and fails the test with its last error after limit.
func Eventually(t testing.TB, limit time.Duration, what string, met func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := met()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		<-tick.C
	}
}

// coreProcess is a monitoring core's program, run in the foreground, and the processes that it makes.
type coreProcess struct {
	T       *testing.T
	program string   // as found on the PATH, and the name of its processes
	Dir     string   // absolute; every process of this core, and no other's, has it in its command line
	Args    []string // after the program
	Cmd     *exec.Cmd
	Exited  chan struct{} // closed after cmd has ended and was waited for
}

// newCoreProcess checks that program is installed, makes the core's folder and sees to it that nothing of
// the core is left when the test ends.
func newCoreProcess(t *testing.T, program string) *coreProcess {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: install what the end-to-end tests need with .ci/setup", err)
	}
	dir := t.TempDir()
	// A core that gives up root must be able to pass through to its own folder.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &coreProcess{T: t, program: program, Dir: dir}
	t.Cleanup(func() {
		p.end()
		if t.Failed() && p.Cmd != nil {
			t.Logf("%s said last:\n%s", program, p.lastWords())
		}
	})
	return p
}

// launch starts the program and returns at once.
func (p *coreProcess) launch() {
	p.T.Helper()
	p.HandOver()
	log, err := os.OpenFile(p.OutputFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		p.T.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(p.program, p.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	if err := cmd.Start(); err != nil {
		p.T.Fatalf("start %s: %v", p.program, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait() // how it ended is in its output, which running shows
	}()
	p.Cmd, p.Exited = cmd, exited
}

// running tells whether the program that launch started has not ended; if it has, the error has its output.
func (p *coreProcess) running() error {
	select {
	case <-p.Exited:
		return fmt.Errorf("%s ended (%v) and said:\n%s", p.program, p.Cmd.ProcessState, p.lastWords())
	default:
		return nil
	}
}

// awaitReady polls ready, and gives up early when the core ends.
func (p *coreProcess) awaitReady(what string, ready func() error) {
	p.T.Helper()
	Eventually(p.T, coreStartLimit, p.program+": "+what, func() error {
		if err := p.running(); err != nil {
			p.T.Fatal(err)
		}
		if err := ready(); err != nil {
			return fmt.Errorf("%w; it said:\n%s", err, p.lastWords())
		}
		return nil
	})
}

// readyWithin tells whether the core is ready within limit, or ends.
func (p *coreProcess) readyWithin(limit time.Duration, ready func() error) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && p.running() == nil; time.Sleep(pollInterval) {
		if ready() == nil {
			return true
		}
	}
	return p.running() != nil // which awaitReady tells
}

func (p *coreProcess) Signal(s syscall.Signal) {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.T.Fatalf("send %v to %s: %v", s, p.program, err)
	}
}

// Stop asks the core to end, as a service manager would, and waits for it and all of its processes.
func (p *coreProcess) Stop() {
	p.T.Helper()
	p.Signal(syscall.SIGTERM)
	p.AwaitGone()
}

// Kill ends every process of the core at once, as a crash of the machine would.
func (p *coreProcess) Kill() {
	p.T.Helper()
	p.end()
	p.AwaitGone()
}

// KillMain ends the main process alone, as the kernel does when memory is short. Processes that it made may
// live on: see the tests of each rig for what they do.
func (p *coreProcess) KillMain() {
	p.T.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.Exited
}

func (p *coreProcess) AwaitGone() {
	p.T.Helper()
	Eventually(p.T, coreStopLimit, "stop "+p.program, func() error {
		if pids := p.Pids(); len(pids) > 0 {
			return fmt.Errorf("its processes %v still run", pids)
		}
		return nil
	})
	<-p.Exited
}

// end kills by id whatever runs of this core. It is what the test ends with, and reports no failure.
func (p *coreProcess) end() {
	if p.Cmd == nil {
		return
	}
	deadline := time.Now().Add(coreStopLimit)
	for pids := p.Pids(); len(pids) > 0 && time.Now().Before(deadline); pids = p.Pids() {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL) // one that is gone already is what is wanted
		}
	}
	<-p.Exited
}

// Pids finds the processes of this core, its orphans included, by the folder in their command lines. What has
// ended and is not yet waited for has no command line.
func (p *coreProcess) Pids() []int {
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		proc := filepath.Dir(entry)
		comm, _ := os.ReadFile(filepath.Join(proc, "comm")) // may end at any moment
		line, _ := os.ReadFile(entry)
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err == nil && strings.TrimSpace(string(comm)) == p.program && bytes.Contains(line, []byte(p.Dir+"/")) {
			found = append(found, pid)
		}
	}
	return found
}

func (p *coreProcess) OutputFile() string { return filepath.Join(p.Dir, "output.log") }

// lastWords returns the end of what the core printed.
func (p *coreProcess) lastWords() string {
	const enough = 2000
	out, err := os.ReadFile(p.OutputFile())
	if err != nil {
		return err.Error()
	}
	return string(out[max(0, len(out)-enough):])
}

// coreUser is whom the core runs as: the user of the packages where the test is run by root, else its own.
func coreUser(t *testing.T) (u *user.User, group string) {
	t.Helper()
	name := "nagios"
	if os.Geteuid() != 0 {
		current, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		name = current.Username
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: install what the end-to-end tests need with .ci/setup", err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return u, g.Name
}

// HandOver gives the core's folder and all in it to the core's user.
func (p *coreProcess) HandOver() {
	p.T.Helper()
	u, _ := coreUser(p.T)
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		p.T.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		p.T.Fatal(err)
	}
	err = filepath.WalkDir(p.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, gid)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of a core that runs
		}
		return err
	})
	if err != nil {
		p.T.Fatalf("give %s to %s: %v", p.Dir, u.Username, err)
	}
}

// layOut writes files, named from the core's folder, and makes the folders.
func (p *coreProcess) layOut(folders []string, files map[string]string) {
	p.T.Helper()
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(p.Dir, folder), 0o755); err != nil {
			p.T.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(content), 0o644); err != nil {
			p.T.Fatal(err)
		}
	}
}

// PipeHasReader tells whether a process reads the pipe. It opens it as a writer should: not waiting, and
// never making it.
func PipeHasReader(path string) error {
	pipe, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return pipe.Close()
}

// WritePipe writes to a core's pipe, waiting while it is full. It is a plain writer beside the program's own,
// so that a rig can be asked what the core does without asking the program.
func WritePipe(t *testing.T, path, lines string) {
	t.Helper()
	pipe, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("open pipe: %v", err)
	}
	defer pipe.Close()
	if err := pipe.SetWriteDeadline(time.Now().Add(ReadingLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.WriteString(lines); err != nil {
		t.Fatalf("write pipe: %v", err)
	}
}
