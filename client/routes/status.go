package routes

import (
	"cmp"
	"sort"
	"time"

	"massive-passive/client/outbox"
	"massive-passive/internal/status"
	"massive-passive/wire/journal"
)

// slow is from when on a server takes its time that says nothing about it, as one
// of version 0.3.9.
const slow = time.Minute

// overdue tells of results that wait for a server that is connected and says
// nothing about why; gather is how long they wait for others in batch mode.
func overdue(oldest status.Seconds, gather time.Duration) string {
	if float64(oldest) <= (slow + gather).Seconds() {
		return ""
	}
	return "the server is connected, and does not acknowledge the oldest of them: its log may say what keeps it"
}

// Status returns a line for each server, and for each that no check names any
// more while results still wait for it, or if some were given up. Any goroutine
// may call it.
func (r *Routes) Status(stats journal.Stats, now time.Time) []status.Destination {
	r.mu.Lock()
	defer r.mu.Unlock()
	destinations := []status.Destination{}
	for _, reader := range r.outbox.Readers(stats) {
		d := status.Destination{Name: reader.Name, Depth: reader.Pending, OldestAge: outbox.Age(reader.Backlog, now), Waiting: "no check names this server any more",
			Dropped: map[string]uint64{}, GivenUp: r.outbox.GivenUp(reader.Name), Rejected: map[string]uint64{}}
		if to := r.open[reader.Name]; to != nil {
			d.Target, d.Waiting = to.address, to.sender.State()
			d.Delivered, d.Rejected = to.sender.Counts()
			d.Waiting = cmp.Or(d.Waiting, overdue(d.OldestAge, r.o.Sender.BatchWait))
		}
		destinations = append(destinations, d)
	}
	sort.Slice(destinations, func(i, j int) bool { return destinations[i].Name < destinations[j].Name }) // slices.SortFunc makes code for each type of elements
	return destinations
}
