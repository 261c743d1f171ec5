package main

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
)

// pages asks until what is there pleases, and returns the pages by role.
func (p *pair) pages(pleases func(client, server status.Page) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, stdout, stderr := program(p.t, "", "massive-passive-status", "--json",
			"--state-dir", filepath.Join(p.dir, "client"), "--state-dir", filepath.Join(p.dir, "server"))
		pages := map[string]status.Page{}
		for decoder := json.NewDecoder(strings.NewReader(stdout)); decoder.More(); {
			var page status.Page
			if err := decoder.Decode(&page); err != nil {
				p.t.Fatal(err)
			}
			pages[page.Role] = page
		}
		if code == 0 && len(pages) == 2 && pleases(pages["client"], pages["server"]) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("code %d, %s\n%s", code, stderr, stdout)
		}
	}
}

func TestStatusOfARunningPair(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	p.addCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.2, "command": "/bin/echo fine"})
	p.addCheck("slow", map[string]any{"check_description": "slow", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.3, "timeout": 0.5, "command": "/bin/sleep 9"})
	p.addCheck("bad", map[string]any{"interval": "?"})
	p.startServer()
	p.startClient()
	p.pages(func(client, server status.Page) bool {
		checks := client.Client
		return len(client.Outlets) == 1 && client.Outlets[0].Name == "core" && client.Outlets[0].Waiting == "" && client.Outlets[0].Delivered > 3 &&
			client.PID == p.client.cmd.Process.Pid && checks.Checks == 2 && checks.TimedOut > 0 && checks.Skipped["max_instances"] > 0 &&
			len(checks.BadFiles) == 1 && checks.BadFiles[0] == "bad.cfg" && checks.Started > 0 &&
			len(server.Outlets) == 1 && server.Outlets[0].Waiting == "" && server.Server.Taken > 3 && server.Server.Connections == 1 &&
			len(server.Server.Clients) == 1 && server.Server.Clients[0].Name == "client-1" && server.Server.Clients[0].Results > 3
	})
	told := 0
	for line := range strings.Lines(p.client.words()) {
		if strings.Contains(line, "skipped a check that was due") && strings.Contains(line, "slow.cfg") && strings.Contains(line, "max_instances") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("skipped runs were told %d times, want once a minute", told)
	}
	p.client.cmd.Process.Signal(syscall.SIGUSR1)
	p.server.cmd.Process.Signal(syscall.SIGUSR1)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.client.words(), "massive-passive client: not well") ||
		!strings.Contains(p.server.words(), "massive-passive server: OK"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("SIGUSR1 did not write the page to the log")
		}
	}
}

func TestStatusAsAPlugin(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	client := filepath.Join(p.dir, "client")
	ask := func(thresholds ...string) (int, string) {
		code, stdout, stderr := program(t, "", "massive-passive-status", append([]string{"--state-dir", client}, thresholds...)...)
		return code, stdout + stderr
	}
	if code, text := ask("--critical", "1"); code != 3 || !strings.Contains(text, "UNKNOWN: no client or server is running") {
		t.Errorf("before the start: %d %s", code, text)
	}
	p.addCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 0.2, "command": "/bin/echo fine"})
	p.startClient() // without a server
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
	p.client.kill()
	if code, text := ask(); code != 3 || !strings.Contains(text, "no process is running behind") {
		t.Errorf("after a kill: %d %s", code, text)
	}
	p.startClient()
	await(0)
}

// A state directory in which no socket can be made keeps nobody from work.
func TestAClientWithoutAStatusSocketWorks(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	if err := os.MkdirAll(filepath.Join(p.dir, "client", status.SocketName, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.addCheck("good", map[string]any{"check_description": "good", "check_hostname": "h", "check_type": "service_check",
		"interval": 1, "command": "/bin/echo fine"})
	p.startServer()
	p.startClient()
	c.await(";h;good;0;fine")
	if !strings.Contains(p.client.words(), "cannot ask this client") {
		t.Error("nothing was said about the socket")
	}
}

// Two names for one server are two deliveries, and neither is taken for the
// other.
func TestTwoNamesOfOneServer(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	address := fmt.Sprint("127.0.0.1:", p.port)
	for _, name := range []string{"one", "two"} {
		p.addCheck(name, map[string]any{"check_description": name, "check_hostname": "h", "check_type": "service_check",
			"interval": 0.1, "command": "/bin/echo fine", "servers": map[string]string{name: address}})
	}
	p.startServer()
	p.startClient()
	p.pages(func(client, server status.Page) bool {
		return len(client.Outlets) == 2 && client.Outlets[0].Delivered > 10 && client.Outlets[1].Delivered > 10 && server.Server.Connections == 2
	})
	if connects := strings.Count(p.client.words(), `"connected"`); connects > 3 { // one may come before the server listens
		t.Errorf("connected %d times", connects)
	}
	p.pages(func(_, server status.Page) bool { return server.Server.Duplicates == 0 })
}
