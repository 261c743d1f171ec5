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
	t.Parallel()
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

// A client whose server's disk is full delivers nothing, however well it is
// connected.
func TestTheStateTellsOfAServerThatOnlyWaits(t *testing.T) {
	t.Parallel()
	p, q := newPeer(t), newQueue()
	release := make(chan struct{})
	p.handler = late{p, release}
	q.add("a")
	d := New(p.options(), q)
	run(t, d)
	eventually(t, "says what the server said", func() bool { return strings.Contains(d.State(), `acknowledges nothing: "the journal is full"`) })
	close(release)
	eventually(t, "all is well with the ACK", func() bool { return q.ackedUpTo() == 1 && d.State() == "" })
}

// late is a server whose journal takes nothing for a while.
type late struct {
	*peer
	release <-chan struct{}
}

func (h late) Waiting() string { return "the journal is full" }

func (h late) Submit(ctx context.Context, b wire.Batch) ([]wire.Rejection, error) {
	select {
	case <-h.release:
		return h.peer.Submit(ctx, b)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
