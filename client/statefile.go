package client

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"massive-passive/internal/disk"
)

// stateFile is a small file of lines in the state directory. An administrator
// may edit it while no client runs.
type stateFile struct {
	path string
	lost bool // it could not be read, and is left as it is
	// unsaved says that the disk refused the last lines.
	unsaved bool
}

// openStateFile returns a file and its lines, none where there is no file yet.
// With an error the lines begin empty and are kept in memory only.
func openStateFile(stateDir, name string) (stateFile, []string, error) {
	f := stateFile{path: filepath.Join(stateDir, name)}
	data, err := new(disk.Asker).ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.lost = true
		return f, nil, fmt.Errorf("read %s: %w", name, err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return f, lines, nil
}

// replace puts lines in the place of what the file held.
func (f *stateFile) replace(lines []string) error {
	if f.lost {
		return nil
	}
	err := disk.Replace(f.path, []byte(strings.Join(lines, "\n")+"\n"))
	f.unsaved = err != nil
	return err
}

// again tries once more what the disk refused.
func (f *stateFile) again(lines []string) {
	if f.unsaved {
		_ = f.replace(lines) // it was told
	}
}
