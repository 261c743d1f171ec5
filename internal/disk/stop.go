package disk

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

const (
	// stopLook is how often a stop that takes long looks whether it is the disk that
	// holds it up.
	stopLook = time.Second
	// stopAnswer is how long the disk may take to answer then.
	stopAnswer = 5 * time.Second
)

// Outlast returns what comes by ended, which a goroutine sends that stops when ctx
// ends. Where it does not stop because the disk or file server that dir lies on
// does not answer, it is left behind, and the error is ErrSilent. A disk that is
// slow but answers is waited for as long as it takes.
func Outlast(ctx context.Context, dir string, ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	r := Reader{Patience: stopAnswer}
	for {
		if err, over := within(stopLook, ended); over {
			return err
		}
		if _, err := r.ReadDir(context.WithoutCancel(ctx), dir); !errors.Is(err, ErrSilent) {
			continue
		}
		if err, over := within(stopLook, ended); over {
			return err
		}
		return &fs.PathError{Op: "stop", Path: dir, Err: ErrSilent}
	}
}

func within(d time.Duration, ended <-chan error) (err error, over bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err = <-ended:
		return err, true
	case <-timer.C:
		return nil, false
	}
}
