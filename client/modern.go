package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"massive-passive/wire/durable"
)

// modernServers are the servers that once spoke version 1 to this client, by
// their names. None of them is spoken to in the way of version 0.3.9 again: who
// sits between could wish for that. They outlive the process in a file of one
// name a line, which an administrator may edit while no client runs.
type modernServers struct {
	file string
	lost bool // the file could not be read, and is left as it is

	mu    sync.Mutex
	names []string
}

// loadModernServers returns an error if there is a file that cannot be read, and
// with it a list that begins empty and is kept in memory only.
func loadModernServers(stateDir string) (*modernServers, error) {
	m := &modernServers{file: filepath.Join(stateDir, "modern-servers")}
	data, err := os.ReadFile(m.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.lost = true
		return m, fmt.Errorf("read which servers speak version 1: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if name := strings.TrimSpace(line); name != "" {
			m.names = append(m.names, name)
		}
	}
	return m, nil
}

func (m *modernServers) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.names, name)
}

// add notes a server, durably unless the list could not be read.
func (m *modernServers) add(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.names, name) {
		return nil
	}
	m.names = append(m.names, name)
	if m.lost {
		return nil
	}
	if err := durable.Replace(m.file, []byte(strings.Join(m.names, "\n")+"\n")); err != nil {
		return fmt.Errorf("note that a server speaks version 1: %w", err)
	}
	return nil
}
