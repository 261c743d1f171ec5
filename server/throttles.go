package server

import (
	"time"

	"massive-passive/internal/logx"
	"massive-passive/server/sink"

	"github.com/rs/zerolog"
)

// throttles bound what is logged because of others. Each kind of them has its
// own room, so that no stranger's flood hides what a client does, and no
// client's what is wrong with this machine.
type throttles struct {
	unauthenticated *logx.Throttle // who did not prove to be a client; by network
	clients         *logx.Throttle // by name
	lines           *logx.Throttle // refused lines of clients that get no other answer; by client
	oldTLS          *logx.Throttle // clients whose TLS is old: an hour is often enough
	rejects         *logx.Throttle // results that a core will never take; by client
	files           *logx.Throttle // the files of the allowed directory; by file
	own             *logx.Throttle // this server's disk, sinks and listeners
}

// ownNames is how many different troubles of a sink, say, are logged a minute.
const ownNames = 10

func newThrottles(log zerolog.Logger) throttles {
	return throttles{
		unauthenticated: logx.NewThrottle(log, logx.Limits{Lines: 60}),
		clients:         logx.NewThrottle(log, logx.Limits{}),
		lines:           logx.NewThrottle(log, logx.Limits{Names: mostLogged}),
		oldTLS:          logx.NewThrottle(log, logx.Limits{Every: time.Hour, Keys: 10_000}),
		rejects:         logx.NewThrottle(log, logx.Limits{Names: sink.RejectsNames}),
		files:           logx.NewThrottle(log, logx.Limits{}),
		own:             logx.NewThrottle(log, logx.Limits{Names: ownNames}),
	}
}

// close tells what they kept back.
func (t throttles) close() {
	for _, one := range []*logx.Throttle{t.unauthenticated, t.clients, t.lines, t.oldTLS, t.rejects, t.files, t.own} {
		one.Close()
	}
}
