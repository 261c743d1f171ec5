package program

import (
	"massive-passive/test/rig"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAPluginsResultReachesThePipe(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.AddCheck("environment", map[string]any{"check_description": "environment", "check_hostname": "this.is.a.hostname",
		"check_type": "service_check", "interval": 0.5, "command": "/bin/echo 'hello this is an environment test: $TESTERTEST'",
		"env": map[string]string{"TESTERTEST": "moep!"}})
	p.AddCheck("bad", map[string]any{"check_description": "bad", "interval": -5, "command": "x", "check_type": "service_check"})
	p.StartServer()
	p.StartClient()
	c.Await(";this.is.a.hostname;environment;0;hello this is an environment test: moep!")
	if !strings.Contains(p.Client.Words(), "bad.cfg:1:") {
		t.Error("the bad check file was not named")
	}
	p.AddCheck("later", map[string]any{"check_description": "later", "check_hostname": "h", "check_type": "service_check",
		"interval": 1, "command": "/bin/echo added while running"})
	c.Await(";h;later;0;added while running")
}

// Whoever reads their standard error may go: a daemon has better to do than to die of it.
func TestDaemonsOutliveTheReaderOfTheirLog(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.AddCheck("alive", map[string]any{"check_description": "alive", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/echo alive"})
	p.StartServer()
	p.AwaitPort()
	p.StartClient()
	c.Await(";h;alive;0;alive")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, d := range []**rig.Daemon{&p.Server, &p.Client} {
		(*d).Stop()
		deaf := &rig.Daemon{T: t, Exited: make(chan struct{}), Cmd: exec.Command((*d).Cmd.Path, (*d).Cmd.Args[1:]...)}
		deaf.Cmd.Stderr = w
		if err := deaf.Cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { deaf.Cmd.Wait(); close(deaf.Exited) }()
		t.Cleanup(deaf.Stop)
		*d = deaf
	}
	p.AddCheck("later", map[string]any{"check_description": "later", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/echo later"})
	c.Await(";h;later;0;later")
	for _, d := range []*rig.Daemon{p.Server, p.Client} {
		select {
		case <-d.Exited:
			t.Errorf("%s ended: %v", d.Cmd.Path, d.Cmd.ProcessState)
		default:
		}
	}
}

// What a killed server and a killed client had in hand arrives all the same.
func TestNothingIsLostWhenBothAreKilled(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	counter := filepath.Join(p.Dir, "counter")
	p.AddCheck("count", map[string]any{"check_description": "count", "check_hostname": "h", "check_type": "service_check", "interval": 0.2,
		"command": []string{"/bin/sh", "-c", fmt.Sprintf("echo x >> %s; /usr/bin/wc -l < %s", counter, counter)}})
	p.StartClient()  // no server yet: results wait in the client's journal
	const lines = 15 // two bytes each; the first five of them were flushed seconds ago by then
	for deadline := time.Now().Add(30 * time.Second); len(rig.ReadFile(t, counter)) < 2*lines; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the check does not run")
		}
	}
	p.Client.Kill()
	p.StartServer()
	p.StartClient()
	for n := 1; n <= 5; n++ {
		c.Await(fmt.Sprintf(";h;count;0;%d", n))
	}
	p.Server.Kill()
	p.StartServer()
	c.Await(";h;count;0;5")
}

func TestSend(t *testing.T) {
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.StartServer()
	ssl := []string{"--ssl-key", p.Set.ClientKey, "--ssl-cert", p.Set.ClientCert, "--ssl-ca-cert", p.Set.CA}
	server := fmt.Sprint("127.0.0.1:", p.Port)
	p.AwaitPort()
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
		code, stdout, stderr := rig.Program(t, x.stdin, x.program, append(append([]string{"--server", server}, ssl...), x.args...)...)
		if code != x.code || !strings.Contains(stdout, x.stdout) || !strings.Contains(stderr, x.stderr) || x.stderr == "" && stderr != "" {
			t.Errorf("%s: exit code %d\nstdout %q\nstderr %q", x.name, code, stdout, stderr)
		}
		if x.pipe != "" {
			c.Await(x.pipe)
		}
	}
	code, stdout, _ := rig.Program(t, "[6] PROCESS_HOST_CHECK_RESULT;h;0;acted\n", "massive-passive-client",
		append([]string{"--act-as-sender", "--server", server}, ssl...)...)
	if c.Await("acted"); code != 0 || !strings.Contains(stdout, "1 data packet") {
		t.Errorf("--act-as-sender: exit code %d, %q", code, stdout)
	}
}

// A wrong command line or set-up gives one line that says what and where, and
// the exit code for it.
func TestMistakesAreNamed(t *testing.T) {
	dir := t.TempDir()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
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
		{"massive-passive-server", with(p.ServerArgs, "--port", "70000"), 2, "70000"},
		{"massive-passive-server", with(p.ServerArgs, "--listen", "10.0.0.1:x"), 2, "10.0.0.1:x"},
		{"massive-passive-server", with(p.ServerArgs, "--loglevel", "loud"), 2, "loud"},
		{"massive-passive-server", with(p.ServerArgs, "--tls-min-version", "1.5"), 2, `"1.5"`},
		{"massive-passive-client", with(p.ClientArgs, "--tls-min-version", "ssl3"), 2, `"ssl3"`},
		{"massive-passive-send", []string{"--server", "mon", "--tls-min-version", "2"}, 3, `"2"`},
		{"massive-passive-server", with(p.ServerArgs, "--ssl-cert", missing), 1, missing},
		{"massive-passive-server", with(p.ServerArgs, "--ssl-key", p.Set.ClientKey), 1, "does not belong"},
		{"massive-passive-server", with(p.ServerArgs, "--ssl-ca-cert", p.Set.ServerKey), 1, "no certificate"},
		{"massive-passive-server", with(p.ServerArgs, "--allowed-client-cert-dir", missing), 1, missing},
		{"massive-passive-client", with(p.ClientArgs, "--confdir", missing), 1, missing},
		{"massive-passive-client", with(p.ClientArgs, "--server", "x"), 2, "--act-as-sender"},
		{"massive-passive-client", with(p.ClientArgs, "--default-servers", "nonsense"), 2, "nonsense"},
		{"massive-passive-client", with(p.ClientArgs, "--default-timeout", "soon"), 2, "soon"},
		{"massive-passive-send", []string{}, 3, "--server"},
		{"massive-passive-send", []string{"--server", "mon:99999"}, 3, "mon:99999"},
	} {
		code, stdout, stderr := rig.Program(t, "", x.program, x.args...)
		if code != x.code || !strings.Contains(stderr, x.says) || strings.Count(strings.TrimSpace(stderr), "\n") > 3 || stdout != "" {
			t.Errorf("%s %q: exit code %d, want %d\nstdout %q\nstderr %q", x.program, x.args, code, x.code, stdout, stderr)
		}
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	other := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	code, _, stderr := rig.Program(t, "", "massive-passive-server", append(append([]string{"-f"}, other.ServerArgs...), "--listen", fmt.Sprint("127.0.0.1:", p.Port))...)
	if code != 1 || !strings.Contains(stderr, fmt.Sprint(p.Port)) || !strings.Contains(stderr, "in use") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestCheckConfig(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.AddCheck("cron", map[string]any{"check_description": "cron", "check_hostname": "h", "check_type": "service_check", "timezone": "UTC",
		"interval": map[string]any{"hour": "9-17"}, "command": "/bin/true"})
	args := append([]string{"--check-config", "--next", "2", "--from", "2026-01-31T17:30:00Z"}, p.ClientArgs...)
	code, stdout, stderr := rig.Program(t, "", "massive-passive-client", args...)
	if want := "next 2026-02-01T09:00:00Z 2026-02-01T10:00:00Z\n"; code != 0 || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	p.AddCheck("bad", map[string]any{"check_description": "bad", "check_hostname": "h", "check_type": "service_check",
		"interval": map[string]any{"hour": "25"}, "command": "/bin/true"})
	code, stdout, _ = rig.Program(t, "", "massive-passive-client", append(args, "--json")...)
	if code != 1 || !strings.Contains(stdout, `{"file":"bad.cfg","ok":false,"error":"bad.cfg:1:`) || !strings.Contains(stdout, `\"25\" is not allowed`) {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}
