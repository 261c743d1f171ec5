//go:build e2e

package main

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestE2EDeadPeerIsNoticed pulls the cable between a client and a server that
// have nothing to say to each other: both find out within a minute.
func TestE2EDeadPeerIsNoticed(t *testing.T) {
	c := newCore(t)
	p := newPair(t, c.path, "nagios")
	n := newNetwork(t)
	far := n.addFarEnd()
	port := strconv.Itoa(p.port)
	replace(t, p.serverArgs, "--listen", net.JoinHostPort("0.0.0.0", port))
	replace(t, p.clientArgs, "--default-servers", "localhost="+net.JoinHostPort(far.name, port)) // a name in the certificate
	p.addCheck("once", map[string]any{"check_description": "once", "check_hostname": "h", "check_type": "service_check",
		"interval": 3600, "command": "/bin/echo hello"})
	server := startWrapped(t, runIn(far.server), "massive-passive-server", append(p.serverArgs, "--loglevel", "debug")...)
	client := startWrapped(t, runIn(n.client), "massive-passive-client", append(p.clientArgs, "--loglevel", "debug")...)
	c.await(";h;once;")
	time.Sleep(2 * time.Second) // until the ACK was acknowledged, too
	mustRun(t, "ip", "-n", far.server, "link", "set", far.cable, "down")
	cut := time.Now()
	for _, noticed := range []struct {
		by   *daemon
		says string
	}{{server, "the connection ended"}, {client, "cannot deliver"}} {
		for !strings.Contains(noticed.by.words(), noticed.says) {
			if time.Since(cut) > time.Minute {
				t.Fatalf("a minute later: no %q from\n%s", noticed.says, noticed.by.words())
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%q after %v", noticed.says, time.Since(cut).Round(time.Second))
	}
}
