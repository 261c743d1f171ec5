package sender

import (
	"crypto/rand"
	"errors"

	"massive-passive/wire"
)

// Identity says under which instance a process's results travel to one server.
// They begin under the one that it was made with. When another process turns
// out to use that too, because the machine was restored from a snapshot of its
// memory or cloned while it ran, what is not acknowledged goes on under a new
// one: the server would take it for what the other sent, and leave it out. One
// Delivery at a time may use it.
type Identity struct {
	own     wire.Instance // under which the source knows the process's results
	current wire.Instance // under which they travel
	sent    uint64        // the highest sequence that may have reached the server
}

// NewIdentity returns that of a process whose results a Source gives under own.
func NewIdentity(own wire.Instance) *Identity { return &Identity{own: own, current: own} }

// of is the instance under which a result travels that is not acknowledged
// yet; what an earlier process left behind keeps its own.
func (i *Identity) of(it Item) wire.Instance {
	if it.Instance == i.own {
		return i.current
	}
	return it.Instance
}

// isTaken tells whether a server that knows of last, the highest sequence of
// the current instance, has that from somebody else.
func (i *Identity) isTaken(last uint64) bool { return last > i.sent }

// renew opens a new instance, under which all goes from now on that is not
// acknowledged.
func (i *Identity) renew() {
	rand.Read(i.current[:]) // never fails
}

// errTaken is a server that has more of this process than it ever sent.
var errTaken = errors.New("the server has results of this instance that were not sent from here")

// isTaken tells whether an error means that another process has the instance.
// A server ends a connection as superseded when a newer one of the same
// instance comes: this one opens none while it has another.
func isTaken(err error) bool {
	var bye *wire.ByeError
	return errors.Is(err, errTaken) || errors.As(err, &bye) && bye.Reason == wire.Superseded
}
