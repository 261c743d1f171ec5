package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"massive-passive/server/sink"
	"massive-passive/wire/journal"
)

// runner delivers what its reader reads until ctx ends.
type runner interface {
	Run(ctx context.Context)
	Status() sink.Status
}

// The kinds of --sink.
const kindCommandFile = "command-file"

// target is one --sink.
type target struct{ kind, to string }

func (t target) String() string { return t.kind + ":" + t.to }

// targets returns the sinks that the options name; without any, the usual
// command file.
func (o *Options) targets() ([]target, error) {
	var list []target
	if o.CommandFile != "" {
		list = append(list, target{kindCommandFile, o.CommandFile})
	}
	for _, text := range o.Sinks {
		t, err := parseTarget(text)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		list = append(list, target{kind: kindCommandFile})
	}
	for i := range list {
		if list[i].kind == kindCommandFile && list[i].to == "" {
			file, err := usualCommandFile()
			if err != nil {
				return nil, err
			}
			list[i].to = file
		}
		if slices.Contains(list[:i], list[i]) {
			return nil, &OptionError{"--sink", fmt.Sprintf("%q is named twice", list[i])}
		}
	}
	return list, nil
}

func parseTarget(text string) (target, error) {
	kind, to, _ := strings.Cut(text, ":")
	if kind != kindCommandFile {
		return target{}, &OptionError{"--sink", fmt.Sprintf("%q is no KIND:TARGET that is known: KIND is %s", text, kindCommandFile)}
	}
	return target{kind, to}, nil
}

// usualCommandFile finds the core's command file.
func usualCommandFile() (string, error) {
	for _, file := range sink.DefaultCommandFiles() {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		} else if errors.Is(err, fs.ErrPermission) {
			return "", fmt.Errorf("look for the core's command file: %w: the server's user must be in the core's group", err)
		}
	}
	return "", &OptionError{"--command-file", fmt.Sprintf("none of the usual command files exists (%s): start the core, or name its command file",
		strings.Join(sink.DefaultCommandFiles(), ", "))}
}

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
	targets, err := s.options.targets()
	if err != nil {
		return err
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
		s.sinks = append(s.sinks, s.newSink(t, reader))
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

func (s *Server) newSink(t target, r *journal.Reader) runner {
	o := &s.options
	dialect := o.dialect(t.to)
	feed := sink.NewFeed(r, sink.FeedOptions{Target: t.String(), OrderGuard: o.orderGuard(dialect != sink.Icinga),
		DrainRate: o.DrainRate, LatestOnly: o.Backlog == backlogLatest, Log: s.log})
	s.log.Info().Stringer("sink", t).Str("dialect", string(dialect)).Msg("results go there")
	return &sink.CommandFile{Feed: feed, Path: t.to, Dialect: dialect, Spool: o.spoolDir(), Window: sink.DefaultWindow, Log: s.log}
}

// runSinks runs them until ctx ends.
func (s *Server) runSinks(ctx context.Context) {
	var running sync.WaitGroup
	for _, r := range s.sinks {
		running.Go(func() { r.Run(ctx) })
	}
	running.Wait()
}
