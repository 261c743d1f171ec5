package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"massive-passive/server/sink"
	"massive-passive/wire/journal"
)

// runner delivers what its reader reads until ctx ends.
type runner interface {
	Run(ctx context.Context)
	Status() sink.Status
	prober
}

// rejectsFile is in the state directory.
const rejectsFile = "rejects.log"

// readerNames names the reader of each sink so that it is the same after a
// restart. A command file that is the only one has a name without its path,
// which may change.
func readerNames(targets []target) []string {
	files := 0
	for _, t := range targets {
		if t.kind == kindCommandFile {
			files++
		}
	}
	names := make([]string, len(targets))
	for i, t := range targets {
		switch {
		case t.kind == kindCommandFile && files == 1:
			names[i] = kindCommandFile
		case len(t.String()) > 60: // would be too long as a file's name
			names[i] = fmt.Sprintf("%s:%x", t.kind, sha256.Sum256([]byte(t.to)))
		default:
			names[i] = t.String()
		}
	}
	return names
}

// openSinks opens the readers of the sinks that are configured and gives up
// those of sinks that no longer are. A sink in the place of another goes on
// where that one was; one beside others gets what comes from now on.
func (s *Server) openSinks() error {
	core, err := s.options.core()
	if err != nil {
		return err
	}
	targets, err := s.options.targets(core)
	if err != nil {
		return err
	}
	s.rejects = sink.NewRejects(filepath.Join(s.options.StateDir, rejectsFile), s.log)
	if slices.ContainsFunc(targets, func(t target) bool { return t.kind == kindCheckResults }) {
		s.openOwner()
	}
	names := readerNames(targets)
	before := s.intake.journal.Stats()
	known := map[string]bool{}
	var from uint64
	if len(before.Readers) > 0 {
		from = before.Last
	}
	for _, r := range before.Readers {
		known[r.Name] = true
		if !slices.Contains(names, r.Name) {
			from = min(from, r.Acked)
		}
	}
	for i, t := range targets {
		reader, err := s.intake.journal.Reader(names[i], journal.Oldest)
		if err != nil {
			return err
		}
		if !known[names[i]] {
			if err := skip(reader, from); err != nil {
				return fmt.Errorf("begin to deliver to %s: %w", t, err)
			}
		}
		made, err := s.makeSink(t, names[i], reader, core)
		if err != nil {
			return err
		}
		s.sinks = append(s.sinks, made)
		delete(known, names[i])
	}
	for name := range known {
		s.log.Warn().Str("sink", name).Msg("this sink is no longer configured: the journal keeps nothing for it any more")
		if err := s.intake.journal.RemoveReader(name); err != nil {
			s.log.Error().Err(err).Msg("cannot forget a sink")
		}
	}
	return nil
}

// skip acknowledges what a new reader need not read: all up to from.
func skip(r *journal.Reader, from uint64) error {
	var records []journal.Record
	for r.Acked() < from {
		var err error
		if records, err = r.TryNext(records, 1000, 1<<20); err != nil || len(records) == 0 {
			return err
		}
		r.Ack(min(from, records[len(records)-1].Seq))
	}
	r.Rewind()
	return nil
}

// runSinks runs them until ctx ends.
func (s *Server) runSinks(ctx context.Context) {
	var running sync.WaitGroup
	for _, r := range s.sinks {
		running.Go(func() { r.Run(ctx) })
	}
	running.Wait()
}
