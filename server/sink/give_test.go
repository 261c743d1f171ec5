package sink

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who is in the core's group can put a link in the place of a file that is just
// being written. What the link leads to is none of the core's.
func TestOnlyTheFileItselfIsGivenToTheCore(t *testing.T) {
	dir := t.TempDir()
	cores, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, spoolPrefix+"*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(os.Remove(f.Name()), os.Symlink(victim, f.Name())); err != nil {
		t.Fatal(err)
	}
	if _, err := give(f, cores, 0o640); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(victim); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the victim's mode is %v, %v", info.Mode(), err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// The same for the spool directory itself.
func TestASpoolThatIsALinkIsNotGiven(t *testing.T) {
	r := newRig(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.Mkdir(victim, 0o700), os.Symlink(victim, r.sink.Spool)); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	dir := spoolDir{path: r.sink.Spool, owner: owner}
	if err := dir.prepare(); err == nil {
		t.Error("a link was taken for the spool directory")
	}
	if info, err := os.Stat(victim); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the victim's mode is %v, %v", info.Mode(), err)
	}
}

func TestTouchDoesNotFollowALink(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	link := victim + ".link"
	if err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Symlink(victim, link)); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := touch(link, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(victim); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("what the link leads to is of %v now, %v", after.ModTime(), err)
	}
}
