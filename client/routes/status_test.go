package routes

import (
	"testing"
	"time"

	"massive-passive/internal/status"
)

// A server of version 0.3.9 cannot say why it takes its time: only what waits
// tells.
func TestWhatWaitsTellsOfASilentServer(t *testing.T) {
	for oldest, want := range map[status.Seconds]bool{0: false, 10: false, 60: false, 62: false, 63: true, 1e6: true} {
		if got := overdue(oldest, 2*time.Second) != ""; got != want {
			t.Errorf("results that wait for %v s: a problem %v, want %v", oldest, got, want)
		}
	}
}
