package sched

import (
	"time"

	"github.com/jonboulle/clockwork"
)

// steady is the clock that gocron goes by: the wall clock of the epoch, and from
// then on the monotonic one. Gocron throws the monotonic reading of a time away,
// so that by the machine's clock it would call each interval early or late, for
// ever, by as much as that clock was once set.
type steady struct {
	clockwork.Clock
	epoch time.Time // with a monotonic reading
}

func newSteady(epoch time.Time) steady { return steady{clockwork.NewRealClock(), epoch} }

// Now returns the time as it would be if nobody had set the clock.
func (s steady) Now() time.Time { return s.epoch.Add(time.Since(s.epoch)) }
