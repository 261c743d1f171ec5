package sender

import (
	"testing"

	"massive-passive/wire"
)

// Another server has led to a new instance: this one's connection lasts, and
// carries results of both.
func TestAnIdentityFollowsItsProcess(t *testing.T) {
	run := &alone{[]wire.Instance{{1}}}
	me := NewIdentity(run)
	old := Item{Instance: wire.Instance{1}, Sequence: 7}
	run.Renew(old.Instance)
	fresh := Item{Instance: run.instances[1], Sequence: 8}
	if me.of(old) != old.Instance || me.of(fresh) != fresh.Instance {
		t.Error("within a connection, results change their instance")
	}
	me.sent = fresh.Sequence
	me.follow()
	if me.of(old) != fresh.Instance || me.of(fresh) != fresh.Instance || me.current != fresh.Instance {
		t.Error("behind it, not all goes under the new instance")
	}
	if me.isTaken(fresh.Sequence) {
		t.Error("what was sent under the new instance is taken for somebody else's")
	}
	if left := (Item{Instance: wire.Instance{9}}); me.of(left) != left.Instance {
		t.Error("what an earlier process left does not keep its instance")
	}
}

// While this server was away, others have led to two of them.
func TestAnIdentityKnowsTheInstancesThatItMissed(t *testing.T) {
	run := &alone{[]wire.Instance{{1}}}
	me := NewIdentity(run)
	run.Renew(run.instances[0])
	run.Renew(run.instances[1])
	me.follow()
	for _, i := range run.instances {
		if got := me.of(Item{Instance: i}); got != run.instances[2] {
			t.Errorf("what was kept under %v goes under %v, want %v", i, got, run.instances[2])
		}
	}
}
