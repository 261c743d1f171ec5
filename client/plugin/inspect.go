package plugin

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// Problem says, without running it, why a command could not be started by this
// user in a directory, in the words of its run; it is empty where nothing speaks
// against it. Of a line for the shell only the first word is looked at, where it
// is an absolute path.
func (c Command) Problem(ctx context.Context, dir string) string {
	s := Spec{Command: c, Dir: dir}
	if c.byShell {
		program := c.firstWord()
		if program == "" {
			return ""
		}
		s.Command = Command{words: []string{program}, path: c.path}
	}
	v, err := disk.Within(ctx, &answers, s.Command.words[0], func() (verdict, error) { return s.foresee(), nil })
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(v.text, "UNKNOWN: ")
}

// answers waits for the disks of plugins.
var answers disk.Reader

// firstWord is the program that a line for the shell begins with, if it is a
// plain absolute path.
func (c Command) firstWord() string {
	word, _, _ := strings.Cut(strings.TrimLeft(c.words[2], " \t\n"), " ")
	if !filepath.IsAbs(word) || strings.ContainsAny(word, "|&;<>()`\\*?[]{}$'\"\n\t~") {
		return ""
	}
	return word
}

// foresee is the verdict on a start, as far as it shows without one.
func (s Spec) foresee() verdict {
	program, v := find(s)
	if v.trouble != None {
		return v
	}
	path := inDir(s.Dir, program)
	if err := executable(path); err != nil {
		return startFault(s, program, err)
	}
	if v := dirFault(s.Dir); v.trouble != None {
		return v
	}
	first := head(path)
	info, err := os.Stat(path)
	switch line, script := bytes.CutPrefix(first, []byte("#!")); {
	case len(first) == 0 && (err != nil || info.Size() > 0): // may be run, but not read
	case script:
		name, _, _ := bytes.Cut(bytes.TrimLeft(firstLine(line), " \t"), []byte(" "))
		if len(name) > 0 && errors.Is(executable(string(name)), syscall.ENOENT) {
			return startFault(s, program, syscall.ENOENT)
		}
	case !bytes.HasPrefix(first, []byte("\x7fELF")):
		return scriptFault(s, program)
	}
	return verdict{}
}

// executable returns the error with which the kernel would refuse a program.
func executable(path string) error {
	info, err := os.Stat(path)
	var at *fs.PathError
	switch {
	case errors.As(err, &at):
		return at.Err
	case info.IsDir():
		return syscall.EACCES
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line
}

// EnvInterpreter is the name that env has to search for because the program
// begins with #!/usr/bin/env NAME, or is env itself; it is empty for others.
func (c Command) EnvInterpreter(ctx context.Context, dir string) string {
	s := Spec{Command: c, Dir: dir}
	if c.byShell {
		if s.Command.words = []string{c.firstWord()}; s.Command.words[0] == "" {
			return ""
		}
	} else if path.Base(c.words[0]) == "env" {
		return searchedByEnv(c.words[1:])
	}
	first, _ := disk.Within(ctx, &answers, s.Command.words[0], func() ([]byte, error) {
		program, _ := find(s)
		return head(inDir(dir, program)), nil
	})
	line, script := bytes.CutPrefix(firstLine(first), []byte("#!"))
	fields := strings.Fields(string(line))
	if !script || len(fields) == 0 || path.Base(fields[0]) != "env" {
		return ""
	}
	return searchedByEnv(fields[1:])
}

// searchedByEnv is the program among the words behind env.
func searchedByEnv(words []string) string {
	for _, word := range words {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
			return word
		}
	}
	return ""
}
