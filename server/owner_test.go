package server

import (
	"os"
	"path/filepath"
	"testing"

	"massive-passive/server/sink"
)

// owners returns how the check-result sinks of a server with this state
// directory mark their files.
func owners(t *testing.T, dir string, sinks ...string) []string {
	t.Helper()
	s := sinksRig(t, dir, sinks...)
	var list []string
	for _, r := range s.sinks {
		list = append(list, r.(*sink.CheckResults).Owner)
	}
	if err := s.intake.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	return list
}

// Servers in containers have the same paths, and may share the core's directory.
func TestServersWithTheSamePathsMarkTheirFilesDifferently(t *testing.T) {
	above := t.TempDir()
	dir, aside := filepath.Join(above, "server"), filepath.Join(above, "another machine")
	sinks := []string{"checkresults:/a", "checkresults:/b"}
	first := owners(t, dir, sinks...)
	if first[0] == first[1] {
		t.Errorf("two sinks of a server have the mark %q", first[0])
	}
	if err := os.Rename(dir, aside); err != nil {
		t.Fatal(err)
	}
	second := owners(t, dir, sinks...)
	if second[0] == first[0] || second[1] == first[1] {
		t.Errorf("two servers have the marks %q and %q", first, second)
	}
	if again := owners(t, dir, sinks...); again[0] != second[0] || again[1] != second[1] {
		t.Errorf("after a restart the marks are %q, want those before it, %q", again, second)
	}
	if again := owners(t, aside, sinks...); again[0] != first[0] {
		t.Errorf("in another place the mark is %q, want the one before, %q", again[0], first[0])
	}
}

func TestADamagedOwnerIsDrawnAgain(t *testing.T) {
	dir := t.TempDir()
	const to = "checkresults:/a"
	before := owners(t, dir, to)[0]
	if err := os.WriteFile(filepath.Join(dir, ownerFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	after := owners(t, dir, to)[0]
	if after == before {
		t.Error("the mark does not come from the file")
	}
	if again := owners(t, dir, to)[0]; again != after {
		t.Errorf("the mark that was drawn again, %q, was not kept: %q", after, again)
	}
}

// Two cores may run as two users. What one is given, the other cannot enter.
func TestEachCommandFileHasASpoolOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	spools := func(sinks ...string) (list []string) {
		s := sinksRig(t, dir, sinks...)
		defer s.intake.Journal.Close()
		for _, r := range s.sinks {
			list = append(list, r.(*sink.CommandFile).Spool)
		}
		return list
	}
	two := spools("command-file:/a", "command-file:/b")
	if two[0] == two[1] {
		t.Errorf("two command files have the spool directory %s", two[0])
	}
	for _, spool := range two {
		if filepath.Dir(spool) != dir {
			t.Errorf("the spool directory %s is not right in the state directory, which a core can pass through", spool)
		}
	}
	if turned := spools("command-file:/b", "command-file:/a"); turned[0] != two[1] || turned[1] != two[0] {
		t.Errorf("in another order the spool directories are %q, want %q turned", turned, two)
	}
	if one := spools("command-file:/b"); one[0] != filepath.Join(dir, "spool") {
		t.Errorf("the only command file has the spool directory %s", one[0])
	}
}
