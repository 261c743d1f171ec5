package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"massive-passive/internal/core"
	"massive-passive/internal/option"
	"massive-passive/server/sink"

	"golang.org/x/sys/unix"
)

// The kinds of --sink.
const (
	kindCommandFile  = "command-file"
	kindCheckResults = "checkresults"
	kindIcinga2      = "icinga2"
	kindStdout       = "stdout"
)

var kinds = [...]string{kindCommandFile, kindCheckResults, kindIcinga2, kindStdout}

// target is one --sink.
type target struct{ kind, to string }

func (t target) String() string { return t.kind + ":" + t.to }

// targets returns the sinks that the options name. Without any it is the best
// sink for the core whose configuration is named, or the usual command file.
func (o *Options) targets(of *core.Config) ([]target, error) {
	var list []target
	if o.CommandFile != "" {
		list = append(list, target{kindCommandFile, o.CommandFile})
	}
	for _, text := range o.Sinks {
		kind, to, _ := strings.Cut(text, ":")
		if !slices.Contains(kinds[:], kind) {
			return nil, option.Wrong("--sink", fmt.Sprintf("%q is no kind that is known: give KIND:TARGET, where KIND is %s", kind, strings.Join(kinds[:], ", ")))
		}
		list = append(list, target{kind, to})
	}
	switch {
	case len(list) > 0:
	case of != nil:
		list = append(list, target{kind: openSink(of)})
	default:
		list = append(list, target{kind: kindCommandFile})
	}
	for i := range list {
		if err := o.complete(&list[i], of); err != nil {
			return nil, err
		}
		if slices.Contains(list[:i], list[i]) {
			return nil, option.Wrong("--sink", fmt.Sprintf("%q is named twice", list[i]))
		}
	}
	return list, nil
}

// openSink returns the kind of sink for a core whose configuration is named: its
// check-result directory, or, where that is shut to this process and the command
// file is not, that one.
func openSink(of *core.Config) string {
	mayWrite := func(path string) bool {
		return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
	}
	switch {
	case of.CheckResultDir == "":
		return kindCommandFile
	case of.CommandFile == "" || !of.Commands || mayWrite(of.CheckResultDir):
		return kindCheckResults
	case mayWrite(of.CommandFile):
		return kindCommandFile
	}
	_, spool := os.Stat(of.CheckResultDir)
	_, pipe := os.Stat(of.CommandFile)
	if !errors.Is(spool, fs.ErrNotExist) && errors.Is(pipe, fs.ErrNotExist) {
		return kindCommandFile // the core is down, and has taken its pipe along
	}
	return kindCheckResults
}

// complete fills in a target that was left open.
func (o *Options) complete(t *target, of *core.Config) error {
	var err error
	switch t.kind {
	case kindCommandFile:
		if t.to == "" && of != nil {
			t.to = of.CommandFile
		}
		if t.to == "" {
			t.to, err = usualCommandFile(sink.DefaultCommandFiles())
		}
	case kindCheckResults:
		if t.to == "" && of != nil {
			t.to = of.CheckResultDir
		}
		if t.to == "" {
			err = option.Wrong("--sink", "checkresults: needs a directory, or a --nagios-config that names its check_result_path")
		}
	case kindIcinga2:
		_, err = o.icinga(t.to, nil)
	case kindStdout:
		if t.to != "" {
			err = option.Wrong("--sink", fmt.Sprintf("%q: stdout: has no target", t))
		}
	}
	if err == nil && (t.kind == kindCommandFile || t.kind == kindCheckResults) {
		t.to, err = filepath.Abs(t.to) // in the background the server works in /
	}
	return err
}

// usualCommandFile finds the core's command file, or where it will be: a core
// that is down may have taken it along.
func usualCommandFile(files []string) (string, error) {
	var there []string
	for _, file := range files {
		if _, err := os.Stat(filepath.Dir(file)); err == nil {
			there = append(there, file)
		}
		if _, err := os.Stat(file); err == nil {
			return file, nil
		} else if errors.Is(err, fs.ErrPermission) {
			return "", fmt.Errorf("look for the core's command file: %w: the server's user must be in the core's group", err)
		}
	}
	if len(there) == 1 {
		return there[0], nil
	}
	return "", option.Wrong("--command-file", fmt.Sprintf("none of the usual command files exists (%s): start the core, or name its command file",
		strings.Join(files, ", ")))
}

// core reads the configuration of the core, if one is named.
func (o *Options) core() (*core.Config, error) {
	if o.NagiosConfig == "" {
		return nil, nil
	}
	c, err := core.ReadConfig(o.NagiosConfig)
	if err != nil {
		return nil, option.Wrong("--nagios-config", err.Error())
	}
	return &c, nil
}

// dialect is what the core at a target speaks.
func (o *Options) dialect(t target, of *core.Config) sink.Dialect {
	switch {
	case o.Dialect != "":
		return sink.Dialect(o.Dialect)
	case of.Has(t.to):
		return sink.Dialect(of.Kind)
	}
	return sink.GuessDialect(t.to)
}
