package certs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire/certs"
)

func TestLooseFilesOfADirectory(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "target")
	write := func(name string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("good.cfg", 0o644)
	write("README", 0o666)
	write("bad.cfg", 0o666)
	if err := errors.Join(os.WriteFile(elsewhere, nil, 0o600), os.Chmod(elsewhere, 0o602), os.Symlink(elsewhere, filepath.Join(dir, "link.cfg"))); err != nil {
		t.Fatal(err)
	}
	said := certs.LooseFiles(dir, ".cfg", ".pem")
	if len(said) != 2 || !strings.Contains(said[0], "bad.cfg") || !strings.Contains(said[1], elsewhere) {
		t.Errorf("said %q", said)
	}
	for n := range 100 {
		write(fmt.Sprint(n, ".pem"), 0o666)
	}
	if said := certs.LooseFiles(dir, ".pem"); len(said) != 11 || !strings.Contains(said[10], "90 more") {
		t.Errorf("of many, said %q", said)
	}
}
