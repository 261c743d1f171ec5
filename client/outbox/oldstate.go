package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"massive-passive/internal/disk"
)

// oldFiles are those that a state directory has of earlier releases.
func oldFiles(stateDir string) (files []string) {
	for _, name := range []string{"modern-servers", "renewed-instances", "server-addresses"} {
		file := filepath.Join(stateDir, name)
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			files = append(files, file)
		}
	}
	return files
}

// readOld reads the files of lines that releases before 1.0.0 had in the place of
// the state file. A line that makes no sense is passed over.
func (c *content) readOld(files []string) error {
	var failed error
	for _, file := range files {
		data, err := new(disk.Asker).ReadFile(file)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read the client's state: %w", err))
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" {
				c.takeOld(filepath.Base(file), line)
			}
		}
	}
	return failed
}

func (c *content) takeOld(file, line string) {
	switch file {
	case "modern-servers":
		c.ModernServers = append(c.ModernServers, line)
	case "renewed-instances":
		c.takeRenewal(line)
	case "server-addresses":
		c.takeAddress(line)
	}
}

// takeRenewal reads a line OLD NEW.
func (c *content) takeRenewal(line string) {
	was, is, _ := strings.Cut(line, " ")
	var r renewal
	if r.Old.UnmarshalText([]byte(was)) == nil && r.New.UnmarshalText([]byte(is)) == nil {
		c.RenewedInstances = append(c.RenewedInstances, r)
	}
}

// takeAddress reads a line NAME=ADDRESS.
func (c *content) takeAddress(line string) {
	if at := strings.LastIndexByte(line, '='); at > 0 {
		if c.ServerAddresses == nil {
			c.ServerAddresses = map[string]string{}
		}
		c.ServerAddresses[line[:at]] = line[at+1:]
	}
}

// removeOld removes the files that the state file has taken the place of. One
// that stays is not read again.
func (s *State) removeOld() {
	for _, file := range s.old {
		_ = os.Remove(file)
	}
	s.old = nil
}
