package pki

import (
	"bytes"
	"crypto/tls"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"

	"github.com/urfave/cli/v2"
)

// shell runs the commands as a user does.
type shell struct {
	t           *testing.T
	out, hints  bytes.Buffer // of the last command
	in          []byte
	expectation string // what the next command's error must say; "": none
}

func (s *shell) env() Env {
	s.out.Reset()
	s.hints.Reset()
	return Env{Stdin: bytes.NewReader(s.in), Stdout: &s.out, Stderr: &s.hints}
}

// fails has the next command fail with a message that contains text.
func (s *shell) fails(text string) *shell {
	s.expectation = text
	return s
}

// run runs one subcommand of `massive-passive pki`.
func (s *shell) run(args ...string) {
	s.t.Helper()
	command := Command(s.env())
	app := &cli.App{Name: "pki", Commands: command.Subcommands, Action: command.Action, Writer: &s.out, ErrWriter: &s.hints,
		HideHelpCommand: true, ExitErrHandler: func(*cli.Context, error) {}}
	s.check(app.Run(append([]string{"pki"}, args...)), args)
}

func (s *shell) check(err error, args []string) {
	s.t.Helper()
	want := s.expectation
	s.expectation = ""
	switch {
	case want == "" && err != nil:
		s.t.Fatalf("%q: %v", args, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		s.t.Errorf("%q: %v does not say %q", args, err, want)
	}
}

// files are all of a directory with their modes and contents.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode().String() + " " + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// end loads what a host has, as its daemon does.
func end(t *testing.T, dir string, r role) certs.End {
	t.Helper()
	e, err := certs.Load(certs.Files{Cert: filepath.Join(dir, r.certName()), Key: filepath.Join(dir, r.keyName()),
		CA: filepath.Join(dir, certs.CACertName), MinVersion: certs.DefaultMinVersion}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// handshake connects a client to a server that is reached by name.
func handshake(t *testing.T, serverDir, clientDir, name string) error {
	t.Helper()
	serverSide, clientSide := net.Pipe()
	for _, conn := range []net.Conn{serverSide, clientSide} {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
	}
	server := tls.Server(serverSide, certs.ServerConfig(end(t, serverDir, server), tls.RequireAndVerifyClientCert, wire.ALPN))
	client := tls.Client(clientSide, certs.ClientConfig(end(t, clientDir, client), certs.VerifyName, name))
	done := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err != nil {
			serverSide.Close()
		}
		done <- err
	}()
	if err := client.Handshake(); err != nil {
		clientSide.Close()
		<-done
		return err
	}
	return <-done
}
