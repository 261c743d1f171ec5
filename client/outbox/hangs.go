package outbox

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// hangs knows for how long the outbox's owner has been at work on one thing. The
// only work of it that can take long is to wait for the disk.
type hangs struct {
	at atomic.Pointer[time.Time] // nil: it waits for work
}

const (
	// hangsFrom is from when on a disk hangs. One that only takes its time, as an
	// SD card with a full queue, has answered by then.
	hangsFrom = 10 * time.Second
	hangsLook = time.Second
	hangsLog  = time.Minute // between two lines
)

func (h *hangs) begin() {
	now := time.Now()
	h.at.Store(&now)
}

func (h *hangs) end() { h.at.Store(nil) }

func (h *hangs) lasts() time.Duration {
	at := h.at.Load()
	if at == nil {
		return 0
	}
	return time.Since(*at)
}

// watch says until ctx ends that the disk hangs, once a minute, and that it does no
// more. The owner itself cannot.
func (h *hangs) watch(ctx context.Context, log zerolog.Logger) {
	look := time.NewTicker(hangsLook)
	defer look.Stop()
	var hung, logged time.Duration // as last looked at, and as last logged
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		switch d := h.lasts(); {
		case d >= hangsFrom && d >= hung:
			if hung = d; logged == 0 || d-logged >= hangsLog {
				logged = d
				log.Error().Stringer("for", d.Round(time.Second)).Msg("the disk of the state directory does not answer: results are held up until it does")
			}
		case hung > 0:
			log.Info().Stringer("after", hung.Round(time.Second)).Msg("the disk of the state directory answers again")
			hung, logged = 0, 0
		}
	}
}
