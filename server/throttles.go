package server

import (
	"time"

	"massive-passive/internal/logx"

	"github.com/rs/zerolog"
)

// throttles bound what is logged because of others. Each kind of them has its
// own room, so that no stranger's flood hides what a client does, and no
// client's what is wrong with this machine.
type throttles struct {
	strangers *logx.Throttle // who did not prove to be a client; by network
	clients   *logx.Throttle // by name
	lines     *logx.Throttle // refused lines of clients that get no other answer; by client
	oldTLS    *logx.Throttle // clients whose TLS is old: an hour is often enough
	own       *logx.Throttle // this server's disk, sinks and listeners
}

func newThrottles(log zerolog.Logger) throttles {
	return throttles{
		strangers: logx.NewThrottle(log, logx.Limits{Lines: 60}),
		clients:   logx.NewThrottle(log, logx.Limits{}),
		lines:     logx.NewThrottle(log, logx.Limits{Names: mostLogged}),
		oldTLS:    logx.NewThrottle(log, logx.Limits{Every: time.Hour, Keys: 10_000}),
		own:       logx.NewThrottle(log, logx.Limits{}),
	}
}

// close tells what they kept back.
func (t throttles) close() {
	for _, one := range []*logx.Throttle{t.strangers, t.clients, t.lines, t.oldTLS, t.own} {
		one.Close()
	}
}
