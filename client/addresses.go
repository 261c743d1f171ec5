package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"massive-passive/wire/journal"
)

// serverAddresses are where the servers were last, by the names of those that
// have no address in their name in the journal. They outlive the process in a
// file of lines NAME=ADDRESS: which of several addresses of a name has what
// waits under it does not follow from the check files.
type serverAddresses struct {
	file  stateFile
	known map[string]string
}

func loadServerAddresses(stateDir string) (*serverAddresses, error) {
	a := &serverAddresses{known: map[string]string{}}
	var lines []string
	var err error
	a.file, lines, err = openStateFile(stateDir, "server-addresses")
	for _, line := range lines {
		if at := strings.LastIndexByte(line, '='); at > 0 {
			a.known[line[:at]] = line[at+1:]
		}
	}
	return a, err
}

// keep notes the addresses of the servers that checks name, and forgets those of
// the others that the journal does not know either.
func (a *serverAddresses) keep(named map[string]string, readers []journal.ReaderStats) error {
	now := map[string]string{}
	for _, r := range readers {
		if address, ok := a.known[r.Name]; ok {
			now[r.Name] = address
		}
	}
	for name, address := range named {
		if !strings.Contains(name, "=") {
			now[name] = address
		}
	}
	if !a.file.unsaved && maps.Equal(now, a.known) {
		return nil
	}
	a.known = now
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		lines = append(lines, name+"="+now[name])
	}
	if err := a.file.replace(lines); err != nil {
		return fmt.Errorf("note the addresses of servers: %w", err)
	}
	return nil
}
