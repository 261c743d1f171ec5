package access

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"massive-passive/internal/disk"
	"massive-passive/internal/logx"
	"massive-passive/sched/watch"

	"github.com/rs/zerolog"
)

// settle is how long the allowed directory must be quiet before it is read. A
// change counts within a second, for a stream of them is waited out for ten
// times this at most.
const settle = 90 * time.Millisecond

// lookInterval is how often the allowed directory is looked at for what the
// watch cannot see: behind symlinks, and on network file systems. Each sixth
// look is at all of it, which with ten thousand files takes tens of
// milliseconds: a file may also change through a hard link elsewhere, or have
// another mounted over it.
const (
	lookInterval = 10 * time.Second
	looksAtAll   = 6
)

// Follower reads a directory again when it changed, and logs what it read.
type Follower struct {
	*Directory
	Log   zerolog.Logger
	Files *logx.Throttle // what is wrong with files, by file
	Asked func()         // is called before the directory is read because somebody asked for it
	Read  func(ok bool)  // is called after each reading

	unread   string          // why the directory was last not read, as far as the log says it; owned by Run
	problems map[string]bool // that the log says; owned by Run, and before it by who calls LogRead
}

// Run reads the directory again when it changed, and when somebody asks, until ctx ends.
func (f *Follower) Run(ctx context.Context, asked <-chan func()) {
	changed := make(chan struct{}, 1)
	var unwatched atomic.Bool
	var watching sync.WaitGroup
	watching.Go(func() {
		err := watch.Dir(ctx, f.path, settle, func() {
			select {
			case changed <- struct{}{}:
			default: // a reload is due already
			}
		})
		if err != nil && ctx.Err() == nil {
			unwatched.Store(true)
			f.Log.Warn().Err(err).Msg("cannot watch the directory of allowed clients: changes count only within ten seconds")
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
			f.Asked()
			f.reread(ctx, true)
			done()
		case <-changed:
			f.reread(ctx, false)
		case <-look.C:
			looks++
			atAll := looks%looksAtAll == 0
			isChanged := f.ChangedUnseen
			if unwatched.Load() || atAll {
				isChanged = f.Changed
			}
			if isChanged(ctx) || atAll && f.Incomplete() {
				f.reread(ctx, false)
			}
		}
	}
}

// reread reads the directory again. One that is not there lists nobody, unless
// another is just being put in its place. It tells what it read where somebody
// asked for it, or where it says something else than before.
func (f *Follower) reread(ctx context.Context, asked bool) {
	before := f.Content()
	problems, err := f.Reload(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		if problems, err = f.Reload(ctx); errors.Is(err, fs.ErrNotExist) {
			f.Clear()
		}
	}
	switch {
	case ctx.Err() != nil:
		return // it stops, and waits for no file
	case err != nil:
		f.logUnread(err)
	default:
		tell := asked || f.unread != "" || f.Content() != before
		f.unread = ""
		f.LogRead(problems, tell)
	}
	f.Read(err == nil)
}

// LogRead tells what is new of the allowed directory: its problems, and with
// read how many certificates are listed. What the throttle keeps back is new again
// the next time.
func (f *Follower) LogRead(problems []Problem, read bool) {
	before := f.problems
	f.problems = make(map[string]bool, len(problems))
	for _, p := range problems {
		text := p.File + "\x00" + p.Err.Error()
		switch {
		case before[text]:
			f.problems[text] = true
		case f.logProblem(p):
			f.problems[text], read = true, true
		}
	}
	if !read {
		return
	}
	event := f.Log.Info()
	if f.Clients() == 0 {
		event = f.Log.Warn()
	}
	event.Int("certificates", f.Clients()).Str("dir", f.path).Msg("read the directory of allowed clients")
}

// logProblem tells whether it was logged.
func (f *Follower) logProblem(p Problem) bool {
	level, message := f.Files.Error, "a client is refused until the file of its certificates is mended"
	switch {
	case p.Refused != "" && strings.HasSuffix(p.File, ".json"):
		message = "a client is refused until its policy is mended"
	case p.Refused != "":
	case disk.MayPass(p.Err):
		message = "a file in the directory of allowed clients cannot be read for now"
	default:
		level, message = f.Files.Warn, "passed over a file in the directory of allowed clients"
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
func (f *Follower) logUnread(err error) {
	if err.Error() == f.unread {
		return
	}
	f.unread = err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		f.Log.Error().Err(err).Msg("nobody is allowed any more: the directory of allowed clients (--allowed-client-cert-dir) is gone")
		return
	}
	f.Log.Error().Err(err).Msg("the allowed clients stay as they were")
}
