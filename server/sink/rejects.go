package sink

import (
	"fmt"
	"os"
	"sync"
	"time"

	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

const (
	rejectsBytes = 1 << 20 // of the file, and of the one before it
	rejectsQuiet = time.Minute
	rejectsMost  = 10_000 // objects whose last line is remembered
	rejectsClip  = 200    // bytes of an output
)

// Rejects tells people of results that a core will never take: in the log and
// in a small file, for each object at most once a minute. Any goroutine may
// use it.
type Rejects struct {
	file string
	log  zerolog.Logger

	mu   sync.Mutex
	said map[string]*silence
}

// silence counts what is not told until a time.
type silence struct {
	until time.Time
	times int
}

// NewRejects returns one that writes to file and, when that has grown to a
// megabyte, begins it anew; the one before is kept as file with ".1".
func NewRejects(file string, log zerolog.Logger) *Rejects {
	return &Rejects{file: file, log: log, said: map[string]*silence{}}
}

// tell notes one rejected result.
func (r *Rejects) tell(target string, it *item, outcome Outcome, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := nameOf(&it.result)
	key := target + " " + outcome.String() + " " + name
	now := time.Now()
	s := r.said[key]
	if s == nil {
		if len(r.said) >= rejectsMost {
			r.said = map[string]*silence{}
		}
		s = &silence{}
		r.said[key] = s
	}
	s.times++
	if now.Before(s.until) {
		return
	}
	event := r.log.Warn().Str("sink", target).Str("client", it.client).Str("object", name).Int("times", s.times).Stringer("reason", outcome).Str("why", why)
	line := fmt.Sprintf("%s %s: %q from client %q, %d times: %s; the last: code %d, %q\n", now.Format(time.RFC3339), target, name, it.client,
		s.times, why, it.result.Code, it.result.Output[:min(rejectsClip, len(it.result.Output))])
	s.until, s.times = now.Add(rejectsQuiet), 0
	if err := r.write(line); err != nil {
		event = event.AnErr("file", err)
	}
	event.Msg("the core will never take this result")
}

func (r *Rejects) write(line string) error {
	if info, err := os.Stat(r.file); err == nil && info.Size() >= rejectsBytes {
		if err := os.Rename(r.file, r.file+".1"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(r.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// nameOf names what a result is about, for people.
func nameOf(r *check.Result) string {
	switch r.Kind {
	case check.Command:
		return check.CommandName(r.Command)
	case check.Host:
		return r.Host
	}
	return r.Host + ";" + r.Service
}
