// Package logx bounds what a log says: a thing that happens often is logged once
// a minute, with how often it happened. Whoever can cause a line of the log can
// cause a million, so each line that a peer, a plugin or a disk can cause goes
// through a Throttle. It is no logger: zerolog is the one.
package logx

import (
	"container/list"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Limits bound what a Throttle lets through and what it remembers. A value of 0
// means the default.
type Limits struct {
	Every time.Duration // a thing is logged once in this time; by default a minute
	Lines int           // of the log in that time, of all things together; by default 120
	Keys  int           // things that are remembered; by default 2000
	Names int           // different names that a thing is logged with in that time; by default 1
}

const (
	defaultLines = 120
	defaultKeys  = 2000
	keyBytes     = 200 // of each half of a thing's name; things that begin with the same are the same
)

// Throttle lets each thing be logged once a minute and counts what it keeps
// back. The count is told by the next line about the same thing; when there is
// none, a line of its own tells it soon after the minute is over.
//
// A thing is named by whom it is about (a client, a network, a sink) and by its
// kind, of which there should be few. A peer must be able to invent neither: the
// limits hold against it all the same, but it would take the place of others.
// Those whose lines must not be lost to a flood by somebody else get a Throttle
// of their own.
//
// Any goroutine may use it. A nil Throttle logs nothing.
type Throttle struct {
	log    zerolog.Logger
	limits Limits

	mu     sync.Mutex
	known  map[key]*list.Element // of *thing
	seed   maphash.Seed
	recent list.List // the most recently used at the front
	window time.Time // since when lines are counted
	lines  int       // since then
	extra  extra
	told   time.Time   // when extra was told
	timer  *time.Timer // runs while anything is kept back
	closed bool
}

type key struct{ about, kind string }

// thing is what is remembered of one kind of event about one peer.
type thing struct {
	key
	level   zerolog.Level
	message string    // of its last line; "" before there was one
	until   time.Time // when the next line may follow
	names   []named   // that it was logged with since it was silent last
	others  int       // events kept back that have no name among these
}

// named counts what was kept back of a thing that was logged with a name.
type named struct {
	hash uint64
	kept int
}

// extra counts what was kept back for want of room, not for its own sake.
type extra struct {
	events int
	abouts []string // some of those that it was about
}

const mostAbouts = 5

// NewThrottle returns a Throttle of what is logged to log.
func NewThrottle(log zerolog.Logger, limits Limits) *Throttle {
	if limits.Every == 0 {
		limits.Every = time.Minute
	}
	if limits.Lines == 0 {
		limits.Lines = defaultLines
	}
	if limits.Keys == 0 {
		limits.Keys = defaultKeys
	}
	if limits.Names == 0 {
		limits.Names = 1
	}
	return &Throttle{log: log, limits: limits, known: map[key]*list.Element{}, seed: maphash.MakeSeed()}
}

// Error returns the event to log about something now, with how many "times" it
// happened since its last line, this time included. It returns nil, which takes
// fields and a message as any event does, if nothing is to be logged now.
func (t *Throttle) Error(about, kind string) *zerolog.Event {
	return t.event(zerolog.ErrorLevel, Events{n: 1}, about, kind)
}

// Warn does what Error does, for a warning.
func (t *Throttle) Warn(about, kind string) *zerolog.Event {
	return t.event(zerolog.WarnLevel, Events{n: 1}, about, kind)
}

// Info does what Error does, for information.
func (t *Throttle) Info(about, kind string) *zerolog.Event {
	return t.event(zerolog.InfoLevel, Events{n: 1}, about, kind)
}

// Of returns what logs that a thing happened n times at once: "times" counts them.
func (t *Throttle) Of(n int) Events { return Events{throttle: t, n: n} }

// Naming returns what logs a thing with a name that a peer may have invented, such
// as a host's: up to Limits.Names different ones are logged, each once a minute.
// What is kept back of the others is "others" of the next line.
func (t *Throttle) Naming(name string) Events {
	if t == nil {
		return Events{}
	}
	return Events{throttle: t, n: 1, hash: maphash.String(t.seed, name)}
}

// Still returns what logs that a thing goes on to be so, for as long as it is asked:
// how often that is counts for nothing. Where name is another than before, it is
// logged at once, up to Limits.Names times a minute.
func (t *Throttle) Still(name string) Events {
	s := t.Naming(name)
	s.n = 0
	return s
}

// Events are logged as a Throttle's single events are.
type Events struct {
	throttle *Throttle
	n        int
	hash     uint64 // of a name; 0 for none
}

// Error does what a Throttle's Error does.
func (s Events) Error(about, kind string) *zerolog.Event {
	return s.throttle.event(zerolog.ErrorLevel, s, about, kind)
}

// Warn does what a Throttle's Warn does.
func (s Events) Warn(about, kind string) *zerolog.Event {
	return s.throttle.event(zerolog.WarnLevel, s, about, kind)
}

// Info does what a Throttle's Info does.
func (s Events) Info(about, kind string) *zerolog.Event {
	return s.throttle.event(zerolog.InfoLevel, s, about, kind)
}

func (t *Throttle) event(level zerolog.Level, s Events, about, kind string) *zerolog.Event {
	if t == nil || level < t.log.GetLevel() || level < zerolog.GlobalLevel() {
		return nil
	}
	event, _ := t.counted(level, s, about, kind)
	return event
}

// WarnTimes does what Warn does, for what is told in other places than the log as
// well: times is what the event holds, and 0 if nothing is to be told now. The
// event may be nil all the same, where the log takes no warnings.
func (s Events) WarnTimes(about, kind string) (event *zerolog.Event, times int) {
	return s.throttle.counted(zerolog.WarnLevel, s, about, kind)
}

func (t *Throttle) counted(level zerolog.Level, s Events, about, kind string) (event *zerolog.Event, times int) {
	if t == nil {
		return nil, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	it := t.find(key{clip(about), clip(kind)})
	it.level = level
	if !it.mayName(s.hash, now, t.limits.Names) || !t.takeLine(now) {
		it.keep(s)
		if s.n > 0 {
			t.watch()
		}
		return nil, 0
	}
	times, others := it.begin(s, now, t.limits.Every)
	log := t.log.Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, message string) {
		if times > 0 {
			e.Int("times", times)
		}
		if others > 0 {
			e.Int("others", others)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		it.message = clip(message)
	}))
	return log.WithLevel(level), times
}

// mayName tells whether the thing may be logged with a name.
func (it *thing) mayName(hash uint64, now time.Time, most int) bool {
	return !now.Before(it.until) || len(it.names) < most && it.named(hash) == nil
}

func (it *thing) named(hash uint64) *named {
	for i := range it.names {
		if it.names[i].hash == hash {
			return &it.names[i]
		}
	}
	return nil
}

// keep counts what is not logged.
func (it *thing) keep(s Events) {
	if known := it.named(s.hash); known != nil {
		known.kept += s.n
		return
	}
	it.others += s.n
}

// begin notes that a line is logged, and returns what it has to count. The first
// line after a silence counts all that was kept back before.
func (it *thing) begin(s Events, now time.Time, every time.Duration) (times, others int) {
	times = s.n
	if !now.Before(it.until) {
		all := it.kept()
		own := all // without names there are no others
		if known := it.named(s.hash); s.hash != 0 {
			own = 0
			if known != nil {
				own = known.kept
			}
		}
		times, others = times+own, all-own
		it.names, it.others, it.until = nil, 0, now.Add(every)
	}
	it.names = append(it.names, named{hash: s.hash})
	return times, others
}

// kept is how much was kept back.
func (it *thing) kept() int {
	n := it.others
	for _, name := range it.names {
		n += name.kept
	}
	return n
}

// told forgets what was kept back.
func (it *thing) told() {
	it.others = 0
	for i := range it.names {
		it.names[i].kept = 0
	}
}

// find returns what is remembered under k, which may push out what was not used
// for longest.
func (t *Throttle) find(k key) *thing {
	if e := t.known[k]; e != nil {
		t.recent.MoveToFront(e)
		return e.Value.(*thing)
	}
	for t.recent.Len() >= t.limits.Keys {
		oldest := t.recent.Remove(t.recent.Back()).(*thing)
		delete(t.known, oldest.key)
		t.extra.add(oldest)
	}
	it := &thing{key: key{strings.Clone(k.about), strings.Clone(k.kind)}}
	t.known[it.key] = t.recent.PushFront(it)
	return it
}

// takeLine tells whether all together may have one more line.
func (t *Throttle) takeLine(now time.Time) bool {
	if now.Sub(t.window) >= t.limits.Every {
		t.window, t.lines = now, 0
	}
	if t.lines >= t.limits.Lines {
		return false
	}
	t.lines++
	return true
}

func (x *extra) add(it *thing) {
	x.events += it.kept()
	if it.kept() > 0 && len(x.abouts) < mostAbouts {
		x.abouts = append(x.abouts, it.about)
	}
}

// watch lets what is kept back be told later. t.mu is held.
func (t *Throttle) watch() {
	if t.timer == nil && !t.closed {
		t.timer = time.AfterFunc(t.limits.Every/4, t.look)
	}
}

// look tells the counts of what did not happen again after its minute.
func (t *Throttle) look() {
	t.mu.Lock()
	t.timer = nil
	events := t.over(time.Now())
	if t.keepsAny() {
		t.watch()
	}
	t.mu.Unlock()
	for _, send := range events {
		send()
	}
}

func (t *Throttle) keepsAny() bool {
	for e := t.recent.Front(); e != nil; e = e.Next() {
		if e.Value.(*thing).kept() > 0 {
			return true
		}
	}
	return t.extra.events > 0
}

// over returns the lines about what was kept back until now. A thing that goes
// on is left to its next line for a quarter of the time. A zero time stands for
// the end: all that is left is told then.
func (t *Throttle) over(now time.Time) []func() {
	end := now.IsZero()
	var lines []func()
	for e := t.recent.Front(); e != nil; e = e.Next() {
		it := e.Value.(*thing)
		switch rested := end || now.Sub(it.until) >= t.limits.Every/4; {
		case it.kept() == 0 || !rested:
			continue
		case it.message == "" || !end && !t.takeLine(now) || end && len(lines) >= t.limits.Lines:
			t.extra.add(it)
		default:
			lines = append(lines, t.again(*it, it.kept()))
		}
		it.told()
	}
	if x := t.extra; x.events > 0 && (end || now.Sub(t.told) >= t.limits.Every) {
		t.extra, t.told = extra{}, now
		lines = append(lines, func() {
			t.log.Warn().Int("times", x.events).Strs("about", x.abouts).
				Msg(fmt.Sprintf("not logged: there is room for %d such lines in %v", t.limits.Lines, t.limits.Every))
		})
	}
	return lines
}

// again makes the line that tells how often a thing happened since its last one.
func (t *Throttle) again(it thing, times int) func() {
	return func() {
		t.log.WithLevel(it.level).Int("times", times).Str("about", it.about).Str("kind", it.kind).Msg(it.message + ": more of the same")
	}
}

// Close tells what is still kept back. What is logged afterwards is bounded as
// before, but no longer counted in lines of its own.
func (t *Throttle) Close() {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	lines := t.over(time.Time{})
	t.mu.Unlock()
	for _, send := range lines {
		send()
	}
}

func clip(text string) string { return text[:min(len(text), keyBytes)] }
