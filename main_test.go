package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// core stands for a monitoring core: it reads the command pipe.
type core struct {
	t     testing.TB
	path  string
	pipe  *os.File
	lines *bufio.Reader
}

func newCore(t testing.TB) *core {
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
	return &core{t, path, pipe, bufio.NewReader(pipe)}
}

// next reads a line that is no marker: those it does away with, as a core does that
// has worked on what is before them. A server that starts removes what the last one
// left.
func (c *core) next() (string, error) {
	for {
		line, err := c.lines.ReadString('\n')
		marker, ok := markerIn(line)
		if !ok || err != nil {
			return line, err
		}
		if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// markerIn returns the file of a marker.
func markerIn(line string) (path string, ok bool) {
	_, path, ok = strings.Cut(line, "] PROCESS_FILE;")
	path = strings.TrimSuffix(strings.TrimSpace(path), ";1")
	return path, ok && strings.Contains(filepath.Base(path), "-marker-")
}

// await reads lines until one contains text.
func (c *core) await(text string) string {
	c.t.Helper()
	c.pipe.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		line, err := c.next()
		if err != nil {
			c.t.Fatalf("wait for %q in the pipe: %v", text, err)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

// program runs one of the program's names to its end.
func program(t testing.TB, stdin, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(linkTo(t, name), args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

func TestAPluginsResultReachesThePipe(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	p.addCheck("environment", map[string]any{"check_description": "environment", "check_hostname": "this.is.a.hostname",
		"check_type": "service_check", "interval": 0.5, "command": "/bin/echo 'hello this is an environment test: $TESTERTEST'",
		"env": map[string]string{"TESTERTEST": "moep!"}})
	p.addCheck("bad", map[string]any{"check_description": "bad", "interval": -5, "command": "x", "check_type": "service_check"})
	p.startServer()
	p.startClient()
	c.await(";this.is.a.hostname;environment;0;hello this is an environment test: moep!")
	if !strings.Contains(p.client.words(), "bad.cfg:1:") {
		t.Error("the bad check file was not named")
	}
	p.addCheck("later", map[string]any{"check_description": "later", "check_hostname": "h", "check_type": "service_check",
		"interval": 1, "command": "/bin/echo added while running"})
	c.await(";h;later;0;added while running")
}

// Whoever reads their standard error may go: a daemon has better to do than to die of it.
func TestDaemonsOutliveTheReaderOfTheirLog(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	p.addCheck("alive", map[string]any{"check_description": "alive", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/echo alive"})
	p.startServer()
	p.awaitPort()
	p.startClient()
	c.await(";h;alive;0;alive")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, d := range []**daemon{&p.server, &p.client} {
		(*d).stop()
		deaf := &daemon{t: t, exited: make(chan struct{}), cmd: exec.Command((*d).cmd.Path, (*d).cmd.Args[1:]...)}
		deaf.cmd.Stderr = w
		if err := deaf.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { deaf.cmd.Wait(); close(deaf.exited) }()
		t.Cleanup(deaf.stop)
		*d = deaf
	}
	p.addCheck("later", map[string]any{"check_description": "later", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/echo later"})
	c.await(";h;later;0;later")
	for _, d := range []*daemon{p.server, p.client} {
		select {
		case <-d.exited:
			t.Errorf("%s ended: %v", d.cmd.Path, d.cmd.ProcessState)
		default:
		}
	}
}

// What a killed server and a killed client had in hand arrives all the same.
func TestNothingIsLostWhenBothAreKilled(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	counter := filepath.Join(p.dir, "counter")
	p.addCheck("count", map[string]any{"check_description": "count", "check_hostname": "h", "check_type": "service_check", "interval": 0.2,
		"command": []string{"/bin/sh", "-c", fmt.Sprintf("echo x >> %s; /usr/bin/wc -l < %s", counter, counter)}})
	p.startClient()  // no server yet: results wait in the client's journal
	const lines = 15 // two bytes each; the first five of them were flushed seconds ago by then
	for deadline := time.Now().Add(30 * time.Second); len(readFile(t, counter)) < 2*lines; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the check does not run")
		}
	}
	p.client.kill()
	p.startServer()
	p.startClient()
	for n := 1; n <= 5; n++ {
		c.await(fmt.Sprintf(";h;count;0;%d", n))
	}
	p.server.kill()
	p.startServer()
	c.await(";h;count;0;5")
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return data
}

func TestSend(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	p.startServer()
	ssl := []string{"--ssl-key", p.set.ClientKey, "--ssl-cert", p.set.ClientCert, "--ssl-ca-cert", p.set.CA}
	server := fmt.Sprint("127.0.0.1:", p.port)
	p.awaitPort()
	for _, x := range []struct {
		name, program, stdin string
		args                 []string
		code                 int
		stdout, stderr, pipe string // parts
	}{
		{"service", "send_nsca", "h\ts\t1\tout\tput\n", nil, 0, "1 data packet(s) sent to host successfully.\n", "", ";h;s;1;out\tput"},
		{"host", "massive-passive-send", "h\t2\tdown\n", nil, 0, "1 data packet", "", "HOST_CHECK_RESULT;h;1;down"},
		{"sets", "massive-passive-send", "h\ts\t0\tone\x17h\ts\t0\ttwo\n", []string{"--quiet"}, 0, "", "", ";h;s;0;two"},
		{"newlines stay in the output", "massive-passive-send", "h\ts\t0\tone\nh\ts\t0\ttwo\n", nil, 0, "1 data packet", "looks like another result", `;h;s;0;one\nh`},
		{"raw", "massive-passive-send", "[5] PROCESS_SERVICE_CHECK_RESULT;h;s;0;raw\n", []string{"-C"}, 0, "1 data packet", "", "[5] PROCESS_SERVICE_CHECK_RESULT;h;s;0;raw"},
		{"code that is no number", "massive-passive-send", "h\ts\tx\tout\x17h\ts\t0\tgood", nil, 2, "1 data packet", `"x" is no whole number`, ";h;s;0;good"},
		{"nothing", "massive-passive-send", "\n", nil, 2, "", "nothing was sent", ""},
		{"a command that is not allowed", "massive-passive-send", "DISABLE_NOTIFICATIONS\n", []string{"-C"}, 4, "", "1 of 1 results refused", ""},
	} {
		code, stdout, stderr := program(t, x.stdin, x.program, append(append([]string{"--server", server}, ssl...), x.args...)...)
		if code != x.code || !strings.Contains(stdout, x.stdout) || !strings.Contains(stderr, x.stderr) || x.stderr == "" && stderr != "" {
			t.Errorf("%s: exit code %d\nstdout %q\nstderr %q", x.name, code, stdout, stderr)
		}
		if x.pipe != "" {
			c.await(x.pipe)
		}
	}
	code, stdout, _ := program(t, "[6] PROCESS_HOST_CHECK_RESULT;h;0;acted\n", "massive-passive-client",
		append([]string{"--act-as-sender", "--server", server}, ssl...)...)
	if c.await("acted"); code != 0 || !strings.Contains(stdout, "1 data packet") {
		t.Errorf("--act-as-sender: exit code %d, %q", code, stdout)
	}
}

// A wrong command line or set-up gives one line that says what and where, and
// the exit code for it.
func TestMistakesAreNamed(t *testing.T) {
	dir := t.TempDir()
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	missing := filepath.Join(dir, "missing")
	with := func(args []string, more ...string) []string { return append(append([]string{"-f"}, args...), more...) }
	for _, x := range []struct {
		program string
		args    []string
		code    int
		says    string
	}{
		{"massive-passive-server", []string{"--prot", "1"}, 2, "-prot"},
		{"massive-passive-server", []string{"stray"}, 2, "stray"},
		{"massive-passive-server", with(p.serverArgs, "--port", "70000"), 2, "70000"},
		{"massive-passive-server", with(p.serverArgs, "--listen", "10.0.0.1:x"), 2, "10.0.0.1:x"},
		{"massive-passive-server", with(p.serverArgs, "--loglevel", "loud"), 2, "loud"},
		{"massive-passive-server", with(p.serverArgs, "--tls-min-version", "1.5"), 2, `"1.5"`},
		{"massive-passive-client", with(p.clientArgs, "--tls-min-version", "ssl3"), 2, `"ssl3"`},
		{"massive-passive-send", []string{"--server", "mon", "--tls-min-version", "2"}, 3, `"2"`},
		{"massive-passive-server", with(p.serverArgs, "--ssl-cert", missing), 1, missing},
		{"massive-passive-server", with(p.serverArgs, "--ssl-key", p.set.ClientKey), 1, "does not belong"},
		{"massive-passive-server", with(p.serverArgs, "--ssl-ca-cert", p.set.ServerKey), 1, "no certificate"},
		{"massive-passive-server", with(p.serverArgs, "--allowed-client-cert-dir", missing), 1, missing},
		{"massive-passive-client", with(p.clientArgs, "--confdir", missing), 1, missing},
		{"massive-passive-client", with(p.clientArgs, "--server", "x"), 2, "--act-as-sender"},
		{"massive-passive-client", with(p.clientArgs, "--default-servers", "nonsense"), 2, "nonsense"},
		{"massive-passive-client", with(p.clientArgs, "--default-timeout", "soon"), 2, "soon"},
		{"massive-passive-send", []string{}, 3, "--server"},
		{"massive-passive-send", []string{"--server", "mon:99999"}, 3, "mon:99999"},
	} {
		code, stdout, stderr := program(t, "", x.program, x.args...)
		if code != x.code || !strings.Contains(stderr, x.says) || strings.Count(strings.TrimSpace(stderr), "\n") > 3 || stdout != "" {
			t.Errorf("%s %q: exit code %d, want %d\nstdout %q\nstderr %q", x.program, x.args, code, x.code, stdout, stderr)
		}
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	p := newPair(t, newCore(t).path, "nagios")
	p.startServer()
	p.awaitPort()
	other := newPair(t, newCore(t).path, "nagios")
	code, _, stderr := program(t, "", "massive-passive-server", append(append([]string{"-f"}, other.serverArgs...), "--listen", fmt.Sprint("127.0.0.1:", p.port))...)
	if code != 1 || !strings.Contains(stderr, fmt.Sprint(p.port)) || !strings.Contains(stderr, "in use") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestCheckConfig(t *testing.T) {
	p := newPair(t, newCore(t).path, "nagios")
	p.addCheck("cron", map[string]any{"check_description": "cron", "check_hostname": "h", "check_type": "service_check", "timezone": "UTC",
		"interval": map[string]any{"hour": "9-17"}, "command": "/bin/true"})
	args := append([]string{"--check-config", "--next", "2", "--from", "2026-01-31T17:30:00Z"}, p.clientArgs...)
	code, stdout, stderr := program(t, "", "massive-passive-client", args...)
	if want := "next 2026-02-01T09:00:00Z 2026-02-01T10:00:00Z\n"; code != 0 || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	p.addCheck("bad", map[string]any{"check_description": "bad", "check_hostname": "h", "check_type": "service_check",
		"interval": map[string]any{"hour": "25"}, "command": "/bin/true"})
	code, stdout, _ = program(t, "", "massive-passive-client", append(args, "--json")...)
	if code != 1 || !strings.Contains(stdout, `{"file":"bad.cfg","ok":false,"error":"bad.cfg:1:`) || !strings.Contains(stdout, `\"25\" is not allowed`) {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}
