//go:build e2e

package e2e

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Every page of docs/ with commands in it, run word by word; test/tree holds that
// none is forgotten.
func TestE2EDocuments(t *testing.T) {
	const scenes = "packaging/tests/documents"
	pages := 0
	err := filepath.WalkDir(scenes, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		pages++
		page := strings.TrimSuffix(strings.TrimPrefix(name, scenes+"/"), ".sh")
		t.Run(page, func(t *testing.T) {
			t.Parallel() // each is in a machine of its own, and waits most of the time
			inMachine(t, "--systemd", "/source/packaging/tests/document", packagedFirst(), page)
		})
		return nil
	})
	if err != nil || pages == 0 {
		t.Errorf("%d pages, %v", pages, err)
	}
}
