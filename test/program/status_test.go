package program

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/status"
	"massive-passive/test/rig"
)

// pages asks until what is there pleases, and returns the pages by role.
func pages(p *rig.Pair, pleases func(client, server status.Page) bool) {
	p.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, stdout, stderr := rig.Program(p.T, "", "massive-passive-status", "--json",
			"--state-dir", filepath.Join(p.Dir, "client"), "--state-dir", filepath.Join(p.Dir, "server"))
		pages := map[string]status.Page{}
		for decoder := json.NewDecoder(strings.NewReader(stdout)); decoder.More(); {
			var page status.Page
			if err := decoder.Decode(&page); err != nil {
				p.T.Fatal(err)
			}
			pages[page.Role] = page
		}
		if code == 0 && len(pages) == 2 && pleases(pages["client"], pages["server"]) {
			return
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("code %d, %s\n%s", code, stderr, stdout)
		}
	}
}

func TestStatusOfARunningPair(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.AddCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.2, "command": "/bin/echo fine"})
	p.AddCheck("slow", map[string]any{"check_description": "slow", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.3, "timeout": 0.5, "command": "/bin/sleep 9"})
	p.AddCheck("bad", map[string]any{"interval": "?"})
	p.StartServer()
	p.StartClient()
	pages(p, func(client, server status.Page) bool {
		checks := client.Client
		return len(client.Destinations) == 1 && client.Destinations[0].Name == "core" && client.Destinations[0].Waiting == "" && client.Destinations[0].Delivered > 3 &&
			client.PID == p.Client.Cmd.Process.Pid && checks.Checks == 2 && checks.TimedOut > 0 && checks.Skipped["max_instances"] > 0 &&
			len(checks.BadFiles) == 1 && checks.BadFiles[0] == "bad.cfg" && checks.Started > 0 &&
			len(server.Destinations) == 1 && server.Destinations[0].Waiting == "" && server.Server.Taken > 3 && server.Server.Connections == 1 &&
			len(server.Server.Clients) == 1 && server.Server.Clients[0].Name == "client-1" && server.Server.Clients[0].Results > 3
	})
	told := 0
	for line := range strings.Lines(p.Client.Words()) {
		if strings.Contains(line, "skipped a check that was due") && strings.Contains(line, "slow.cfg") && strings.Contains(line, "max_instances") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("skipped runs were told %d times, want once a minute", told)
	}
	p.Client.Cmd.Process.Signal(syscall.SIGUSR1)
	p.Server.Cmd.Process.Signal(syscall.SIGUSR1)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.Client.Words(), "massive-passive client: not well") ||
		!strings.Contains(p.Server.Words(), "massive-passive server: OK"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("SIGUSR1 did not write the page to the log")
		}
	}
}

func TestStatusAsAPlugin(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	client := filepath.Join(p.Dir, "client")
	ask := func(thresholds ...string) (int, string) {
		code, stdout, stderr := rig.Program(t, "", "massive-passive-status", append([]string{"--state-dir", client}, thresholds...)...)
		return code, stdout + stderr
	}
	if code, text := ask("--critical", "1"); code != 3 || !strings.Contains(text, "UNKNOWN: no client or server is running") {
		t.Errorf("before the start: %d %s", code, text)
	}
	p.AddCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.2, "command": "/bin/echo fine"})
	p.StartClient() // without a server
	await := func(want int, thresholds ...string) string {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			code, text := ask(thresholds...)
			if code == want {
				return text
			}
			if time.Now().After(deadline) {
				t.Fatalf("want code %d, got %d %s", want, code, text)
			}
		}
	}
	if text := await(0, "--warning", "5m"); !strings.Contains(text, "massive-passive OK: client has") || !strings.Contains(text, "| oldest_age=") {
		t.Errorf("said %s", text)
	}
	if text := await(2, "--warning", "0.5", "--critical", "1s"); !strings.Contains(text, "server core waits") {
		t.Errorf("said %s", text)
	}
	p.Client.Kill()
	if code, text := ask(); code != 3 || !strings.Contains(text, "no process is running behind") {
		t.Errorf("after a kill: %d %s", code, text)
	}
	p.StartClient()
	await(0)
}

// A state directory in which no socket can be made keeps nobody from work.
func TestAClientWithoutAStatusSocketWorks(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	if err := os.MkdirAll(filepath.Join(p.Dir, "client", status.SocketName, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.AddCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 1, "command": "/bin/echo fine"})
	p.StartServer()
	p.StartClient()
	c.Await(";h;good;0;fine")
	if !strings.Contains(p.Client.Words(), "cannot ask this client") {
		t.Error("nothing was said about the socket")
	}
}

// Two names for one server are two deliveries, and neither is taken for the
// other.
func TestTwoNamesOfOneServer(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	address := fmt.Sprint("127.0.0.1:", p.Port)
	for _, name := range []string{"one", "two"} {
		p.AddCheck(name, map[string]any{"check_description": name, "check_hostname": "h", "check_type": "service_check",
			"interval": 0.1, "command": "/bin/echo fine", "servers": map[string]string{name: address}})
	}
	p.StartServer()
	p.StartClient()
	pages(p, func(client, server status.Page) bool {
		return len(client.Destinations) == 2 && client.Destinations[0].Delivered > 10 && client.Destinations[1].Delivered > 10 && server.Server.Connections == 2
	})
	if connects := strings.Count(p.Client.Words(), `"connected"`); connects > 3 { // one may come before the server listens
		t.Errorf("connected %d times", connects)
	}
	pages(p, func(_, server status.Page) bool { return server.Server.Duplicates == 0 })
}
