package intake

import (
	"sync"
	"time"
)

// maxSeen bounds how many clients are known by when they were last heard of.
const maxSeen = 50000

// lastSeen knows when each client was last heard of since the start. Any
// goroutine may use it.
type lastSeen struct {
	mu      sync.Mutex
	clients map[string]*Client
}

// note notes that a client sent something now, with so many results in it.
func (h *lastSeen) note(client string, results int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.clients[client]
	if c == nil {
		if h.clients == nil {
			h.clients = map[string]*Client{}
		}
		if len(h.clients) >= maxSeen {
			h.forgetOldest()
		}
		c = &Client{}
		h.clients[client] = c
	}
	c.Last = time.Now()
	c.Results += uint64(results)
}

// forgetOldest drops who was not heard of for longest, of a sample: the whole
// would be looked through at every new client.
func (h *lastSeen) forgetOldest() {
	oldest, looked := "", 0
	for name, c := range h.clients {
		if oldest == "" || c.Last.Before(h.clients[oldest].Last) {
			oldest = name
		}
		if looked++; looked == 50 {
			break
		}
	}
	delete(h.clients, oldest)
}

// all returns a copy of what is known.
func (h *lastSeen) all() map[string]Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make(map[string]Client, len(h.clients))
	for name, c := range h.clients {
		list[name] = *c
	}
	return list
}
