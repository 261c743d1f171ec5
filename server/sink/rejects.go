package sink

import (
	"fmt"
	"os"
	"sync"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"
)

const (
	rejectsBytes = 1 << 20 // of the file, and of the one before it
	rejectsClip  = 200     // bytes of an output
)

// RejectsNames is how many different hosts and services of one client are told
// in a minute for each sink and reason. A client can invent as many as it likes.
const RejectsNames = 20

// Rejects tells people of results that a core will never take: in the log and
// in a small file, for each object at most once a minute. Any goroutine may
// use it.
type Rejects struct {
	log *logx.Throttle // what it holds back is not in the file either

	mu   sync.Mutex // guards the file
	file string
}

// NewRejects returns one that writes to file and, when that has grown to a
// megabyte, begins it anew; the one before is kept as file with ".1".
func NewRejects(file string, log *logx.Throttle) *Rejects {
	return &Rejects{file: file, log: log}
}

// tell notes one rejected result.
func (r *Rejects) tell(target string, it *item, outcome Outcome, why string) {
	name := nameOf(&it.result)
	event, times := r.log.Naming(name).WarnTimes(it.client, outcome.String()+" at "+target)
	if times == 0 {
		return
	}
	name, why = logx.Clip(name), logx.ClipText(why)
	line := fmt.Sprintf("%s %s: %q from client %q, %d times: %s; the last: code %d, %q\n", time.Now().Format(time.RFC3339), target, name, it.client,
		times, why, it.result.Code, it.result.Output[:min(rejectsClip, len(it.result.Output))])
	event = event.Str("sink", target).Str("client", it.client).Str("object", name).Stringer("reason", outcome).Str("why", why)
	if err := r.write(line); err != nil {
		event = event.AnErr("file", err)
	}
	if outcome.handedOut() {
		event.Msg("the core gets this result and throws it away, as it seems")
		return
	}
	event.Msg("the core will never take this result")
}

func (r *Rejects) write(line string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
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
