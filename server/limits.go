package server

import (
	"fmt"
	"syscall"
	"time"

	"massive-passive/internal/option"
	"massive-passive/server/door"
	"massive-passive/server/intake"
	"massive-passive/wire"
	"massive-passive/wire/check"
	"massive-passive/wire/legacy"
)

// Limits bound what peers may take of the server. The defaults stop no honest
// fleet.
type Limits struct {
	door.Limits
	intake.Quota
}

// DefaultLimits are those of the options.
func DefaultLimits() Limits {
	return Limits{door.Limits{
		Connections:       20000,
		ClientConnections: 1000,
		Frame:             wire.MaxFrame,
		LegacyMessage:     legacy.MaxMessage,
		Handshake:         10 * time.Second,
		Idle:              wire.IdleTimeout,
		FrameMemory:       256 << 20,
	}, intake.Quota{ClientShare: 0.25, Output: check.MaxOutput}}
}

// minIdle leaves a client that pings, and whose ping is late, its connection.
const minIdle = wire.PingInterval + 5*time.Second

// minOutput is what is left of an output so that it still says something.
const minOutput = 256

func (l *Limits) validate() error {
	for _, c := range []struct {
		ok              bool
		option, problem string
	}{
		{l.Connections >= 1, "--max-connections", "give a number from 1"},
		{l.ClientConnections >= 1, "--max-client-connections", "give a number from 1"},
		{l.ClientShare >= 0 && l.ClientShare <= 1, "--max-client-share", "give a part of the journal from 0 to 1, as 0.25 for a quarter, or 0 for any"},
		{l.Rate >= 0, "--max-rate", "give a number of results a second, or 0 for any"},
		{l.Frame >= wire.MinFrame && l.Frame <= wire.MaxFrame, "--max-frame", fmt.Sprintf("give a number of bytes from %d to %d", wire.MinFrame, wire.MaxFrame)},
		{l.LegacyMessage >= legacy.Small && l.LegacyMessage <= legacy.MaxMessage, "--max-legacy-message",
			fmt.Sprintf("give a number of bytes from %d to %d", legacy.Small, legacy.MaxMessage)},
		{l.Output >= minOutput && l.Output <= check.MaxOutput, "--max-output", fmt.Sprintf("give a number of bytes from %d to %d", minOutput, check.MaxOutput)},
		{l.Handshake > 0, "--handshake-timeout", "give a number of seconds over 0"},
		{l.Idle >= minIdle, "--idle-timeout", fmt.Sprintf("give at least %v: a client that is well says something every %v", minIdle, wire.PingInterval)},
		{l.FrameMemory >= minFrameMemory, "--frame-memory", fmt.Sprintf("give at least %d bytes", minFrameMemory)},
	} {
		if !c.ok {
			return option.Wrong(c.option, c.problem)
		}
	}
	return nil
}

// minFrameMemory leaves room for one message of each kind at its longest.
const minFrameMemory = wire.LeastBudget

// ownFiles is how many files the server itself has open at most, about:
// journal, listeners, logs, and for each sink a door, files and requests.
func (o *Options) ownFiles() int { return 100 + max(len(o.Sinks), 1)*(8+o.Icinga2Requests) }

// mostConnections leaves the server files for its own use, of those that the
// system lets it open: a segment that cannot be made for the sake of unknown
// peers that connect would stop the ACKs of all.
func (o *Options) mostConnections(files uint64) int {
	files = min(files, 1<<30)
	reserved := min(o.ownFiles(), int(files/2))
	return max(1, min(o.Limits.Connections, int(files)-reserved))
}

// fitFiles takes fewer connections where the system gives this process too few
// files for as many as are allowed.
func (s *Server) fitFiles() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	allowed, most := s.options.Limits.Connections, s.options.mostConnections(limit.Cur)
	s.options.Limits.Connections = most
	if most < allowed {
		s.log.Warn().Uint64("files", limit.Cur).Int("connections", most).Int("allowed", allowed).
			Msg("the system lets this process open too few files for --max-connections, so fewer connections are taken: raise it (LimitNOFILE= of the unit, or ulimit -n), or the latter down")
	}
}
