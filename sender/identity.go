package sender

import (
	"crypto/rand"
	"errors"
	"slices"

	"massive-passive/wire"
)

// Instances are those of one run of a program, as the Identity for one server
// sees them. Any goroutine may call it.
type Instances interface {
	// Instances are those of this run, oldest first.
	Instances() []wire.Instance
	// Renew has the last of Instances be another one than taken from now on.
	Renew(taken wire.Instance)
}

// Identity says under which instance a process's results travel to one server.
// When another process turns out to use that too, because the machine was
// restored from a snapshot of its memory or cloned while it ran, the process
// opens a new one, and what is not acknowledged goes on under that: the server
// would take it for what the other sent, and leave it out. A server whose
// Identity notices nothing follows at its next connection. One Delivery at a
// time may use it.
type Identity struct {
	instances Instances
	current   wire.Instance   // that of the connection, once there was one
	before    []wire.Instance // those of this process before current
	sent      uint64          // the highest sequence that may have reached the server
}

// NewIdentity returns the one that uses these instances.
func NewIdentity(i Instances) *Identity { return &Identity{instances: i} }

// of is the instance under which a result travels that is not acknowledged
// yet; what an earlier process left behind keeps its own.
func (i *Identity) of(it Item) wire.Instance {
	if slices.Contains(i.before, it.Instance) {
		return i.current
	}
	return it.Instance
}

// isTaken tells whether a server that knows of last, the highest sequence of
// the current instance, has that from somebody else.
func (i *Identity) isTaken(last uint64) bool { return last > i.sent }

// follow makes the process's last instance the current one.
func (i *Identity) follow() {
	all := i.instances.Instances()
	i.before, i.current = all[:len(all)-1], all[len(all)-1]
}

// alone is a process whose source goes on under the first instance.
type alone struct{ instances []wire.Instance }

func (a *alone) Instances() []wire.Instance { return a.instances }

func (a *alone) Renew(wire.Instance) {
	var i wire.Instance
	rand.Read(i[:]) // never fails
	a.instances = append(a.instances, i)
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
