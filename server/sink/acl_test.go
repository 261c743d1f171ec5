package sink

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Debian's Nagios gives its pipe to a group that it is not in itself.
func TestACoreIsLetInThatIsNotInItsPipesGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can try as another user")
	}
	const core = 54321
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	file := filepath.Join(spool, "file")
	err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o711), os.Mkdir(spool, 0o770), os.WriteFile(file, []byte("line\n"), 0o640))
	if err != nil {
		t.Fatal(err)
	}
	reads := func(user uint32) error {
		cmd := exec.Command("/bin/sh", "-c", `read line <"$0" && rm "$0"`, file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		return cmd.Run()
	}
	if reads(core) == nil {
		t.Fatal("anybody may read the file")
	}
	for path, mode := range map[string]os.FileMode{spool: 0o770, file: 0o640} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := letIn(f, core, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Fgetxattr(int(f.Fd()), accessList, nil); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("a file system without access lists")
		}
		if info, err := f.Stat(); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	if reads(core+1) == nil {
		t.Error("another user may read the file")
	}
	if err := reads(core); err != nil {
		t.Errorf("the core cannot read and remove the file: %v", err)
	}
}
