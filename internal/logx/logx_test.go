package logx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// output collects the lines of a log.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

type line struct {
	Level, Message, About, Kind, Why string
	Times, Others                    int
}

// take returns the lines since the last call.
func (o *output) take(t *testing.T) []line {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []line
	for text := range strings.Lines(o.text.String()) {
		var l struct {
			line
			About any
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if l.About != nil {
			l.line.About = fmt.Sprint(l.About)
		}
		lines = append(lines, l.line)
	}
	o.text.Reset()
	return lines
}

func (o *output) expect(t *testing.T, want ...line) {
	t.Helper()
	synctest.Wait()
	if got := o.take(t); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("logged %+v, want %+v", got, want)
	}
}

func TestAThingIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o output
		throttle := NewThrottle(zerolog.New(&o), Limits{})
		for n := range 1000 {
			throttle.Warn("web1", "denied").Int("n", n).Msg("rejected a result")
			throttle.Error("web2", "denied").Msg("rejected a result")
		}
		o.expect(t, line{Level: "warn", Message: "rejected a result", Times: 1}, line{Level: "error", Message: "rejected a result", Times: 1})
		time.Sleep(time.Minute)
		throttle.Warn("web1", "denied").Msg("rejected a result")
		o.expect(t, line{Level: "warn", Message: "rejected a result", Times: 1000})
		time.Sleep(30 * time.Second) // nothing follows from web2: its count gets a line of its own
		o.expect(t, line{Level: "error", Message: "rejected a result: more of the same", About: "web2", Kind: "denied", Times: 999})
		time.Sleep(time.Hour)
		o.expect(t)
		throttle.Close()
		o.expect(t)
	})
}

func TestCloseTellsWhatIsKeptBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o output
		throttle := NewThrottle(zerolog.New(&o), Limits{})
		for range 3 {
			throttle.Info("web1", "connected").Msg("connected")
		}
		o.expect(t, line{Level: "info", Message: "connected", Times: 1})
		throttle.Close()
		o.expect(t, line{Level: "info", Message: "connected: more of the same", About: "web1", Kind: "connected", Times: 2})
		time.Sleep(time.Hour)
		o.expect(t)
	})
}

// Names that are invented cost a bounded number of lines and bytes, and all that
// is kept back is counted somewhere.
func TestInventedNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o output
		throttle := NewThrottle(zerolog.New(&o), Limits{Lines: 20, Keys: 50})
		const events, minutes = 20_000, 3
		for n := range events * minutes {
			if n%events == 0 && n > 0 {
				time.Sleep(time.Minute)
			}
			throttle.Warn(strings.Repeat("x", n%2*1000)+fmt.Sprint(n), fmt.Sprint("kind", n)).Msg("an event")
		}
		throttle.Close()
		lines := o.take(t)
		if most := minutes*(20+1) + 21; len(lines) > most || len(lines) < minutes*20 {
			t.Errorf("%d lines", len(lines))
		}
		sum := 0
		for _, l := range lines {
			sum += l.Times
		}
		if sum != events*minutes {
			t.Errorf("%d of %d events are counted", sum, events*minutes)
		}
		size := 0
		for k := range throttle.known {
			size += len(k.about) + len(k.kind)
		}
		if len(throttle.known) != 50 || throttle.recent.Len() != 50 || size > 50*2*keyBytes {
			t.Errorf("remembers %d things in %d bytes", len(throttle.known), size)
		}
	})
}

// New names push out the one that was not used for longest, and not all.
func TestWhatGoesOnStaysKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o output
		throttle := NewThrottle(zerolog.New(&o), Limits{Lines: 10_000, Keys: 10})
		for n := range 1000 {
			throttle.Warn("web1", "denied").Str("why", "old").Msg("rejected")
			throttle.Warn("invented", fmt.Sprint(n)).Msg("invented")
		}
		old := 0
		for _, l := range o.take(t) {
			if l.Why == "old" {
				old++
			}
		}
		if old != 1 {
			t.Errorf("what goes on was logged %d times", old)
		}
	})
}

func TestALevelThatIsOffKeepsNothing(t *testing.T) {
	var o output
	throttle := NewThrottle(zerolog.New(&o).Level(zerolog.ErrorLevel), Limits{})
	for range 3 {
		throttle.Warn("web1", "denied").Msg("rejected")
	}
	throttle.Close()
	if lines := o.take(t); lines != nil || len(throttle.known) != 0 {
		t.Errorf("logged %v, remembers %d", lines, len(throttle.known))
	}
}

// A few of the names that a thing comes with are logged, each once a minute.
func TestAFewNamesOfAThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o output
		throttle := NewThrottle(zerolog.New(&o), Limits{Names: 3})
		say := func(name string) { throttle.Naming(name).Warn("web1", "unknown").Msg(name) }
		for _, name := range []string{"a", "a", "b", "a", "c", "d", "e", "e"} {
			say(name)
		}
		one := line{Level: "warn", Times: 1}
		a, b, c := one, one, one
		a.Message, b.Message, c.Message = "a", "b", "c"
		o.expect(t, a, b, c)
		time.Sleep(time.Minute)
		say("a")
		a.Times, a.Others = 3, 3
		o.expect(t, a)
		say("f")
		say("f")
		f := one
		f.Message = "f"
		o.expect(t, f)
		time.Sleep(time.Hour)
		o.expect(t, line{Level: "warn", Message: "f: more of the same", About: "web1", Kind: "unknown", Times: 1})
	})
}

func TestSeveralEventsAtOnce(t *testing.T) {
	var o output
	throttle := NewThrottle(zerolog.New(&o), Limits{})
	throttle.Of(7).Error("core", "pushed out").Msg("gone")
	throttle.Of(4).Error("core", "pushed out").Msg("gone")
	throttle.Close()
	if lines := o.take(t); len(lines) != 2 || lines[0].Times != 7 || lines[1].Times != 4 {
		t.Errorf("%+v", lines)
	}
}

func TestClip(t *testing.T) {
	if got := Clip(strings.Repeat("x", 1000)); len(got) > MostName+len("…") || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
	if got := Clip([]byte("short")); got != "short" {
		t.Error(got)
	}
}
