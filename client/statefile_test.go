package client

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestStateFilesThatTheDiskRefusedAreWrittenLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "away")
	m, err := loadModernServers(dir)
	must(t, err)
	p, err := loadProcess(dir, nil)
	must(t, err)
	if err := m.add("a"); err == nil {
		t.Fatal("written into a directory that is not there")
	}
	first := *p.instance.Load()
	server := processFor{p, "a"}
	server.Renew(server.last())
	m.tidy() // refused once more
	p.tidy()
	must(t, os.Mkdir(dir, 0o700))
	m.tidy()
	p.tidy()
	again, err := loadModernServers(dir)
	must(t, err)
	if !again.has("a") {
		t.Error("the server's version is forgotten")
	}
	later, err := loadProcess(dir, nil)
	must(t, err)
	if got, want := later.current(first), *p.instance.Load(); got != want {
		t.Errorf("after a restart %v travels as %v, want %v", first, got, want)
	}
}

// What could not be read may hold what an administrator wants to save.
func TestAStateFileThatCannotBeReadIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "file"), 0o700))
	f, lines, err := openStateFile(dir, "file")
	if err == nil || len(lines) > 0 {
		t.Errorf("a directory held %q", lines)
	}
	must(t, f.replace([]string{"a"}))
	f.again([]string{"a"})
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || !slices.Equal(names, []string{filepath.Join(dir, "file")}) {
		t.Errorf("the directory holds %q, %v", names, err)
	}
}
