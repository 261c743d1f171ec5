// Package routes knows which servers the results of checks are for, where each
// server is, and keeps a delivery to each. What waits for them lies in the outbox.
package routes

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/outbox"
	"massive-passive/internal/logx"
	"massive-passive/sender"
	"massive-passive/wire/journal"

	"github.com/rs/zerolog"
)

// Options are those of all routes.
type Options struct {
	Sender      sender.Options // without what tells one server from another
	MaxAge      time.Duration  // of a result
	StopTimeout time.Duration  // what End gives the deliveries
}

// Routes are the connections to the servers, one each. Only the goroutine that
// loads the check files changes them.
type Routes struct {
	o         Options
	outbox    *outbox.Outbox
	log       zerolog.Logger
	throttle  *logx.Throttle
	addresses atomic.Pointer[map[string]string] // of the servers that checks name, by the name in the journal
	unnamed   map[string]time.Time              // since when no check names a server, of those that Tidy has seen so

	ctx        context.Context // of all deliveries
	stop       context.CancelFunc
	mu         sync.Mutex                  // held to change open, and by others to look at it
	open       map[string]*route           // by the server's name
	identities map[string]*sender.Identity // of this process, by the server's name
	done       sync.WaitGroup
}

// route leads to one server.
type route struct {
	address string
	sender  *sender.Delivery
	end     context.CancelFunc
	ended   chan struct{}
	named   bool // a check has named the server in this run
}

// New opens no route yet.
func New(o Options, b *outbox.Outbox, log zerolog.Logger, throttle *logx.Throttle) *Routes {
	r := &Routes{o: o, outbox: b, log: log, throttle: throttle,
		unnamed: map[string]time.Time{}, open: map[string]*route{}, identities: map[string]*sender.Identity{}}
	r.addresses.Store(&map[string]string{}) // until check files can be read
	return r
}

// Begin lets routes be opened.
func (r *Routes) Begin(ctx context.Context) { r.ctx, r.stop = context.WithCancel(ctx) }

// Apply opens a route to each server of the checks.
func (r *Routes) Apply(checks map[string]checkfile.Check) error {
	return r.follow(r.name(checks))
}

// follow opens a route to each server, and to each for which results wait although
// no check names it any more, as long as it is known where it was. It closes the
// others.
func (r *Routes) follow(addresses map[string]string) error {
	wanted := maps.Clone(addresses)
	readers := r.outbox.Stats().Readers
	r.keepAddresses(addresses, readers)
	for _, reader := range readers {
		_, address, known := strings.Cut(reader.Name, "=")
		if !known {
			address, known = r.outbox.State.Address(reader.Name)
		}
		if _, named := addresses[reader.Name]; !named && known && (reader.Open || reader.Pending > 0) {
			wanted[reader.Name] = address
		}
	}
	var failed error
	for name, address := range wanted {
		if err := r.lead(name, address); err != nil {
			failed = err
		}
	}
	for name := range addresses {
		if to := r.open[name]; to != nil {
			to.named = true
		}
		delete(r.unnamed, name)
	}
	r.addresses.Store(&addresses) // results may be for a server only once the journal has a reader for it
	for name, to := range r.open {
		if _, ok := wanted[name]; !ok {
			r.close(name, to)
		}
	}
	return failed
}

// keepAddresses notes where the servers are whose name in the journal does not
// say it.
func (r *Routes) keepAddresses(addresses map[string]string, readers []journal.ReaderStats) {
	named := map[string]string{}
	for name, address := range addresses {
		if !strings.Contains(name, "=") {
			named[name] = address
		}
	}
	known := make([]string, len(readers))
	for i, reader := range readers {
		known[i] = reader.Name
	}
	if err := r.outbox.State.KeepAddresses(named, known); err != nil {
		r.log.Error().Err(err).Msg("after a restart, what waits for a server of several addresses may go to another one of them")
	}
}

// oldSlack is what part of --journal-max-age results may be older than that before
// the route to a server that no check names is closed to give them up: it costs a
// connection.
const oldSlack = 24

// Tidy follows anew, and closes the routes that follow left open and that nothing
// waits for any more. Of what waits it gives up what is too old; follow opens the
// route again for the rest. The first time it only marks them: a result that was
// for such a server may be on its way into the journal.
func (r *Routes) Tidy() {
	r.outbox.State.Retry()
	if move := r.outbox.LookForDisk(); move != nil {
		r.reopen(move)
	}
	addresses, most := *r.addresses.Load(), r.o.MaxAge
	if err := r.follow(addresses); err != nil {
		r.throttle.Still("").Error("", "route").Err(err).Msg("cannot deliver to all servers")
	}
	for _, reader := range r.outbox.Stats().Readers {
		to := r.open[reader.Name]
		if to == nil {
			continue
		}
		_, named := addresses[reader.Name]
		since, seen := r.unnamed[reader.Name]
		switch {
		case named:
		case !seen:
			r.unnamed[reader.Name] = time.Now()
			if to.named {
				r.outbox.NoMore(reader.Name)
			}
		case time.Since(since) > most:
			r.close(reader.Name, to)
			r.outbox.DropUnnamed(reader)
		case reader.Pending == 0 || !reader.Unsure && time.Since(reader.Oldest) > most+most/oldSlack:
			r.close(reader.Name, to)
			r.outbox.Forget()
		}
	}
	known := map[string]bool{}
	for _, reader := range r.outbox.Stats().Readers {
		known[reader.Name] = true
	}
	maps.DeleteFunc(r.unnamed, func(name string, _ time.Time) bool { return !known[name] })
}

// reopen closes all routes while the outbox moves to another journal. They begin
// with what the disk still has.
func (r *Routes) reopen(move func()) {
	for name, to := range r.open {
		r.hangUp(name, to)
	}
	move()
	if err := r.follow(*r.addresses.Load()); err != nil {
		r.log.Error().Err(err).Msg("cannot deliver to all servers")
	}
}

// name gives each server of the checks the name under which the journal knows
// it. Where files give one name several addresses, it stays with the one that it
// had, so that what waits there does not go elsewhere, else with that of the
// first file; the others are servers of their own.
func (r *Routes) name(checks map[string]checkfile.Check) map[string]string {
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
		if had, _ := r.outbox.State.Address(name); slices.Contains(all, had) {
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

// Put keeps a result for the servers of its check.
func (r *Routes) Put(c checkfile.Check, result []byte) {
	servers, unnamed, forgotten := r.servers(c)
	for _, name := range forgotten {
		r.outbox.DropForgotten(name, c.File)
	}
	if len(servers) > 0 {
		r.outbox.Put(result, servers)
	}
	for _, name := range unnamed {
		r.outbox.NoMore(name) // but for this one
	}
}

// servers returns which servers a check's results are for now. No check names any
// more those that are unnamed, which get what was on its way as long as their
// routes are open, and those that were forgotten while the check ran.
func (r *Routes) servers(c checkfile.Check) (servers, unnamed, forgotten []string) {
	addresses := *r.addresses.Load()
	servers = make([]string, 0, len(c.Servers))
	for _, s := range c.Servers {
		name := s.Name + "=" + s.Address
		if _, ok := addresses[name]; !ok {
			name = s.Name
		}
		if _, ok := addresses[name]; !ok {
			if !r.leadsTo(name) {
				forgotten = append(forgotten, name)
				continue
			}
			unnamed = append(unnamed, name)
		}
		servers = append(servers, name)
	}
	return servers, unnamed, forgotten
}

func (r *Routes) leadsTo(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[name] != nil
}

// lead opens the route to a server, unless it is open.
func (r *Routes) lead(name, address string) error {
	if to := r.open[name]; to != nil {
		if to.address == address {
			return nil
		}
		r.close(name, to) // the server moved; what waits for it goes to the new address
	}
	reader, err := r.outbox.Reader(name)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(r.ctx)
	to := &route{address: address, sender: r.delivery(name, address, reader), end: end, ended: make(chan struct{})}
	r.mu.Lock()
	r.open[name] = to
	r.mu.Unlock()
	r.done.Go(func() {
		defer close(to.ended)
		to.sender.Run(ctx)
		reader.Close()
	})
	return nil
}

func (r *Routes) delivery(name, address string, from sender.Source) *sender.Delivery {
	log := r.log.With().Str("server", name).Str("address", address).Logger()
	me := r.identities[name]
	if me == nil {
		me = sender.NewIdentity(r.outbox.Instances.For(name))
		r.identities[name] = me
	}
	o := r.o.Sender
	o.Identity, o.Address, o.Log, o.Modern = me, address, log, r.outbox.State.Modern(name)
	o.Name, _, _ = strings.Cut(name, "=")
	o.Spoke = func() {
		if err := r.outbox.State.AddModern(name); err != nil {
			log.Error().Err(err).Msg("after a restart the server may be spoken to in the way of version 0.3.9")
		}
	}
	return sender.New(o, from)
}

// close ends a route. What the journal holds for the server stays there.
func (r *Routes) close(name string, to *route) {
	r.hangUp(name, to)
	if _, seen := r.unnamed[name]; !seen { // else nothing is for it since
		r.outbox.NoMore(name)
	}
}

func (r *Routes) hangUp(name string, to *route) {
	to.end()
	<-to.ended
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, name)
}

// End gives the deliveries the rest of the time for a stop, then ends them.
func (r *Routes) End(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, r.o.StopTimeout)
	defer cancel()
	for _, to := range r.open {
		to.sender.Drain(short)
	}
	r.stop()
	r.done.Wait()
}
