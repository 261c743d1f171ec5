package client

import (
	"os"
	"path/filepath"
	"testing"
)

func TestModernServersOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		m, err := loadModernServers(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"monitor.example.org", "second with a blank"} {
			if m.has(name) != (run > 0) {
				t.Errorf("run %d: %q is known: %v", run, name, m.has(name))
			}
			if err := m.add(name); err != nil {
				t.Fatal(err)
			}
		}
		if m.has("monitor") {
			t.Error("a part of a name is known")
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "modern-servers"))
	if want := "monitor.example.org\nsecond with a blank\n"; err != nil || string(data) != want {
		t.Errorf("the file holds %q, %v", data, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestModernServersThatCannotBeKept(t *testing.T) {
	if _, err := loadModernServers("/dev/null"); err == nil {
		t.Error("an unreadable file was taken for none")
	}
	m, err := loadModernServers(filepath.Join(t.TempDir(), "gone"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.add("a"); err == nil || !m.has("a") {
		t.Errorf("not kept: %v; known for this run: %v", err, m.has("a"))
	}
}
