package client

import (
	"sync"
	"time"
)

// seldom limits what one goroutine says to once in sayInterval.
type seldom struct{ said time.Time }

func (s *seldom) now() bool {
	if time.Since(s.said) < sayInterval {
		return false
	}
	s.said = time.Now()
	return true
}

// skips limits what is said of skipped runs: a check that takes longer than
// its interval skips every second one. Any goroutine may use it.
type skips struct {
	mu    sync.Mutex
	since map[string]*silence // by check file
}

type silence struct {
	until time.Time
	runs  int
}

// say tells whether to speak of a check's skipped runs now, and how many there
// were since that was done last, these included.
func (s *skips) say(file string, runs int, now time.Time) (all int, speak bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since == nil {
		s.since = map[string]*silence{}
	}
	quiet := s.since[file]
	if quiet == nil {
		quiet = &silence{}
		s.since[file] = quiet
	}
	quiet.runs += runs
	if now.Before(quiet.until) {
		return 0, false
	}
	all, quiet.runs = quiet.runs, 0
	quiet.until = now.Add(sayInterval)
	return all, true
}

// forget drops the checks of files that are gone.
func (s *skips) forget(files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range files {
		delete(s.since, file)
	}
}
