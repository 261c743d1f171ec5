package server

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/sched/watch"
	"massive-passive/server/access"
)

// keepLoading reads the allowed clients again when they changed, and the
// certificates too when somebody asks.
func (s *Server) keepLoading(ctx context.Context, asked <-chan func()) {
	changed := make(chan struct{}, 1)
	var unwatched atomic.Bool
	var watching sync.WaitGroup
	watching.Go(func() {
		err := watch.Dir(ctx, s.options.AllowedClientCertDir, settle, func() {
			select {
			case changed <- struct{}{}:
			default: // a reload is due already
			}
		})
		if err != nil && ctx.Err() == nil {
			unwatched.Store(true)
			s.log.Warn().Err(err).Msg("cannot watch the directory of allowed clients: changes count only within ten seconds")
		}
	})
	defer watching.Wait()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	looks := 0
	for {
		select {
		case <-ctx.Done():
			return
		case done := <-asked:
			s.certs.Reread()
			s.reloadAccess(ctx, true)
			done()
		case <-changed:
			s.reloadAccess(ctx, false)
		case <-look.C:
			looks++
			atAll := looks%looksAtAll == 0
			seen := s.access.ChangedUnseen
			if unwatched.Load() || atAll {
				seen = s.access.Changed
			}
			if seen(ctx) || atAll && s.access.Incomplete() {
				s.reloadAccess(ctx, false)
			}
		}
	}
}

// reloadAccess reads the allowed directory again and ends the connections of
// clients that are no longer in it. One that is not there lists nobody, unless
// another is just being put in its place. It tells what it read where somebody
// asked for it, or where it says something else than before.
func (s *Server) reloadAccess(ctx context.Context, asked bool) {
	before := s.access.Content()
	problems, err := s.access.Reload(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		if problems, err = s.access.Reload(ctx); errors.Is(err, fs.ErrNotExist) {
			s.access.Clear()
		}
	}
	switch {
	case ctx.Err() != nil:
		return // it stops, and waits for no file
	case err != nil:
		s.logUnread(err)
	default:
		tell := asked || s.told.unread != "" || s.access.Content() != before
		s.told.unread = ""
		s.logAccess(problems, tell)
		s.warnPassedBy()
	}
	s.door.Recheck()
}

// toldAccess is what the log says of the allowed directory already.
type toldAccess struct {
	unread   string // why it was not read
	problems map[string]bool
}

// logAccess tells what is new of the allowed directory: its problems, and with
// read how many certificates are listed. What the throttle keeps back is new again
// the next time.
func (s *Server) logAccess(problems []access.Problem, read bool) {
	before := s.told.problems
	s.told.problems = make(map[string]bool, len(problems))
	for _, p := range problems {
		text := p.File + "\x00" + p.Err.Error()
		switch {
		case before[text]:
			s.told.problems[text] = true
		case s.logProblem(p):
			s.told.problems[text], read = true, true
		}
	}
	if !read {
		return
	}
	event := s.log.Info()
	if s.access.Clients() == 0 {
		event = s.log.Warn()
	}
	event.Int("certificates", s.access.Clients()).Str("dir", s.options.AllowedClientCertDir).Msg("read the directory of allowed clients")
}

// logProblem tells whether it was logged.
func (s *Server) logProblem(p access.Problem) bool {
	level, message := s.throttles.files.Error, "a client is refused until the file of its certificates is mended"
	switch {
	case p.Refused != "" && strings.HasSuffix(p.File, ".json"):
		message = "a client is refused until its policy is mended"
	case p.Refused != "":
	case disk.MayPass(p.Err):
		message = "a file in the directory of allowed clients cannot be read for now"
	default:
		level, message = s.throttles.files.Warn, "passed over a file in the directory of allowed clients"
	}
	event := level(p.File, p.Err.Error())
	if p.Refused != "" {
		event = event.Str("client", p.Refused)
	}
	logged := event != nil
	event.Err(p.Err).Str("file", p.File).Msg(message)
	return logged
}

// logUnread says once why the allowed directory was not read.
func (s *Server) logUnread(err error) {
	if err.Error() == s.told.unread {
		return
	}
	s.told.unread = err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Error().Err(err).Msg("nobody is allowed any more: the directory of allowed clients (--allowed-client-cert-dir) is gone")
		return
	}
	s.log.Error().Err(err).Msg("the allowed clients stay as they were")
}
