package client

import (
	"fmt"
	"testing"

	"massive-passive/wire"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// A machine is put back to a snapshot of its memory, and its client restarted
// before the server takes anything again. What was measured meanwhile has the
// sequences of what the server had before.
func TestWhatWaitsWhenAnInstanceIsRenewedOutlivesARestart(t *testing.T) {
	s := newStation(t)
	s.write("a", service("a", 3600, "/bin/true")) // names the server
	agent, err := New(s.options, zerolog.Nop())
	must(t, err)
	instances := agent.outbox.Instances.For("station")
	s.known = map[wire.Instance]uint64{instances.Instances()[0]: 1 << 40}
	s.held = true
	put := func(from int) {
		for i := range 2 {
			r := check.Result{Kind: check.Host, Host: "h", Output: fmt.Append(nil, from+i)}
			agent.outbox.Put(r.Append(nil), []string{"station"})
		}
	}
	put(0)
	stop := s.run(agent)
	eventually(t, "a connection under another instance", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.hello) > 1 && s.hello[1] != s.hello[0]
	})
	if len(instances.Instances()) < 2 {
		t.Error("what is new is kept under the old instance")
	}
	put(2)
	stop()
	s.mu.Lock()
	s.held = false
	s.mu.Unlock()
	_, stop = s.start(zerolog.Nop())
	defer stop()
	eventually(t, "all of them", func() bool { return s.count()+len(s.leftOut()) >= 4 })
	if left := s.leftOut(); len(left) > 0 {
		t.Errorf("taken for what was sent before: %v", left)
	}
}

func (s *station) leftOut() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}
