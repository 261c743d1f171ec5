//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestE2EDeadPeerIsNoticed pulls the cable between a client and a server that
// have nothing to say to each other: both find out within a minute.
func TestE2EDeadPeerIsNoticed(t *testing.T) {
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	n := newNetwork(t)
	far := n.addFarEnd()
	port := strconv.Itoa(p.Port)
	replace(t, p.ServerArgs, "--listen", net.JoinHostPort("0.0.0.0", port))
	replace(t, p.ClientArgs, "--default-servers", "localhost="+net.JoinHostPort(far.name, port)) // a name in the certificate
	p.AddCheck("once", map[string]any{"check_description": "once", "check_hostname": "h", "check_type": "service_check",
		"interval": 3600, "command": "/bin/echo hello"})
	server := rig.StartWrapped(t, runIn(far.server), "massive-passive-server", append(p.ServerArgs, "--loglevel", "debug")...)
	client := rig.StartWrapped(t, runIn(n.client), "massive-passive-client", append(p.ClientArgs, "--loglevel", "debug")...)
	c.Await(";h;once;")
	time.Sleep(2 * time.Second) // until the ACK was acknowledged, too
	mustRun(t, "ip", "-n", far.server, "link", "set", far.cable, "down")
	cut := time.Now()
	for _, noticed := range []struct {
		by   *rig.Daemon
		says string
	}{{server, "the connection ended"}, {client, "cannot deliver"}} {
		for !strings.Contains(noticed.by.Words(), noticed.says) {
			if time.Since(cut) > time.Minute {
				t.Fatalf("a minute later: no %q from\n%s", noticed.says, noticed.by.Words())
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%q after %v", noticed.says, time.Since(cut).Round(time.Second))
	}
}
