package sched

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestIntervalKeepsPhaseWithoutDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, options(2*time.Second))
		begin := time.Now()
		r.apply([]Job{r.job("a", 7*time.Second, 100*time.Millisecond)})
		time.Sleep(time.Hour)
		starts := r.started("a")
		if want := 514; len(starts) != want { // (3600 - 2) / 7, and the first
			t.Fatalf("%d runs in an hour, want %d", len(starts), want)
		}
		for i, at := range starts {
			want := begin.Add(2*time.Second + time.Duration(i)*7*time.Second)
			if late := at.Sub(want); late < 0 || late > grid {
				t.Fatalf("run %d at %v, want %v", i, at, want)
			}
		}
		r.wantBalance()
	})
}
