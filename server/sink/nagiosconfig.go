package sink

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// NagiosConfig is what a sink wants of the main configuration of Nagios or
// Naemon. Paths are absolute; what the file does not say is empty.
type NagiosConfig struct {
	File           string
	Core           Dialect
	User           string // whom the core runs as
	CommandFile    string
	CheckResultDir string
	ObjectCache    string
	MaxFileAge     time.Duration // of a file of check results, see CheckResults
	Commands       bool          // it reads its command file
	Passive        bool          // it takes passive results for hosts and services
}

// DefaultMaxFileAge is both cores' own.
const DefaultMaxFileAge = time.Hour

// ReadNagiosConfig reads a main configuration.
func ReadNagiosConfig(file string) (NagiosConfig, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return NagiosConfig{}, fmt.Errorf("read the core's configuration: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return NagiosConfig{}, err
	}
	c := NagiosConfig{File: file, Core: Nagios, MaxFileAge: DefaultMaxFileAge, Commands: true, Passive: true}
	if strings.Contains(filepath.Base(file), "naemon") {
		c.Core = Naemon
	}
	for n, line := range strings.Split(string(text), "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
			continue
		}
		if err := c.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return NagiosConfig{}, fmt.Errorf("%s, line %d: %w", file, n+1, err)
		}
	}
	if c.CommandFile == "" && c.CheckResultDir == "" {
		return NagiosConfig{}, fmt.Errorf("%s names neither a command_file nor a check_result_path: is it the main configuration of Nagios or Naemon?", file)
	}
	return c, nil
}

func (c *NagiosConfig) set(key, value string) error {
	path := value
	switch {
	case value == "":
	case filepath.IsAbs(value):
		path = filepath.Clean(value)
	default:
		path = filepath.Join(filepath.Dir(c.File), value)
	}
	switch key {
	case "command_file":
		c.CommandFile = path
	case "check_result_path":
		c.CheckResultDir = path
	case "object_cache_file":
		c.ObjectCache = path
	case "nagios_user":
		c.User = value
	case "naemon_user":
		c.User, c.Core = value, Naemon
	case "check_external_commands":
		c.Commands = value != "0"
	case "accept_passive_service_checks", "accept_passive_host_checks":
		c.Passive = c.Passive && value != "0"
	case "max_check_result_file_age":
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds < 0 {
			return fmt.Errorf("max_check_result_file_age=%q is no number of seconds", value)
		}
		c.MaxFileAge = time.Duration(seconds) * time.Second
	}
	switch filepath.Base(value) {
	case "naemon.cmd", "naemon.qh", "naemon.pid", "naemon.lock", "naemon.log":
		c.Core = Naemon
	}
	return nil
}

// Has tells whether a command file or directory is this core's.
func (c *NagiosConfig) Has(path string) bool {
	return path != "" && (path == c.CommandFile || path == c.CheckResultDir)
}
