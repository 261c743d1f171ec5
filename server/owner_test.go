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
	if err := s.intake.journal.Close(); err != nil {
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
