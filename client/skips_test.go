package client

import (
	"testing"
	"time"
)

func TestSkipsAreToldOnceAMinuteForEachCheck(t *testing.T) {
	var s skips
	begin := time.Now()
	for _, c := range []struct {
		file string
		at   time.Duration
		all  int
		say  bool
	}{
		{"a.cfg", 0, 2, true},
		{"a.cfg", time.Second, 0, false},
		{"b.cfg", time.Second, 2, true},
		{"a.cfg", 59 * time.Second, 0, false},
		{"a.cfg", 60 * time.Second, 6, true},
		{"a.cfg", 61 * time.Second, 0, false},
		{"a.cfg", 10 * time.Minute, 4, true},
	} {
		if all, say := s.say(c.file, 2, begin.Add(c.at)); all != c.all || say != c.say {
			t.Errorf("%s after %v: %d, %v; want %d, %v", c.file, c.at, all, say, c.all, c.say)
		}
	}
	s.forget([]string{"a.cfg"})
	if all, say := s.say("a.cfg", 1, begin.Add(10*time.Minute)); all != 1 || !say {
		t.Errorf("after its file went: %d, %v", all, say)
	}
}

func TestDropsAreKeptByServerAndReason(t *testing.T) {
	var d drops
	d.add("a", tooOld, 3)
	d.add("a", tooOld, 1)
	d.add("b", journalFull, 2)
	d.add("", unstorable, 5)
	if got := d.of("a"); got[tooOld] != 4 || got[unstorable] != 5 || len(got) != 2 {
		t.Errorf("of a: %v", got)
	}
	d.forget("b")
	if got := d.of("b"); len(got) != 1 {
		t.Errorf("of b: %v", got)
	}
}
