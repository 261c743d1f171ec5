package outbox

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"massive-passive/internal/disk"
	"massive-passive/wire"

	"github.com/rs/zerolog"
)

// StateFile is the name of the client's state file in its state directory.
const StateFile = "state.json"

// stateVersion is the version of the state file that this release writes, and
// the latest that it reads.
const stateVersion = 1

// mostRenewals bounds what is remembered of instances that were renewed: each
// counts as long as the journal holds results of it.
const mostRenewals = 100

// content is the state file. An administrator may edit it while no client runs.
type content struct {
	Version int `json:"version"`
	// ModernServers once spoke version 1 to this client. None of them is spoken to
	// in the way of version 0.3.9 again: who sits between could wish for that.
	ModernServers []string `json:"modern_servers"`
	// ServerAddresses are where the servers were last that have no address in
	// their name in the journal: which of several addresses of a name has what
	// waits under it does not follow from the check files.
	ServerAddresses map[string]string `json:"server_addresses"`
	// RenewedInstances are those under which the journal may hold results that
	// travel under another, oldest first.
	RenewedInstances []renewal `json:"renewed_instances"`
}

type renewal struct {
	Old instanceText `json:"old"`
	New instanceText `json:"new"`
}

// instanceText is an instance that the state file has in hexadecimal.
type instanceText wire.Instance

func (i instanceText) MarshalText() ([]byte, error) { return []byte(wire.Instance(i).String()), nil }

func (i *instanceText) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(i)) {
		return fmt.Errorf("%.40q is no instance of %d hexadecimal digits", text, hex.EncodedLen(len(i)))
	}
	_, err := hex.Decode(i[:], text)
	return err
}

// State is what the client remembers beside its journal. Any goroutine may use it.
type State struct {
	path string
	lost bool     // the file could not be read, and is left as it is
	old  []string // files of earlier releases, which the next save replaces

	saving  sync.Mutex // held to write the file
	mu      sync.Mutex // held to use what follows
	content content
	unsaved bool // the disk refused the last content
}

// OpenState reads the state file, and puts a damaged one aside. There must be
// one State in a state directory. What the disk refuses for now is empty, kept in
// memory only, and left on the disk as it is.
func OpenState(stateDir string, log zerolog.Logger) (*State, error) {
	s, err := ReadState(stateDir)
	var damaged *DamagedStateError
	switch {
	case errors.As(err, &damaged):
		aside, moveErr := putAside(s.path)
		s.lost = moveErr != nil
		log.Error().Err(errors.Join(err, moveErr)).Str("kept_as", aside).Msg("the state file is damaged: it is put aside, and what it said is forgotten: " + forgottenState)
	case isDiskTrouble(err):
		s.lost = true
		log.Error().Err(err).Msg("until a restart after the disk was mended: " + forgottenState)
	case err != nil:
		return nil, err
	}
	if len(s.old) > 0 {
		if err := s.save(); err != nil {
			log.Error().Err(err).Msg("the state files of an earlier release stay until the disk takes " + StateFile)
		}
	}
	return s, nil
}

// forgottenState is what it means that a state file was not read.
const forgottenState = "a server that spoke version 1 before is known as such only once it does again; " +
	"what an earlier run measured on a machine that was cloned or put back may be taken for what another sent; " +
	"where check files give a server several addresses, what waits for it may go to another one of them"

// ReadState reads the state file, or those that an earlier release left, for a
// look only. What it returns beside an error is what could be read.
func ReadState(stateDir string) (*State, error) {
	s := &State{path: filepath.Join(stateDir, StateFile)}
	data, err := new(disk.Asker).ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.old = oldFiles(stateDir)
		err = s.content.readOld(s.old)
	case err != nil:
		err = fmt.Errorf("read the client's state: %w", err)
	default:
		s.content, err = parseState(s.path, data)
		s.old = oldFiles(stateDir) // of a crash, or of an older release that ran meanwhile
	}
	s.content.fill()
	return s, err
}

// fill makes what is empty look so in the file.
func (c *content) fill() {
	if c.ModernServers == nil {
		c.ModernServers = []string{}
	}
	if c.ServerAddresses == nil {
		c.ServerAddresses = map[string]string{}
	}
	if c.RenewedInstances == nil {
		c.RenewedInstances = []renewal{}
	}
}

// DamagedStateError is a state file that makes no sense.
type DamagedStateError struct {
	Path string
	Why  error
}

func (e *DamagedStateError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Why) }

func (e *DamagedStateError) Unwrap() error { return e.Why }

func parseState(path string, data []byte) (content, error) {
	var found struct{ Version int }
	if err := json.Unmarshal(data, &found); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("line %d: %w", 1+bytes.Count(data[:syntax.Offset], []byte("\n")), err)
		}
		return content{}, &DamagedStateError{path, err}
	}
	if found.Version > stateVersion {
		return content{}, fmt.Errorf("%s has version %d, and this release reads up to version %d: it is left as it is; "+
			"start the release that wrote it, or move it away to go on without: then %s", path, found.Version, stateVersion, forgottenState)
	}
	var c content
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // a key with a typing error would be lost at the next write
	if err := d.Decode(&c); err != nil {
		return content{}, &DamagedStateError{path, err}
	}
	if c.Version < 1 {
		return content{}, &DamagedStateError{path, errors.New(`it has no "version"`)}
	}
	return c, nil
}

// putAside gives a file a name that nothing has yet.
func putAside(path string) (aside string, err error) {
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err = os.Lstat(aside); err != nil {
			break
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := os.Rename(path, aside); err != nil {
		return path, err
	}
	return aside, nil
}

// Modern tells whether a server once spoke version 1.
func (s *State) Modern(server string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.content.ModernServers, server)
}

// AddModern notes that a server speaks version 1.
func (s *State) AddModern(server string) error {
	return s.change("note that a server speaks version 1", func() bool {
		if slices.Contains(s.content.ModernServers, server) {
			return false
		}
		s.content.ModernServers = append(s.content.ModernServers, server)
		return true
	})
}

// Address is where a server was last.
func (s *State) Address(server string) (address string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, known = s.content.ServerAddresses[server]
	return address, known
}

// KeepAddresses notes the addresses of servers, and forgets those of all others
// but what stays names.
func (s *State) KeepAddresses(named map[string]string, stays []string) error {
	return s.change("note the addresses of servers", func() bool {
		now := maps.Clone(named)
		for _, server := range stays {
			if address, ok := s.content.ServerAddresses[server]; ok && named[server] == "" {
				now[server] = address
			}
		}
		if maps.Equal(now, s.content.ServerAddresses) {
			return false
		}
		s.content.ServerAddresses = now
		return true
	})
}

func (s *State) renewals() []renewal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.content.RenewedInstances)
}

// renew notes that what is kept under was travels under is.
func (s *State) renew(was, is wire.Instance) error {
	return s.change("note a renewed instance", func() bool {
		s.content.RenewedInstances = append(s.content.RenewedInstances, renewal{instanceText(was), instanceText(is)})
		s.content.RenewedInstances = s.content.RenewedInstances[max(0, len(s.content.RenewedInstances)-mostRenewals):]
		return true
	})
}

// change has do change the content, which tells whether it did, and writes it. It
// does not return again what the disk said of an earlier change.
func (s *State) change(what string, do func() bool) error {
	s.mu.Lock()
	changed := do()
	due := changed || s.unsaved
	s.mu.Unlock()
	if !due {
		return nil
	}
	if err := s.save(); err != nil && changed {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Retry tries again what the disk refused.
func (s *State) Retry() {
	s.mu.Lock()
	unsaved := s.unsaved
	s.mu.Unlock()
	if unsaved {
		_ = s.save() // it was logged
	}
}

// save writes what the content is now. Readers do not wait for the disk.
func (s *State) save() error {
	if s.lost {
		return nil
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	s.content.Version = stateVersion
	data, err := json.MarshalIndent(s.content, "", "  ")
	s.mu.Unlock()
	if err == nil {
		err = disk.Replace(s.path, append(data, '\n'))
	}
	s.mu.Lock()
	s.unsaved = err != nil
	s.mu.Unlock()
	if err == nil {
		s.removeOld()
	}
	return err
}
