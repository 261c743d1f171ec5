package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"massive-passive/wire/certs/certstest"
)

var (
	//go:embed plugins/counter.sh
	counterPlugin string
	//go:embed plugins/load.sh
	loadPlugin string
	//go:embed plugins/disks.sh
	disksPlugin string
)

// host is what the sample checks report on.
const host = "demo-host"

// setup is what the demo made in its folder.
type setup struct {
	dir     string
	certs   certstest.Set
	pipe    *os.File // the command pipe; the demo reads it as a core would
	address string   // of the server
}

func (s *setup) path(name string) string { return filepath.Join(s.dir, name) }

func (s *setup) close() { s.pipe.Close() }

// prepare fills dir with certificates, the command pipe and the check files.
func prepare(dir string) (*setup, error) {
	s := &setup{dir: dir}
	for _, name := range []string{"certs", "checks.d", "plugins"} {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			return nil, err
		}
	}
	var err error
	if s.certs, err = certstest.WriteSet(s.path("certs"), "demo-client"); err != nil {
		return nil, err
	}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := s.writeChecks(); err != nil {
		return nil, err
	}
	return s, s.makePipe()
}

// makePipe makes the command pipe and opens it. It is opened for both ways, so
// that it does not end whenever no server has it open.
func (s *setup) makePipe() error {
	if err := syscall.Mkfifo(s.path("core.cmd"), 0o600); err != nil {
		return fmt.Errorf("make the command pipe: %w", err)
	}
	var err error
	s.pipe, err = os.OpenFile(s.path("core.cmd"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	return err
}

// freeAddress returns an address of this machine with a port that nobody uses.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// counter is the check whose results are numbered.
const counter = "counter"

// writeChecks writes the sample checks and the plugins that three of them run.
func (s *setup) writeChecks() error {
	env := check{
		Description: "environment", Interval: 3,
		Command: "/bin/echo 'hello this is an environment test: $TESTERTEST'",
		Env:     map[string]string{"TESTERTEST": "moep!"},
	}
	count := check{Description: counter, Interval: 1, Command: []string{"/bin/sh", s.path("plugins/counter.sh")}, Dir: s.path("plugins")}
	load := check{Description: "load", Interval: 2, Command: "/bin/sh " + s.path("plugins/load.sh")}
	disks := check{Description: "disks", Interval: 5, Command: []string{"/bin/sh", s.path("plugins/disks.sh")}, Timeout: 4}
	return errors.Join(
		os.WriteFile(s.path("plugins/counter.sh"), []byte(counterPlugin), 0o755),
		os.WriteFile(s.path("plugins/load.sh"), []byte(loadPlugin), 0o755),
		os.WriteFile(s.path("plugins/disks.sh"), []byte(disksPlugin), 0o755),
		s.write("environment.cfg", env), s.write("counter.cfg", count), s.write("load.cfg", load), s.write("disks.cfg", disks),
	)
}

// check is a check file.
type check struct {
	Type        string            `json:"check_type"`
	Hostname    string            `json:"check_hostname"`
	Description string            `json:"check_description"`
	Interval    int               `json:"interval"`
	Servers     map[string]string `json:"servers"`
	Command     any               `json:"command"` // a string, or a list of them
	Env         map[string]string `json:"env,omitempty"`
	Dir         string            `json:"cwd,omitempty"`
	Timeout     int               `json:"timeout,omitempty"` // seconds; a mount that hangs holds df up
}

func (s *setup) write(name string, c check) error {
	c.Type, c.Hostname, c.Servers = "service_check", host, map[string]string{"localhost": s.address}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write the check file %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(s.path("checks.d"), name), append(data, '\n'), 0o644)
}

func (s *setup) serverArgs() []string {
	return []string{
		"server", "--foreground", "--log-format", "console", "--listen", s.address,
		"--command-file", s.path("core.cmd"), "--dialect", "nagios", "--state-dir", s.path("server-state"),
		"--ssl-ca-cert", s.certs.CA, "--ssl-cert", s.certs.ServerCert, "--ssl-key", s.certs.ServerKey,
		"--allowed-client-cert-dir", s.certs.AllowedDir,
	}
}

func (s *setup) clientArgs() []string {
	return []string{
		"client", "--foreground", "--log-format", "console", "--confdir", s.path("checks.d"),
		"--state-dir", s.path("client-state"), "--initial-random-wait-range", "0", "--stop-timeout", "1",
		"--ssl-ca-cert", s.certs.CA, "--ssl-cert", s.certs.ClientCert, "--ssl-key", s.certs.ClientKey,
	}
}

func (s *setup) introduce(w io.Writer, length time.Duration) {
	fmt.Fprintf(w, `A massive-passive client runs four checks, every 1, 2, 3 and 5 seconds, and
sends their results over mutual TLS to a massive-passive server on
%[1]s. The server writes them to a command pipe, where Nagios would
read them; here this demo does. Half-way the server is killed. It all ends
after %[2]s, or with Ctrl-C.

  check files  %[3]s
  plugins      %[4]s
  certificates %[5]s
  logs         %[6]s and client.log
  all of it goes away at the end

`, s.address, length, s.path("checks.d"), s.path("plugins"), s.path("certs"), s.path("server.log"))
}
