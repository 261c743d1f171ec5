package server

import (
	"fmt"
	"os"

	"massive-passive/internal/core"
	"massive-passive/server/sink"
	"massive-passive/wire/journal"
)

// makeSink makes the sink of a target, whose reader has the name.
func (s *Server) makeSink(t target, name string, r *journal.Reader) (runner, error) {
	o := &s.options
	feed := sink.FeedOptions{Target: t.String(), DrainRate: o.DrainRate, LatestOnly: o.Backlog == backlogLatest, Rejects: s.rejects, Log: s.throttles.own, Permit: s.access.Judge}
	dialect := o.dialect(t, s.core)
	config, age := "", core.DefaultMaxFileAge
	if s.core.Has(t.to) {
		config, age = s.core.File, s.core.MaxFileAge
		if s.objects != nil {
			feed.Objects = s.objects.Cache
		}
	}
	switch t.kind {
	case kindCommandFile:
		feed.OrderGuard, feed.Blind = o.orderGuard(dialect != sink.Icinga), true
		if feed.Objects == nil && dialect != sink.Icinga {
			feed.Found = core.FindCache(t.to)
			s.found = append(s.found, follow(feed.Found, t.to))
		}
		s.passesBy = s.passesBy || feed.Objects == nil && core.Kind(dialect).LooksUpAddresses()
		s.log.Info().Stringer("sink", t).Str("dialect", string(dialect)).Msg("results go there")
		return &sink.CommandFile{Feed: sink.NewFeed(r, feed), Path: t.to, Dialect: dialect, Spool: o.spoolDir(name), Window: sink.DefaultWindow,
			Unread: sink.DefaultUnread, Config: config, FenceTick: sink.DefaultFenceTick, Log: s.throttles.own}, nil
	case kindCheckResults:
		feed.OrderGuard, feed.Blind = o.orderGuard(true), true
		s.log.Info().Stringer("sink", t).Str("dialect", string(dialect)).Msg("results go there")
		return &sink.CheckResults{Feed: sink.NewFeed(r, feed), Dir: t.to, Owner: s.ownerOf(name), Dialect: dialect, Config: config, MaxFileAge: age,
			LatestOnly: feed.LatestOnly, Window: sink.DefaultWindow, Log: s.throttles.own}, nil
	case kindIcinga2:
		api, err := o.icinga(t.to, s.throttles.own)
		if err != nil {
			return nil, err
		}
		feed.OrderGuard = o.orderGuard(false)
		s.log.Info().Stringer("sink", t).Msg("results go there")
		api.Feed, api.Window, api.Log = sink.NewFeed(r, feed), sink.DefaultWindow, s.throttles.own
		return api, nil
	case kindStdout:
		feed.OrderGuard = o.orderGuard(false)
		return &sink.Stream{Feed: sink.NewFeed(r, feed), Out: os.Stdout}, nil
	}
	return nil, fmt.Errorf("nobody knows how to make the sink %s", t)
}
