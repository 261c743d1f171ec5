package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"massive-passive/internal/disk"

	"golang.org/x/sys/unix"
)

// start starts a plugin. Where that fails it returns no process and a verdict
// that says why.
func (r *Runner) start(ctx context.Context, s Spec) (*process, verdict) {
	if ctx.Err() != nil {
		return nil, fault(Stopped, "the check was stopped before it was started")
	}
	if len(s.Command.words) == 0 {
		return nil, fault(StartFailure, "the check has no command")
	}
	if v := r.heldUp(s); v.trouble != None {
		return nil, v
	}
	p, v := r.startOnce(ctx, s)
	for over := time.Now().Add(replaceWait); r.beingReplaced(s, v) && time.Now().Before(over); {
		select {
		case <-time.After(replacePause):
			p, v = r.startOnce(ctx, s)
		case <-ctx.Done():
			return nil, v
		}
	}
	r.noteThere(s, v)
	return p, v
}

// startOnce is one try of start.
func (r *Runner) startOnce(ctx context.Context, s Spec) (*process, verdict) {
	begun := time.Now()
	program, v := r.locate(ctx, s)
	if v.trouble != None {
		return nil, v
	}
	words, env := s.Command.words, s.Command.env
	p, err := r.launch(program, words, env, s.Dir, s.MaxOutput)
	if errors.Is(err, syscall.ENOEXEC) {
		if v := scriptFault(s, program); v.trouble != None {
			return nil, v
		}
		// A script without a #! line: every shell runs such a one itself.
		p, err = r.launch(shell, append([]string{shell, program}, words[1:]...), env, s.Dir, s.MaxOutput)
	}
	if err != nil {
		v := startFault(s, program, err)
		v.busy = errors.Is(err, syscall.ETXTBSY)
		return nil, v
	}
	p.begun = begun
	return p, verdict{}
}

// locate finds the program, and has the file systems of it and of the directory
// answer, for no longer than the plugin may take. While a child is started, all of
// this process waits until it is through with entering its directory and becoming
// its program: that must not be the first to find out that one of them hangs.
func (r *Runner) locate(ctx context.Context, s Spec) (string, verdict) {
	type found struct {
		program string
		verdict verdict
	}
	answer := make(chan found, 1)
	go func() {
		program, v := find(s)
		r.ask(s.Dir)
		r.ask(inDir(s.Dir, program))
		answer <- found{program, v}
	}()
	var over <-chan time.Time
	if s.Timeout > 0 {
		timer := time.NewTimer(s.Timeout)
		defer timer.Stop()
		over = timer.C
	}
	var v verdict
	select {
	case f := <-answer:
		return f.program, f.verdict
	case <-over:
		v = fault(Timeout, "%s was not started: the file system of its program or directory did not answer within %v", s.Command.subject(), s.Timeout)
	case <-ctx.Done():
		v = fault(Stopped, "the check was stopped before it was started")
	}
	r.countSilent(s.Key, 1)
	go func() {
		<-answer
		r.countSilent(s.Key, -1)
	}()
	return "", v
}

func (r *Runner) countSilent(key string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent[key] += n; r.silent[key] == 0 {
		delete(r.silent, key)
	}
}

// ask has a file's first bytes read, as far as may be.
func ask(path string) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return // the start says so
	}
	_, _ = syscall.Read(fd, make([]byte, 1))
	_ = syscall.Close(fd)
}

// find returns the program's path, as it is to be seen from the directory that
// the plugin runs in.
func find(s Spec) (string, verdict) {
	name := s.Command.words[0]
	if strings.Contains(name, "/") {
		return name, verdict{}
	}
	closed := ""
	for _, dir := range filepath.SplitList(s.Command.path) {
		if dir == "" {
			dir = "." // an empty entry is the working directory, by POSIX
		}
		candidate := dir + "/" + name
		info, err := os.Stat(inDir(s.Dir, candidate))
		switch {
		case err != nil || !info.Mode().IsRegular():
		case info.Mode()&0o111 != 0:
			return candidate, verdict{}
		case closed == "":
			closed = candidate
		}
	}
	if v := dirFault(s.Dir); v.trouble != None {
		return "", v
	}
	if closed != "" {
		return "", fault(NotExecutable, "plugin %q is not executable: its mode lacks the x bits", closed)
	}
	return "", fault(NotFound, "plugin %q was not found in PATH %q", name, s.Command.path)
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return dir + "/" + path
}

func dirFault(dir string) verdict {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fault(BadDirectory, "the working directory %q cannot be used: %v", dir, bare(err))
	case !info.IsDir():
		return fault(BadDirectory, "the working directory %q is not a directory", dir)
	case unix.Access(dir, unix.X_OK) != nil:
		return fault(BadDirectory, "the working directory %q cannot be entered by this user: permission denied", dir)
	}
	return verdict{}
}

// startFault says why a program could not be executed. The kernel's error alone
// does not tell the program from its directory or its interpreter.
func startFault(s Spec, program string, err error) verdict {
	if v := dirFault(s.Dir); v.trouble != None {
		return v
	}
	path := inDir(s.Dir, program)
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, syscall.ENOENT) && statErr != nil:
		return fault(NotFound, "plugin %q was not found", path)
	case errors.Is(err, syscall.ENOENT):
		return fault(NotFound, "plugin %q is there, but %s is not", path, interpreter(path))
	case errors.Is(err, syscall.ENOTDIR):
		return fault(NotFound, "plugin %q was not found: a part of its path is not a directory", path)
	case errors.Is(err, syscall.EACCES) && statErr == nil && info.IsDir():
		return fault(NotExecutable, "plugin %q is a directory", path)
	case errors.Is(err, syscall.EACCES) && statErr == nil && info.Mode()&0o111 == 0:
		return fault(NotExecutable, "plugin %q is not executable: its mode lacks the x bits", path)
	case errors.Is(err, syscall.EACCES):
		return fault(NotExecutable, "plugin %q cannot be executed by this user: permission denied "+
			"(mode, a directory above it, or a file system mounted noexec)", path)
	case errors.Is(err, syscall.ETXTBSY):
		return fault(StartFailure, "plugin %q could not be started: for more than %v, some process has had it open to write to it", path, replaceWait)
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault(StartFailure, "plugin %q could not be started: %v (a limit on processes or open files is reached)", path, err)
	}
	return fault(StartFailure, "plugin %q could not be started: %v", path, err)
}

// interpreter names what a program needs to be executed.
func interpreter(path string) string {
	if rest, ok := bytes.CutPrefix(head(path), []byte("#!")); ok {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if bytes.HasSuffix(line, []byte("\r")) {
			return "the interpreter of its first line, because that line ends in a carriage return (Windows line ends)"
		}
		if fields := bytes.Fields(line); len(fields) > 0 {
			return "the interpreter " + strings.TrimSpace(cut(string(fields[0]), 100)) + " of its first line"
		}
	}
	return "the loader that it needs (a program for another system or C library)"
}

// scriptFault judges a program that the kernel does not know how to execute,
// before it is given to the shell.
func scriptFault(s Spec, program string) verdict {
	path := inDir(s.Dir, program)
	first := head(path)
	switch {
	case len(first) == 0:
		// A shell would run it and end with 0: a plugin lost in a full disk or
		// a broken download would be OK for ever.
		return fault(NotExecutable, "plugin %q is an empty file", path)
	case bytes.IndexByte(first, 0) >= 0:
		return fault(NotExecutable, "plugin %q is a program for another machine, or damaged", path)
	}
	return verdict{}
}

// head returns the beginning of a file, nothing where it cannot be read.
func head(path string) []byte {
	f, err := disk.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, 256)
	n, _ := io.ReadFull(f, buf)
	return buf[:n]
}

// bare takes the operation and the path from an error whose message has both
// already.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
