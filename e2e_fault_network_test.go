//go:build e2e

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// network is two namespaces with one cable between them; the server lives in one, the client in the other and
// knows the server by name.
type network struct {
	t              testing.TB
	server, client string // the namespaces
	address        int    // the last number of the server's address now
}

const (
	cable       = "cable" // the interface in both
	networkName = "server.fault.test"
)

func newNetwork(t testing.TB) *network {
	t.Helper()
	id := "mpfault" + strconv.Itoa(os.Getpid())
	n := &network{t: t, server: id + "s", client: id + "c", address: 10}
	folder := filepath.Join("/etc/netns", n.client) // `ip netns exec` puts what is in it over /etc
	t.Cleanup(func() {
		for _, namespace := range []string{n.server, n.client} {
			exec.Command("ip", "netns", "del", namespace).Run() // one that could not be made is not there
		}
		os.RemoveAll(folder)
		os.Remove(filepath.Dir(folder)) // unless others use it
	})
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "ip", "netns", "add", n.server)
	mustRun(t, "ip", "netns", "add", n.client)
	mustRun(t, "ip", "link", "add", cable, "netns", n.server, "type", "veth", "peer", "name", cable, "netns", n.client)
	mustRun(t, "ip", "-n", n.client, "addr", "add", "198.18.0.2/24", "dev", cable)
	mustRun(t, "ip", "-n", n.server, "addr", "add", n.serverAddress()+"/24", "dev", cable)
	for _, namespace := range []string{n.server, n.client} {
		mustRun(t, "ip", "-n", namespace, "link", "set", cable, "up")
	}
	mustRun(t, "ip", "-n", n.client, "link", "set", "lo", "up") // for the relays
	n.publish()
	return n
}

func (n *network) serverAddress() string { return fmt.Sprint("198.18.0.", n.address) }

// runIn returns the command that runs another in one of the namespaces.
func runIn(namespace string) []string { return []string{"ip", "netns", "exec", namespace} }

// publish writes the file in which the client's namespace finds the server's address. It is written in place, for
// the one there is a mount of this very file.
func (n *network) publish() {
	n.t.Helper()
	file := filepath.Join("/etc/netns", n.client, "hosts")
	if err := os.WriteFile(file, []byte(n.serverAddress()+" "+networkName+"\n"), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) move() {
	n.t.Helper()
	old := n.serverAddress()
	n.address = n.address%200 + 10
	mustRun(n.t, "ip", "-n", n.server, "addr", "del", old+"/24", "dev", cable)
	mustRun(n.t, "ip", "-n", n.server, "addr", "add", n.serverAddress()+"/24", "dev", cable)
	n.publish()
}

// listen opens a port on the loopback of the client's namespace.
func (n *network) listen() (net.Listener, error) {
	type outcome struct {
		listener net.Listener
		err      error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread() // for good, so that the thread ends with this goroutine: nothing else is to run there
		namespace, err := os.Open(filepath.Join("/run/netns", n.client))
		if err == nil {
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
			namespace.Close()
		}
		var l net.Listener
		if err == nil {
			l, err = net.Listen("tcp4", "127.0.0.1:0")
		}
		done <- outcome{l, err}
	}()
	o := <-done
	return o.listener, o.err
}

// networkFaults are for a site that is reached across the world's network.
func networkFaults() []fault {
	return []fault{
		{"cable out", true, func(s *site) {
			n := s.world.network
			mustRun(s.t, "ip", "-n", n.server, "link", "set", cable, "down")
			s.pause(s.while())
			mustRun(s.t, "ip", "-n", n.server, "link", "set", cable, "up")
		}},
		{"network slow", true, func(s *site) { // a third of what the load needs
			n := s.world.network
			mustRun(s.t, "tc", "-n", n.client, "qdisc", "add", "dev", cable, "root", "tbf", "rate", "200kbit", "burst", "4kb", "latency", "400ms")
			s.pause(s.while())
			mustRun(s.t, "tc", "-n", n.client, "qdisc", "del", "dev", cable, "root")
		}},
		{"server's address moved", true, func(s *site) { s.world.network.move() }},
	}
}
