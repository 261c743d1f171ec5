package rig

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Core stands for a monitoring core: it reads the command pipe.
type Core struct {
	T     testing.TB
	Path  string
	Pipe  *os.File
	Lines *bufio.Reader
}

func NewCore(t testing.TB) *Core {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nagios.cmd")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	return &Core{t, path, pipe, bufio.NewReader(pipe)}
}

// Next reads a line that is no marker: those it does away with, as a core does that
// has worked on what is before them. A server that starts removes what the last one
// left.
func (c *Core) Next() (string, error) {
	for {
		line, err := c.Lines.ReadString('\n')
		marker, ok := MarkerIn(line)
		if !ok || err != nil {
			return line, err
		}
		if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// MarkerIn returns the file of a marker.
func MarkerIn(line string) (path string, ok bool) {
	_, path, ok = strings.Cut(line, "] PROCESS_FILE;")
	path = strings.TrimSuffix(strings.TrimSpace(path), ";1")
	return path, ok && strings.Contains(filepath.Base(path), "-marker-")
}

// Await reads lines until one contains text.
func (c *Core) Await(text string) string {
	c.T.Helper()
	c.Pipe.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		line, err := c.Next()
		if err != nil {
			c.T.Fatalf("wait for %q in the pipe: %v", text, err)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

// Program runs one of the program's names to its end.
func Program(t testing.TB, stdin, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(LinkTo(t, name), args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return data
}
