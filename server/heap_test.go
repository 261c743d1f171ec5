package server

import (
	"runtime/debug"
	"testing"
)

func TestHeapMayGrowByAFixedAmountOnceItIsLarge(t *testing.T) {
	for _, c := range []struct {
		used uint64
		want int
	}{
		{0, 100},
		{8 << 20, 100},
		{32 << 20, 100},
		{64 << 20, 50},
		{128 << 20, 25},
		{1 << 30, 25},
	} {
		if got := heapGrowth(c.used); got != c.want {
			t.Errorf("with %d bytes in use the heap may grow by %d %%, want %d %%", c.used, got, c.want)
		}
	}
}

func TestEnvironmentDecidesHowTheHeapGrows(t *testing.T) {
	before := debug.SetGCPercent(150)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "150")
	tendHeap(t.Context()) // does not wait for the context's end
	if got := debug.SetGCPercent(before); got != 150 {
		t.Errorf("the heap may grow by %d %%, want the 150 %% that were set", got)
	}
}
