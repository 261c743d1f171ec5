// Package rig is what the tests of the whole program share: the program itself
// under each of its names, pairs of server and client, a pipe that is read as a
// core reads it, real cores, and the peers that the program stands in for.
package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"massive-passive/internal/app"
)

// Main is what each package's TestMain calls. It lets the test binary stand for
// the program under each of its names, so that tests enter through the real main,
// and runs tests in the repository's root.
func Main(m *testing.M) {
	if slices.Contains(app.Programs(), filepath.Base(os.Args[0])) {
		os.Exit(app.Main(os.Args))
	}
	root, err := findRoot()
	if err == nil {
		err = os.Chdir(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// findRoot returns the folder of the program's own module.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module massive-passive\n") {
			return at, nil
		}
	}
	return "", fmt.Errorf("no module massive-passive above %s", dir)
}
