package program

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/test/rig"
)

// asker is somebody who may not read what the daemons have.
type asker struct {
	t       *testing.T
	program string
}

func newAsker(t *testing.T, dir string) asker {
	t.Helper()
	a := asker{t, filepath.Join(dir, "bin", "massive-passive-status")}
	self, err := os.Executable()
	if err == nil {
		err = os.Mkdir(filepath.Dir(a.program), 0o755)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(self)
	}
	if err = errors.Join(err, os.WriteFile(a.program, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	return a
}

// ask asks as a member of a group.
func (a asker) ask(gid int, stateDir string) string {
	a.t.Helper()
	cmd := exec.Command(a.program, "--state-dir", stateDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64_000, Gid: uint32(gid)}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	return string(out)
}

// Who is in the group of --status-group may ask client and server, and nothing
// more, whether they are root or gave it up.
func TestStatusGroup(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be other users")
	}
	group, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skip(err)
	}
	gid, _ := strconv.Atoi(group.Gid)
	for name, options := range map[string][]string{"root": nil, "user": {"--user", "nobody"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
			options = append(options, "--status-group", group.Name)
			p.ServerArgs, p.ClientArgs = append(p.ServerArgs, options...), append(p.ClientArgs, options...)
			a := newAsker(t, p.Dir)
			p.StartServer()
			p.StartClient()
			for _, role := range []string{"server", "client"} {
				dir := filepath.Join(p.Dir, role)
				for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
					text := a.ask(gid, dir)
					if strings.Contains(text, "massive-passive "+role+":") {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the group is not told: %s", text)
					}
				}
				if text := a.ask(64_000, dir); !strings.Contains(text, "no permission") || !strings.Contains(text, "--status-group") {
					t.Errorf("somebody else is told: %s", text)
				}
				if err := stranger(gid, "/bin/ls", dir); err == nil {
					t.Errorf("the group may list %s", dir)
				}
			}
		})
	}
}

func stranger(gid int, words ...string) error {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64_000, Gid: uint32(gid)}}
	return cmd.Run()
}

// A state directory of somebody else is not opened.
func TestStatusGroupOfAForeignDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a directory away")
	}
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	dir := filepath.Join(p.Dir, "foreign")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 64_000, 64_000)); err != nil {
		t.Fatal(err)
	}
	args := append(p.ClientArgs, "--status-group", "daemon", "--state-dir", dir, "--foreground")
	code, _, stderr := rig.Program(t, "", "massive-passive-client", args...)
	if info, err := os.Stat(dir); code != 2 || !strings.Contains(stderr, "--status-group: the state directory "+dir) || err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("code %d, %v, %v: %s", code, info.Mode(), err, stderr)
	}
}
