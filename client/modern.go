package client

import (
	"fmt"
	"slices"
	"sync"
)

// modernServers are the servers that once spoke version 1 to this client, by
// their names. None of them is spoken to in the way of version 0.3.9 again: who
// sits between could wish for that. They outlive the process in a file of one
// name a line.
type modernServers struct {
	file stateFile

	mu    sync.Mutex
	names []string
}

func loadModernServers(stateDir string) (m *modernServers, err error) {
	m = &modernServers{}
	m.file, m.names, err = openStateFile(stateDir, "modern-servers")
	return m, err
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
	if err := m.file.replace(m.names); err != nil {
		return fmt.Errorf("note that a server speaks version 1: %w", err)
	}
	return nil
}

// tidy tries again what the disk refused.
func (m *modernServers) tidy() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file.again(m.names)
}
