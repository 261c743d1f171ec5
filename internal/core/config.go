package core

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"massive-passive/internal/disk"
)

// Config is what is of interest in the main configuration of Nagios or
// Naemon. Paths are absolute; what the file does not say is empty.
type Config struct {
	File           string
	Kind           Kind
	User           string // whom the core runs as
	CommandFile    string
	CheckResultDir string
	ObjectCache    string
	MaxFileAge     time.Duration // of a file of check results that it still reads
	Commands       bool          // it reads its command file
	Passive        bool          // it takes passive results for hosts and services
}

// DefaultMaxFileAge is both cores' own.
const DefaultMaxFileAge = time.Hour

// ReadConfig reads a main configuration.
func ReadConfig(file string) (Config, error) {
	text, err := disk.ReadFile(context.Background(), file, maxConfig) // which waits for no disk for long
	if err != nil {
		return Config{}, fmt.Errorf("read the core's configuration: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return Config{}, err
	}
	c := Config{File: file, Kind: Nagios, MaxFileAge: DefaultMaxFileAge, Commands: true, Passive: true}
	if strings.Contains(filepath.Base(file), "naemon") {
		c.Kind = Naemon
	}
	for n, line := range strings.Split(string(text), "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
			continue
		}
		if err := c.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return Config{}, fmt.Errorf("%s, line %d: %w", file, n+1, err)
		}
	}
	if c.CommandFile == "" && c.CheckResultDir == "" {
		return Config{}, fmt.Errorf("%s names neither a command_file nor a check_result_path: is it the main configuration of Nagios or Naemon?", file)
	}
	return c, nil
}

// maxConfig is the most bytes of a main configuration.
const maxConfig = 4 << 20

func (c *Config) set(key, value string) error {
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
		c.User, c.Kind = value, Naemon
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
		c.Kind = Naemon
	}
	return nil
}

// Has tells whether a command file or directory is this core's. A nil Config has
// none.
func (c *Config) Has(path string) bool {
	return c != nil && path != "" && (path == c.CommandFile || path == c.CheckResultDir)
}
