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
		if names[i] = fullName(t); t.kind == kindCommandFile && files == 1 {
			names[i] = kindCommandFile
		}
	}
	return names
}

// fullName is the reader's name of a sink that may have others of its kind beside
// it.
func fullName(t target) string {
	if len(t.String()) > 60 { // would be too long as a file's name
		return fmt.Sprintf("%s:%x", t.kind, sha256.Sum256([]byte(t.to)))
	}
	return t.String()
}

// openSinks opens the readers of the sinks that are configured and gives up
// those of sinks that no longer are. A sink in the place of another goes on
// where that one was; one beside others gets what comes from now on.
func (s *Server) openSinks() error {
	targets, err := s.options.targets(s.core)
	if err != nil {
		return err
	}
	s.logOtherSink(targets)
	s.rejects = sink.NewRejects(filepath.Join(s.options.StateDir, rejectsFile), s.throttles.rejects)
	if slices.ContainsFunc(targets, func(t target) bool { return t.kind == kindCheckResults }) {
		s.openOwner()
	}
	names := readerNames(targets)
	before := s.intake.Journal.Stats()
	known := map[string]journal.ReaderStats{}
	var from uint64
	if len(before.Readers) > 0 {
		from = before.Last
	}
	renamed := map[string]bool{} // those that had others beside them
	for i, t := range targets {
		renamed[fullName(t)] = names[i] != fullName(t)
	}
	for _, r := range before.Readers {
		known[r.Name] = r
		if !slices.Contains(names, r.Name) && !renamed[r.Name] {
			from = min(from, r.Acked)
		}
	}
	replaced := false
	for i, t := range targets {
		begin := from
		if was, there := known[fullName(t)]; there {
			begin = was.Acked
		} else if _, there := known[names[i]]; !there {
			replaced = true
		}
		reader, err := s.intake.Journal.Reader(names[i], journal.Start(begin))
		if err != nil {
			return err
		}
		made, err := s.makeSink(t, names[i], reader)
		if err != nil {
			return err
		}
		s.sinks = append(s.sinks, made)
		delete(known, names[i])
	}
	for name, was := range known {
		switch {
		case renamed[name]:
		case replaced || was.Pending == 0:
			s.log.Info().Str("sink", name).Msg("this sink is no longer configured: nothing waits for it, or what is new goes on where it was")
		default:
			s.log.Warn().Str("sink", name).Uint64("up_to", was.Pending).Msg("this sink is no longer configured: results that waited for it were given up")
		}
		if err := s.intake.Journal.RemoveReader(name); err != nil {
			s.log.Error().Err(err).Msg("cannot forget a sink")
		}
	}
	return nil
}

// logOtherSink says why results do not go where a core's configuration alone would
// have them go.
func (s *Server) logOtherSink(targets []target) {
	if o := &s.options; s.core != nil && s.core.CheckResultDir != "" && len(o.Sinks) == 0 && o.CommandFile == "" && targets[0].kind == kindCommandFile {
		s.log.Info().Str("dir", s.core.CheckResultDir).Msg("the core's check-result directory is not open to this user: results go by its command file")
	}
}

// runSinks runs them until ctx ends.
func (s *Server) runSinks(ctx context.Context) {
	var running sync.WaitGroup
	for _, r := range s.sinks {
		running.Go(func() { r.Run(ctx) })
	}
	running.Wait()
}
