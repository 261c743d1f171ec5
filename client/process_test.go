package client

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	old := *agent.process.instance.Load()
	s.known = map[wire.Instance]uint64{instanceFor(old, "station"): 1 << 40}
	s.held = true
	stop := s.run(agent)
	eventually(t, "a connection under another instance", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.hello) > 1 && s.hello[1] != s.hello[0]
	})
	renewed := *agent.process.instance.Load()
	if renewed == old {
		t.Error("what is new is kept under the old instance")
	}
	for i, instance := range []wire.Instance{old, renewed, old, renewed} {
		r := check.Result{Kind: check.Host, Host: "h", Output: fmt.Append(nil, i)}
		agent.outbox.put(entry{instance: instance, result: r.Append(nil), servers: []string{"station"}})
	}
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

func TestAnInstanceIsRenewedOnceForAllServersThatNotice(t *testing.T) {
	dir := t.TempDir()
	p, err := loadProcess(dir, nil)
	must(t, err)
	a, b := processFor{p, "a"}, processFor{p, "b"}
	first, firstOfB := *p.instance.Load(), b.last()
	a.Renew(a.last())
	second := *p.instance.Load()
	if second == first || b.last() == firstOfB {
		t.Error("a taken instance stays")
	}
	b.Renew(firstOfB)
	if *p.instance.Load() != second {
		t.Error("the second server that noticed has it renewed again")
	}
	b.Renew(b.last())
	third := *p.instance.Load()
	if third == second {
		t.Error("the second instance is taken, and stays")
	}
	all := []wire.Instance{instanceFor(first, "b"), instanceFor(second, "b"), instanceFor(third, "b")}
	if got := b.Instances(); !slices.Equal(got, all) {
		t.Errorf("its instances are %v, want %v", got, all)
	}
	p, err = loadProcess(dir, nil)
	must(t, err)
	for _, kept := range []wire.Instance{first, second, third} {
		if got := p.current(kept); got != third {
			t.Errorf("after a restart %v travels as %v, want %v", kept, got, third)
		}
	}
	if other := (wire.Instance{1}); p.current(other) != other {
		t.Error("another instance does not travel as itself")
	}
}

func TestAFileOfRenewedInstancesThatIsNoneIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "renewed-instances"), []byte("x\n00 01\n\n"), 0o600))
	p, err := loadProcess(dir, nil)
	if err != nil || len(p.earlier) > 0 {
		t.Errorf("%v, %v", p.earlier, err)
	}
}
