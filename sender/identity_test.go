package sender

import (
	"testing"

	"massive-passive/wire"
)

// Another server has led to a new instance: this one's connection lasts, and
// carries results of both.
func TestAnIdentityFollowsItsProcess(t *testing.T) {
	run := &alone{wire.Instance{1}}
	me := NewIdentity(run)
	old := Item{Instance: run.Instance(), Sequence: 7}
	run.Renew(run.Instance())
	fresh := Item{Instance: run.Instance(), Sequence: 8}
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
