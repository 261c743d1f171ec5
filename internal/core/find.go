package core

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// usualConfigs are where distributions put the main configuration.
var usualConfigs = []string{
	"/etc/nagios4/nagios.cfg",
	"/etc/nagios/nagios.cfg",
	"/etc/naemon/naemon.cfg",
	"/usr/local/nagios/etc/nagios.cfg",
	"/etc/icinga/icinga.cfg",
	"/etc/nagios3/nagios.cfg",
}

// programs are what the cores that have such a configuration are called.
var programs = []string{"nagios", "nagios3", "nagios4", "naemon", "icinga"}

// Find looks for the main configuration of the core that reads a command file: in
// the command lines of running cores, then in the usual places. It is that core's
// only if it names that very file.
func Find(commandFile string) (Config, bool) {
	pipe, err := os.Stat(commandFile)
	if err != nil || pipe.Mode()&fs.ModeNamedPipe == 0 {
		return Config{}, false
	}
	return configFor(commandFile, slices.Concat(runningConfigs("/proc", owner(pipe)), usualConfigs))
}

// configFor returns the first of these main configurations that names the command
// file.
func configFor(commandFile string, files []string) (Config, bool) {
	pipe, err := os.Stat(commandFile)
	if err != nil {
		return Config{}, false
	}
	for _, file := range files {
		c, err := ReadConfig(file)
		if err != nil || c.CommandFile == "" {
			continue
		}
		if its, err := os.Stat(c.CommandFile); err == nil && os.SameFile(its, pipe) {
			return c, true
		}
	}
	return Config{}, false
}

func owner(info fs.FileInfo) uint32 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return 0
}

// runningConfigs returns the files that cores of a user, who made the pipe, were
// started with. Others' processes may have any name and any arguments.
func runningConfigs(proc string, user uint32) (files []string) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil || owner(info) != user {
			continue
		}
		if file := configOf(filepath.Join(proc, e.Name())); file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// configOf returns the main configuration that a process was started with, if it
// is a core; process is its directory.
func configOf(process string) string {
	f, err := os.Open(filepath.Join(process, "cmdline"))
	if err != nil {
		return ""
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, 64<<10))
	words := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
	if err != nil || !slices.Contains(programs, filepath.Base(words[0])) {
		return ""
	}
	file := words[len(words)-1]
	if len(words) < 2 || strings.HasPrefix(file, "-") {
		return ""
	}
	if !filepath.IsAbs(file) {
		dir, err := os.Readlink(filepath.Join(process, "cwd"))
		if err != nil {
			return ""
		}
		file = filepath.Join(dir, file)
	}
	return file
}
