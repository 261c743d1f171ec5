package sender

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
)

// stuck is a server whose journal takes nothing.
type stuck struct{ *peer }

func (h stuck) Waiting() string { return "the journal is full" }

func (h stuck) Submit(ctx context.Context, _ wire.Batch) ([]wire.Rejection, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Nobody looks for a firewall where the server answers, and says what it lacks.
func TestAServerThatOnlyWaitsIsNotOutOfReach(t *testing.T) {
	p := newPeer(t)
	p.handler = stuck{p}
	ctx, cancel := context.WithTimeout(t.Context(), wire.FirstWait+3*time.Second)
	defer cancel()
	err := Deliver(ctx, p.options(), []Item{{wire.Instance{1}, 1, []byte("a")}})
	var failed *DeliveryError
	if !errors.As(err, &failed) || failed.Unknown != 1 || !strings.Contains(failed.Why, `answers, but did not acknowledge in time (it says "the journal is full")`) {
		t.Errorf("got %v", err)
	}
}
