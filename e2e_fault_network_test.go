//go:build e2e

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// network is two namespaces with one cable between them; the server lives in one, the client in the other and
// knows the server by name.
type network struct {
	w              *world
	server, client string // the namespaces
	address        int    // the last number of the server's address now
}

const (
	cable       = "cable" // the interface in both
	networkName = "server.fault.test"
)

func newNetwork(w *world) *network {
	w.t.Helper()
	id := "mpfault" + strconv.Itoa(os.Getpid())
	n := &network{w: w, server: id + "s", client: id + "c", address: 10}
	folder := filepath.Join("/etc/netns", n.client) // `ip netns exec` puts what is in it over /etc
	w.t.Cleanup(func() {
		for _, namespace := range []string{n.server, n.client} {
			exec.Command("ip", "netns", "del", namespace).Run() // one that could not be made is not there
		}
		os.RemoveAll(folder)
		os.Remove(filepath.Dir(folder)) // unless others use it
	})
	if err := os.MkdirAll(folder, 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.command("ip", "netns", "add", n.server)
	w.command("ip", "netns", "add", n.client)
	w.command("ip", "link", "add", cable, "netns", n.server, "type", "veth", "peer", "name", cable, "netns", n.client)
	w.command("ip", "-n", n.client, "addr", "add", "198.18.0.2/24", "dev", cable)
	w.command("ip", "-n", n.server, "addr", "add", n.serverAddress()+"/24", "dev", cable)
	for _, namespace := range []string{n.server, n.client} {
		w.command("ip", "-n", namespace, "link", "set", cable, "up")
	}
	n.publish()
	port := strconv.Itoa(w.port)
	w.serverWrap, w.clientWrap = []string{"ip", "netns", "exec", n.server}, []string{"ip", "netns", "exec", n.client}
	replace(w.t, w.serverArgs, "--listen", net.JoinHostPort("0.0.0.0", port))
	replace(w.t, w.clientArgs, "--default-servers", "localhost="+net.JoinHostPort(networkName, port)) // a name in the certificate
	return n
}

func (n *network) serverAddress() string { return fmt.Sprint("198.18.0.", n.address) }

// publish writes the file in which the client's namespace finds the server's address. It is written in place, for
// the one there is a mount of this very file.
func (n *network) publish() {
	n.w.t.Helper()
	file := filepath.Join("/etc/netns", n.client, "hosts")
	if err := os.WriteFile(file, []byte(n.serverAddress()+" "+networkName+"\n"), 0o644); err != nil {
		n.w.t.Fatal(err)
	}
}

func (n *network) move() {
	n.w.t.Helper()
	old := n.serverAddress()
	n.address = n.address%200 + 10
	n.w.command("ip", "-n", n.server, "addr", "del", old+"/24", "dev", cable)
	n.w.command("ip", "-n", n.server, "addr", "add", n.serverAddress()+"/24", "dev", cable)
	n.publish()
}

func (n *network) faults() []fault {
	return []fault{
		{"cable out", true, func(w *world) {
			w.command("ip", "-n", n.server, "link", "set", cable, "down")
			w.pause(w.while())
			w.command("ip", "-n", n.server, "link", "set", cable, "up")
		}},
		{"network slow", true, func(w *world) { // a third of what the load needs
			w.command("tc", "-n", n.client, "qdisc", "add", "dev", cable, "root", "tbf", "rate", "200kbit", "burst", "4kb", "latency", "400ms")
			w.pause(w.while())
			w.command("tc", "-n", n.client, "qdisc", "del", "dev", cable, "root")
		}},
		{"server's address moved", true, func(*world) { n.move() }},
	}
}

// address is where the server listens for who is on this machine.
func (w *world) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port)) }
