package disk

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAskerAsksForWhatMayComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			refused error
			asked   bool
		}{
			{syscall.EIO, true}, {syscall.EMFILE, true}, {syscall.ESTALE, true},
			{syscall.ENOENT, false}, {syscall.EACCES, false}, {io.EOF, false},
		} {
			tries := 0
			err := new(Asker).Ask(func() error {
				if tries++; tries < 3 {
					return c.refused
				}
				return nil
			})
			if want := map[bool]int{true: 3, false: 1}[c.asked]; tries != want || (err == nil) != c.asked {
				t.Errorf("%v: %d tries, %v", c.refused, tries, err)
			}
		}
	})
}

// A bad sector may take a disk long to refuse, each time.
func TestAskerCountsHowLongADiskTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := new(Asker).Ask(func() error {
			tries++
			time.Sleep(Patience)
			return syscall.EIO
		})
		if err != syscall.EIO || tries != 2 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

func TestAskerDoesNotAskForWhatIsNotTheDisks(t *testing.T) {
	tries := 0
	wrong := errors.New("wrong version")
	if err := new(Asker).Ask(func() error { tries++; return wrong }); err != wrong || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}
