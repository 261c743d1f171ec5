package plugin

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReapOrphans makes this process inherit what a plugin leaves behind, as
// process 1 does, and runs plugins beside.
func TestReapOrphans(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	ctx, stop := context.WithCancel(t.Context())
	var reaping sync.WaitGroup
	defer reaping.Wait()
	defer stop()
	r := newRunner(t, 0)
	orphan := script(t, "setsid sleep 0.05 >/dev/null 2>&1 & echo OK")
	for range 3 {
		if o := r.Run(ctx, Spec{Command: orphan}); o.Trouble != None {
			t.Fatalf("%s: %s", o.Trouble, o.Output)
		}
	}
	eventually(t, "three zombies", func() bool { return len(zombies()) == 3 })
	reaping.Go(func() { ReapOrphans(ctx, 300*time.Millisecond) })
	for range 20 {
		if o := r.Run(ctx, Spec{Command: script(t, "sleep 0.1; exit 2")}); o.Trouble != None || o.Code != 2 {
			t.Errorf("beside the reaping a plugin ended with %d, %s: %s", o.Code, o.Trouble, o.Output)
		}
	}
	eventually(t, "no child left", func() bool { return len(children(t)) == 0 })
}
