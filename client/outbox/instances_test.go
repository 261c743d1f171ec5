package outbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"massive-passive/wire"

	"github.com/rs/zerolog"
)

// instancesIn are those of a run with this state directory.
func instancesIn(t *testing.T, dir string) *Instances {
	t.Helper()
	s, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	return newInstances(s, nil)
}

func TestAnInstanceIsRenewedOnceForAllServersThatNotice(t *testing.T) {
	dir := t.TempDir()
	p := instancesIn(t, dir)
	a, b := p.For("a"), p.For("b")
	first, firstOfB := *p.now.Load(), b.last()
	a.Renew(a.last())
	second := *p.now.Load()
	if second == first || b.last() == firstOfB {
		t.Error("a taken instance stays")
	}
	b.Renew(firstOfB)
	if *p.now.Load() != second {
		t.Error("the second server that noticed has it renewed again")
	}
	b.Renew(b.last())
	third := *p.now.Load()
	if third == second {
		t.Error("the second instance is taken, and stays")
	}
	all := []wire.Instance{instanceFor(first, "b"), instanceFor(second, "b"), instanceFor(third, "b")}
	if got := b.Instances(); !slices.Equal(got, all) {
		t.Errorf("its instances are %v, want %v", got, all)
	}
	p = instancesIn(t, dir)
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
	if p := instancesIn(t, dir); len(p.earlier) > 0 {
		t.Errorf("%v", p.earlier)
	}
}
