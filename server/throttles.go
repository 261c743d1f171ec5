package server

import (
	"massive-passive/internal/logx"
	"massive-passive/server/sink"

	"github.com/rs/zerolog"
)

// throttles bound what is logged because of others. Each kind of them has its
// own room, so that no flood of a client's hides what is wrong with this machine.
// The door has its own for peers that are no clients.
type throttles struct {
	clients *logx.Throttle // by name
	rejects *logx.Throttle // results that a core will never take; by client
	files   *logx.Throttle // the files of the allowed directory; by file
	own     *logx.Throttle // this server's disk, sinks and listeners
}

// ownNames is how many different troubles of a sink, say, are logged a minute.
const ownNames = 10

func newThrottles(log zerolog.Logger) throttles {
	return throttles{
		clients: logx.NewThrottle(log, logx.Limits{}),
		rejects: logx.NewThrottle(log, logx.Limits{Names: sink.RejectsNames}),
		files:   logx.NewThrottle(log, logx.Limits{}),
		own:     logx.NewThrottle(log, logx.Limits{Names: ownNames}),
	}
}

// close tells what they kept back.
func (t throttles) close() {
	for _, one := range []*logx.Throttle{t.clients, t.rejects, t.files, t.own} {
		one.Close()
	}
}
