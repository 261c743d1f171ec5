package client

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/journal"
)

// deliveries are the connections to the servers, one each. Only the goroutine
// that loads the check files changes them.
type deliveries struct {
	client *Client
	certs  certs.End

	ctx     context.Context // of all deliveries
	stop    context.CancelFunc
	mu      sync.Mutex                  // held to change running, and by others to look at it
	running map[string]*delivery        // by the server's name
	known   map[string]*sender.Identity // of this process, by the server's name
	done    sync.WaitGroup
}

// delivery is the way to one server.
type delivery struct {
	address string
	sender  *sender.Delivery
	end     context.CancelFunc
	ended   chan struct{}
}

func (d *deliveries) begin(ctx context.Context) {
	d.ctx, d.stop = context.WithCancel(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = map[string]*delivery{}
	d.known = map[string]*sender.Identity{}
}

// route opens the ways to all servers of the checks, closes those that no
// check names any more, and returns which servers a check's results are for.
func (d *deliveries) route(checks map[string]checkfile.Check) (func(checkfile.Check) []string, error) {
	addresses := d.addresses(checks)
	var failed error
	for name, address := range addresses {
		if err := d.open(name, address); err != nil {
			failed = err
		}
	}
	for name, way := range d.running {
		if _, wanted := addresses[name]; !wanted {
			d.close(name, way)
		}
	}
	return func(c checkfile.Check) []string {
		names := make([]string, 0, len(c.Servers))
		for _, s := range c.Servers {
			names = append(names, identity(addresses, s))
		}
		return names
	}, failed
}

// addresses finds the address of each server's name. Where two files give one
// name two addresses, the first file's counts for the name, and the others are
// servers of their own.
func (d *deliveries) addresses(checks map[string]checkfile.Check) map[string]string {
	files := make([]string, 0, len(checks))
	for file := range checks {
		files = append(files, file)
	}
	slices.Sort(files)
	addresses := map[string]string{}
	for _, file := range files {
		for _, s := range checks[file].Servers {
			if _, taken := addresses[s.Name]; !taken {
				addresses[s.Name] = s.Address
			}
			addresses[identity(addresses, s)] = s.Address
		}
	}
	return addresses
}

// identity is the name under which the journal knows a server.
func identity(addresses map[string]string, s checkfile.Server) string {
	if addresses[s.Name] == s.Address {
		return s.Name
	}
	return s.Name + "=" + s.Address
}

func (d *deliveries) open(name, address string) error {
	if way := d.running[name]; way != nil {
		if way.address == address {
			return nil
		}
		d.close(name, way) // the server moved; what waits for it goes to the new address
	}
	c := d.client
	var reader *journal.Reader
	var err error
	c.outbox.call(func() { reader, err = c.outbox.journal.Reader(name, journal.Oldest) })
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(d.ctx)
	way := &delivery{address: address, sender: d.sender(name, address, reader), end: end, ended: make(chan struct{})}
	d.mu.Lock()
	d.running[name] = way
	d.mu.Unlock()
	d.done.Go(func() {
		defer close(way.ended)
		way.sender.Run(ctx)
		reader.Close()
	})
	return nil
}

func (d *deliveries) sender(name, address string, reader *journal.Reader) *sender.Delivery {
	o := d.client.options
	log := d.client.log.With().Str("server", name).Str("address", address).Logger()
	host, _ := os.Hostname() // only for people
	certName, _, _ := strings.Cut(name, "=")
	me := d.known[name]
	if me == nil {
		me = sender.NewIdentity(instanceFor(d.client.instance, name))
		d.known[name] = me
	}
	so := sender.Options{
		Identity: me, Name: certName, Address: address, End: d.certs, Verify: certs.Verify(o.SSLVerify), Log: log,
		Hello:  wire.Hello{Version: o.Version, Host: host, Remember: uint32(o.JournalMaxAge / time.Second)},
		Modern: d.client.modern.has(name),
		Spoke: func() {
			if err := d.client.modern.add(name); err != nil {
				log.Error().Err(err).Msg("after a restart the server may be spoken to in the way of version 0.3.9")
			}
		},
	}
	if o.BatchMode {
		so.BatchWait, so.BatchItems = o.BatchWaitTime, o.BatchMaxItems
	}
	return sender.New(so, &source{reader: reader, server: name, maxAge: o.JournalMaxAge, drops: &d.client.outbox.dropped, log: log})
}

// close ends a way. What the journal holds for it stays there.
func (d *deliveries) close(name string, way *delivery) {
	way.end()
	<-way.ended
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, name)
}

// end gives the deliveries the rest of the time for a stop, then ends them.
func (d *deliveries) end(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, d.client.options.StopTimeout)
	defer cancel()
	for _, way := range d.running {
		way.sender.Drain(short)
	}
	d.stop()
	d.done.Wait()
}
