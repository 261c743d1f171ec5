package client

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	client    *Client
	certs     certs.End
	addresses atomic.Pointer[map[string]string] // of the servers that checks name, by the name in the journal
	kept      *serverAddresses
	spare     map[string]time.Time // since when no check names a server, of those that tidy has seen so

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
	named   bool // a check has named the server in this run
}

func (d *deliveries) begin(ctx context.Context) {
	d.ctx, d.stop = context.WithCancel(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.spare = map[string]*delivery{}, map[string]time.Time{}
	d.known = map[string]*sender.Identity{}
	d.addresses.Store(&map[string]string{}) // until check files can be read
}

// route brings the ways to the servers of the checks.
func (d *deliveries) route(checks map[string]checkfile.Check) error {
	return d.follow(d.name(checks))
}

// follow opens a way to each server, and to each for which results wait although no
// check names it any more, as long as it is known where it was. It closes the
// others.
func (d *deliveries) follow(addresses map[string]string) error {
	wanted := maps.Clone(addresses)
	readers := d.client.outbox.journal.Load().Stats().Readers
	said := d.kept.file.unsaved
	if err := d.kept.keep(addresses, readers); err != nil && !said {
		d.client.log.Error().Err(err).Msg("after a restart, what waits for a server of several addresses may go to another one of them")
	}
	for _, r := range readers {
		_, address, told := strings.Cut(r.Name, "=")
		if !told {
			address, told = d.kept.known[r.Name]
		}
		if _, named := addresses[r.Name]; !named && told && (r.Open || r.Pending > 0) {
			wanted[r.Name] = address
		}
	}
	var failed error
	for name, address := range wanted {
		if err := d.open(name, address); err != nil {
			failed = err
		}
	}
	for name := range addresses {
		if way := d.running[name]; way != nil {
			way.named = true
		}
		delete(d.spare, name)
	}
	d.addresses.Store(&addresses) // results may be for a server only once the journal has a reader for it
	for name, way := range d.running {
		if _, ok := wanted[name]; !ok {
			d.close(name, way)
		}
	}
	return failed
}

// oldSlack is what part of --journal-max-age results may be older than that before
// the way of a spare server is closed to give them up: it costs a connection.
const oldSlack = 24

// tidy follows anew, and closes the ways that follow left open and that nothing
// waits for any more. Of what waits it gives up what is too old; follow opens the
// way again for the rest. The first time it only marks them: a result that was for
// such a server may be on its way into the journal.
func (d *deliveries) tidy() {
	d.client.process.tidy()
	d.client.modern.tidy()
	d.client.disk.look(d)
	addresses, most := *d.addresses.Load(), d.client.options.JournalMaxAge
	if err := d.follow(addresses); err != nil {
		d.client.throttle.Still("").Error("", "route").Err(err).Msg("cannot deliver to all servers")
	}
	for _, r := range d.client.outbox.journal.Load().Stats().Readers {
		way := d.running[r.Name]
		if way == nil {
			continue
		}
		_, named := addresses[r.Name]
		since, spare := d.spare[r.Name]
		switch {
		case named:
		case !spare:
			d.spare[r.Name] = time.Now()
			if way.named {
				d.client.outbox.closed(r.Name)
			}
		case time.Since(since) > most:
			d.close(r.Name, way)
			d.client.outbox.call(func() { d.client.outbox.drop(r, d.client.outbox.waits(r), nameless) })
		case r.Pending == 0 || !r.Unsure && time.Since(r.Oldest) > most+most/oldSlack:
			d.close(r.Name, way)
			d.client.outbox.call(func() { d.client.outbox.forget(d.client.outbox.journal.Load().Stats()) })
		}
	}
	known := map[string]bool{}
	for _, r := range d.client.outbox.journal.Load().Stats().Readers {
		known[r.Name] = true
	}
	maps.DeleteFunc(d.spare, func(name string, _ time.Time) bool { return !known[name] })
}

// name gives each server of the checks the name under which the journal knows
// it. Where files give one name several addresses, it stays with the one that it
// had, so that what waits there does not go elsewhere, else with that of the
// first file; the others are servers of their own.
func (d *deliveries) name(checks map[string]checkfile.Check) map[string]string {
	several := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(checks)) {
		for _, s := range checks[file].Servers {
			if !slices.Contains(several[s.Name], s.Address) {
				several[s.Name] = append(several[s.Name], s.Address)
			}
		}
	}
	addresses := map[string]string{}
	for name, all := range several {
		own := all[0]
		if had := d.kept.known[name]; slices.Contains(all, had) {
			own = had
		}
		addresses[name] = own
		for _, address := range all {
			if address != own {
				addresses[name+"="+address] = address
			}
		}
	}
	return addresses
}

// servers returns which servers a check's results are for now, and those that no
// check names any more: late, which still get what was on its way, and gone, which
// were forgotten while it ran.
func (d *deliveries) servers(c checkfile.Check) (names, late, gone []string) {
	addresses := *d.addresses.Load()
	names = make([]string, 0, len(c.Servers))
	for _, s := range c.Servers {
		name := s.Name + "=" + s.Address
		if _, ok := addresses[name]; !ok {
			name = s.Name
		}
		if _, ok := addresses[name]; !ok {
			if !d.leadsTo(name) {
				gone = append(gone, name)
				continue
			}
			late = append(late, name)
		}
		names = append(names, name)
	}
	return names, late, gone
}

func (d *deliveries) leadsTo(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running[name] != nil
}

func (d *deliveries) open(name, address string) error {
	if way := d.running[name]; way != nil {
		if way.address == address {
			return nil
		}
		d.close(name, way) // the server moved; what waits for it goes to the new address
	}
	reader, has, err := d.client.outbox.reader(name)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(d.ctx)
	way := &delivery{address: address, sender: d.sender(name, address, reader, has), end: end, ended: make(chan struct{})}
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

func (d *deliveries) sender(name, address string, reader *journal.Reader, has span) *sender.Delivery {
	o := d.client.options
	log := d.client.log.With().Str("server", name).Str("address", address).Logger()
	host, _ := os.Hostname() // only for people
	certName, _, _ := strings.Cut(name, "=")
	me := d.known[name]
	if me == nil {
		me = sender.NewIdentity(processFor{d.client.process, name})
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
	return sender.New(so, &source{reader: reader, server: name, process: d.client.process, has: has, maxAge: o.JournalMaxAge, drops: &d.client.outbox.dropped, log: d.client.throttle})
}

// close ends a way. What the journal holds for it stays there.
func (d *deliveries) close(name string, way *delivery) {
	way.end()
	<-way.ended
	if _, spare := d.spare[name]; !spare { // else nothing is for it since
		d.client.outbox.closed(name)
	}
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
