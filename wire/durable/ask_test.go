package durable

import (
	"io"
	"syscall"
	"testing"
	"testing/synctest"
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
