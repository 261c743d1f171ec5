package tree

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestVersion holds the package's name in the README, which people copy, to the
// file VERSION, and make's version to both.
func TestVersion(t *testing.T) {
	release, err := os.ReadFile("VERSION")
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(release))
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(version) {
		t.Errorf("VERSION is %q, not as 1.0.0", version)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`massive-passive_([^_\s]+)_amd64\.deb`).FindAllSubmatch(readme, -1)
	if len(named) == 0 {
		t.Error("the README names no package")
	}
	for _, name := range named {
		if string(name[1]) != version+"-1" {
			t.Errorf("the README names %s, and VERSION is %s", name[0], version)
		}
	}
	ask := exec.Command("make", "-n", "build")
	ask.Env = without(os.Environ(), "VERSION")
	said, err := ask.CombinedOutput()
	if err != nil {
		t.Skipf("make cannot be asked: %v", err)
	}
	if !regexp.MustCompile(`app\.version=` + regexp.QuoteMeta(version) + `(\+g[0-9a-f]+(\.dirty)?)?"`).Match(said) {
		t.Errorf("make does not build version %s, with git's commit behind it: %s", version, said)
	}
}

func without(env []string, name string) (rest []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			rest = append(rest, v)
		}
	}
	return rest
}
