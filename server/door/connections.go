package door

import (
	"fmt"
	"maps"
	"sync"

	"massive-passive/wire"
)

// openConnections are the connections that are open.
type openConnections struct {
	mu        sync.Mutex
	open      map[*connection]bool
	instances map[instanceKey]*connection
	clients   map[string]int // how many of open each client has
	ended     error          // set once no more may open
}

type instanceKey struct {
	client   string
	instance wire.Instance
}

// add notes a connection, and ends it where its client has as many as it may.
// Such a one does not count: its end takes a while, and a client that tries
// again meanwhile would keep itself out.
func (l *openConnections) add(c *connection, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open, l.instances, l.clients = map[*connection]bool{}, map[instanceKey]*connection{}, map[string]int{}
	}
	l.open[c] = true
	if l.clients[c.Client] < most {
		c.counted = true
		l.clients[c.Client]++
	} else {
		c.end(&wire.ByeError{Reason: wire.Overloaded, Text: fmt.Sprintf("you have %d connections open, as many as this server allows to one client", most)})
	}
	if l.ended != nil {
		c.end(l.ended)
	}
}

func (l *openConnections) remove(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	if c.counted {
		if l.clients[c.Client]--; l.clients[c.Client] == 0 {
			delete(l.clients, c.Client)
		}
	}
	if key := (instanceKey{c.Client, c.instance}); l.instances[key] == c {
		delete(l.instances, key)
	}
}

// supersede makes c the connection of its instance and ends an older one.
func (l *openConnections) supersede(c *connection, instance wire.Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := instanceKey{c.Client, instance}
	if old := l.instances[key]; old != nil {
		old.end(&wire.ByeError{Reason: wire.Superseded})
	}
	c.instance, l.instances[key] = instance, c
}

// count tells how many connections each client has.
func (l *openConnections) count() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.clients)
}

func (l *openConnections) endAll(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = why
	for c := range l.open {
		c.end(why)
	}
}

// endWhere ends the connections for which there is a reason to.
func (l *openConnections) endWhere(reason func(*connection) *wire.ByeError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if bye := reason(c); bye != nil {
			c.end(bye)
		}
	}
}
