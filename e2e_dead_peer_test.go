//go:build e2e

package main

import (
	"strings"
	"testing"
	"time"
)

// TestE2EDeadPeerIsNoticed pulls the cable between a client and a server that
// have nothing to say to each other: both find out within a minute.
func TestE2EDeadPeerIsNoticed(t *testing.T) {
	c := newCore(t)
	w := &world{pair: newPair(t, c.path, "nagios")}
	n := newNetwork(w)
	w.serverArgs = append(w.serverArgs, "--loglevel", "debug")
	w.clientArgs = append(w.clientArgs, "--loglevel", "debug")
	w.addCheck("once", map[string]any{"check_description": "once", "check_hostname": "h", "check_type": "service_check",
		"interval": 3600, "command": "/bin/echo hello"})
	w.bootServer()
	w.bootClient()
	c.await(";h;once;")
	time.Sleep(2 * time.Second) // until the ACK was acknowledged, too
	w.command("ip", "-n", n.server, "link", "set", cable, "down")
	cut := time.Now()
	for _, noticed := range []struct {
		by   *daemon
		says string
	}{{w.server, "the connection ended"}, {w.client, "cannot deliver"}} {
		for !strings.Contains(noticed.by.words(), noticed.says) {
			if time.Since(cut) > time.Minute {
				t.Fatalf("a minute later: no %q from\n%s", noticed.says, noticed.by.words())
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%q after %v", noticed.says, time.Since(cut).Round(time.Second))
	}
}
