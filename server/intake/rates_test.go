package intake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/wire"
)

// A client gets its rate over time, in batches of any size: a little too fast
// it waits, far too fast it is sent away.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rates{perSecond: 100}
		begin, sent, refused := time.Now(), 0, 0
		for time.Since(begin) < 10*time.Minute {
			err := r.await(t.Context(), "web1", 700)
			var bye *wire.ByeError
			switch {
			case err == nil:
				sent += 700
			case errors.As(err, &bye) && bye.Reason == wire.Overloaded:
				refused++
				time.Sleep(time.Second)
			default:
				t.Fatal(err)
			}
		}
		if want := 100*600 + 100*rateBurst; sent < want-1000 || sent > want+1400 {
			t.Errorf("%d results in ten minutes, want about %d", sent, want)
		}
		if refused == 0 {
			t.Error("it was never sent away")
		}
		before := time.Now()
		if err := r.await(t.Context(), "web2", 1); err != nil || !time.Now().Equal(before) {
			t.Errorf("another client waited %v, %v", time.Since(before), err)
		}
		for range 15 {
			if err := r.await(t.Context(), "web3", 100); err != nil {
				t.Errorf("a little too fast: %v", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.await(ctx, "web3", 100); !errors.Is(err, context.Canceled) {
			t.Errorf("a wait that was given up: %v", err)
		}
	})
}
