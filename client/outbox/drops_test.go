package outbox

import "testing"

func TestDropsAreKeptByServerAndReason(t *testing.T) {
	var d drops
	d.add("a", tooOld, 3)
	d.add("a", tooOld, 1)
	d.add("b", journalFull, 2)
	d.add("", unstorable, 5)
	if got := d.of("a"); got[tooOld] != 4 || got[unstorable] != 5 || len(got) != 2 {
		t.Errorf("of a: %v", got)
	}
	d.forget("b")
	if got := d.of("b"); len(got) != 1 {
		t.Errorf("of b: %v", got)
	}
}
