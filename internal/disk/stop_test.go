package disk_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/disk/disktest"
)

// A stop leaves behind what hangs on a file server, and waits for what is only
// slow.
func TestOutlast(t *testing.T) {
	hung, _ := disktest.Hang(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := disk.Outlast(over, hung, make(chan error)); !errors.Is(err, disk.ErrSilent) {
		t.Errorf("%v, want that it is silent", err)
	}
	want, ended := errors.New("what it ended with"), make(chan error, 1)
	time.AfterFunc(2500*time.Millisecond, func() { ended <- want })
	if err := disk.Outlast(over, t.TempDir(), ended); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}
