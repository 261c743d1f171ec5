//go:build e2e

package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// network is a namespace that the client lives in, with a cable to each of those of servers, whom it knows by name.
type network struct {
	t      testing.TB
	client string // the namespace
	far    []*farEnd
}

// farEnd is where one server lives.
type farEnd struct {
	*network
	server  string // the namespace
	name    string // of the server
	cable   string // its interface in both
	subnet  string // up to the last number
	address int    // the last number of the server's address now
}

func newNetwork(t testing.TB) *network {
	t.Helper()
	n := &network{t: t, client: "mpfault" + strconv.Itoa(os.Getpid())}
	folder := filepath.Join("/etc/netns", n.client) // `ip netns exec` puts what is in it over /etc
	t.Cleanup(func() {
		os.RemoveAll(folder)
		os.Remove(filepath.Dir(folder)) // unless others use it
	})
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	n.addNamespace(n.client)
	mustRun(t, "ip", "-n", n.client, "link", "set", "lo", "up") // for the relays
	return n
}

func (n *network) addNamespace(name string) {
	n.t.Helper()
	mustRun(n.t, "ip", "netns", "add", name)
	n.t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
}

// addFarEnd adds a namespace for a server, and the cable to it.
func (n *network) addFarEnd() *farEnd {
	n.t.Helper()
	id := strconv.Itoa(len(n.far))
	f := &farEnd{network: n, server: n.client + "s" + id, name: "server" + id + ".fault.test", cable: "cable" + id, subnet: "198.18." + id + ".", address: 10}
	n.far = append(n.far, f)
	n.addNamespace(f.server)
	mustRun(n.t, "ip", "link", "add", f.cable, "netns", f.server, "type", "veth", "peer", "name", f.cable, "netns", n.client)
	mustRun(n.t, "ip", "-n", n.client, "addr", "add", f.subnet+"2/24", "dev", f.cable)
	mustRun(n.t, "ip", "-n", f.server, "addr", "add", f.serverAddress()+"/24", "dev", f.cable)
	for _, namespace := range []string{f.server, n.client} {
		mustRun(n.t, "ip", "-n", namespace, "link", "set", f.cable, "up")
	}
	n.publish()
	return f
}

func (f *farEnd) serverAddress() string { return f.subnet + strconv.Itoa(f.address) }

// runIn returns the command that runs another in one of the namespaces.
func runIn(namespace string) []string { return []string{"ip", "netns", "exec", namespace} }

// publish writes the file in which the client's namespace finds the servers' addresses. It is written in place, for
// the one there is a mount of this very file.
func (n *network) publish() {
	n.t.Helper()
	var hosts strings.Builder
	for _, f := range n.far {
		fmt.Fprintln(&hosts, f.serverAddress(), f.name)
	}
	if err := os.WriteFile(filepath.Join("/etc/netns", n.client, "hosts"), []byte(hosts.String()), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (f *farEnd) move() {
	f.t.Helper()
	old := f.serverAddress()
	f.address = f.address%200 + 10
	mustRun(f.t, "ip", "-n", f.server, "addr", "del", old+"/24", "dev", f.cable)
	mustRun(f.t, "ip", "-n", f.server, "addr", "add", f.serverAddress()+"/24", "dev", f.cable)
	f.publish()
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

func (f *farEnd) cableOut() fault {
	return fault{"cable out", true, func(s *site) {
		mustRun(s.t, "ip", "-n", f.server, "link", "set", f.cable, "down")
		s.pause(s.while())
		mustRun(s.t, "ip", "-n", f.server, "link", "set", f.cable, "up")
	}}
}

// slow gives a third of what the load needs.
func (f *farEnd) slow() fault {
	return fault{"network slow", true, func(s *site) {
		mustRun(s.t, "tc", "-n", f.client, "qdisc", "add", "dev", f.cable, "root", "tbf", "rate", "200kbit", "burst", "4kb", "latency", "400ms")
		s.pause(s.while())
		mustRun(s.t, "tc", "-n", f.client, "qdisc", "del", "dev", f.cable, "root")
	}}
}

func (f *farEnd) moved() fault {
	return fault{"server's address moved", true, func(*site) { f.move() }}
}
