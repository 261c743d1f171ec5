package outbox

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"massive-passive/internal/logx"
	"massive-passive/wire"
)

// Instances are those of this run of the client. The instance under which its
// results are kept is another one from the moment on at which a server turns out
// to know it from somebody else, so that what is measured then is safe. What the
// journal holds under the old one travels under the new one, also from later runs:
// the state file says so.
type Instances struct {
	state    *State
	throttle *logx.Throttle
	now      atomic.Pointer[wire.Instance]
	earlier  map[wire.Instance]wire.Instance // renewed by earlier runs

	mu     sync.Mutex      // held to renew
	before []wire.Instance // what now was in this run, oldest first
}

func newInstances(state *State, throttle *logx.Throttle) *Instances {
	i := &Instances{state: state, throttle: throttle, earlier: map[wire.Instance]wire.Instance{}}
	i.now.Store(newInstance())
	for _, r := range state.renewals() {
		for first, then := range i.earlier {
			if then == wire.Instance(r.Old) {
				i.earlier[first] = wire.Instance(r.New)
			}
		}
		i.earlier[wire.Instance(r.Old)] = wire.Instance(r.New)
	}
	return i
}

func newInstance() *wire.Instance {
	i := new(wire.Instance)
	rand.Read(i[:]) // never fails
	return i
}

// current is the instance under which an entry of the journal travels that was
// kept under another in an earlier run.
func (i *Instances) current(kept wire.Instance) wire.Instance {
	if is, renewed := i.earlier[kept]; renewed {
		return is
	}
	return kept
}

// For returns the instances as one server knows them.
func (i *Instances) For(server string) InstancesFor { return InstancesFor{i, server} }

// InstancesFor is a sender.Instances.
type InstancesFor struct {
	of     *Instances
	server string
}

// Instances are those of this run, oldest first.
func (i InstancesFor) Instances() []wire.Instance {
	i.of.mu.Lock()
	defer i.of.mu.Unlock()
	all := make([]wire.Instance, 0, len(i.of.before)+1)
	for _, was := range i.of.before {
		all = append(all, instanceFor(was, i.server))
	}
	return append(all, i.last())
}

func (i InstancesFor) last() wire.Instance { return instanceFor(*i.of.now.Load(), i.server) }

// Renew does nothing where another server has led to it already.
func (i InstancesFor) Renew(taken wire.Instance) {
	i.of.mu.Lock()
	defer i.of.mu.Unlock()
	if i.last() != taken {
		return
	}
	was, is := i.of.now.Load(), newInstance()
	i.of.before = append(i.of.before, *was)
	i.of.before = i.of.before[max(0, len(i.of.before)-mostRenewals):]
	i.of.now.Store(is)
	if err := i.of.state.renew(*was, *is); err != nil {
		i.of.throttle.Error("", "instances").Err(err).Msg("after a restart, what waits in the journal may be taken for what another process sent")
	}
}
