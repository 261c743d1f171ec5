package intake

import (
	"fmt"
	"testing"
)

func TestHeardIsBounded(t *testing.T) {
	var h lastSeen
	for i := range maxSeen + 1000 {
		h.note(fmt.Sprint("client ", i), 1)
	}
	all := h.all()
	if len(all) != maxSeen {
		t.Errorf("%d clients are known", len(all))
	}
	if _, known := all[fmt.Sprint("client ", maxSeen+999)]; !known {
		t.Error("the newest is not among them")
	}
}
