package server

import (
	"context"
	"slices"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/disk"
)

// objectsTick is how often the core's object cache is looked at.
const objectsTick = 250 * time.Millisecond

// readCore reads the configuration of the core, if one is named, and its objects.
func (s *Server) readCore() error {
	var err error
	if s.core, err = s.options.core(); err != nil || s.core == nil || s.core.ObjectCache == "" {
		return err
	}
	kind := s.core.Kind
	if s.options.Dialect != "" {
		kind = core.Kind(s.options.Dialect)
	}
	s.objects = follow(core.NewCache(s.core.ObjectCache, kind), s.core.ObjectCache)
	if kind.LooksUpAddresses() {
		s.addresses = s.objects.Cache
	}
	s.refreshObjects(context.Background())
	return nil
}

// followed is an object cache that is looked at again and again.
type followed struct {
	*core.Cache
	name string // the file that it is, or is looked for by
	disk disk.Reader
}

// readPatience is how long a large object cache may take to be read.
const readPatience = 10 * time.Second

func follow(c *core.Cache, name string) *followed {
	return &followed{Cache: c, name: name, disk: disk.Reader{Patience: readPatience}}
}

// refresh is Refresh, but waits for no disk.
func (f *followed) refresh(ctx context.Context) (read bool, err error) {
	return disk.Within(ctx, &f.disk, f.name, func() (bool, error) { return f.Refresh(time.Now()) })
}

// keepObjects follows what hosts and services cores have until ctx ends.
func (s *Server) keepObjects(ctx context.Context) {
	if s.objects == nil && len(s.found) == 0 {
		return
	}
	tick := time.NewTicker(objectsTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.refreshObjects(ctx)
		for _, found := range s.found {
			if read, _ := found.refresh(ctx); read {
				s.throttles.own.Info(found.File(), "objects found").Str("object_cache_file", found.File()).Int("objects", found.Last().Len()).
					Msg("found what hosts and services the core has: results for others are told of, and written all the same")
			}
		}
	}
}

// refreshObjects reads the core's objects again where they changed, and says so.
func (s *Server) refreshObjects(ctx context.Context) {
	if s.objects == nil {
		return
	}
	read, err := s.objects.refresh(ctx)
	switch {
	case read:
		s.objectsTold = ""
		s.throttles.own.Info(s.objects.File(), "objects read").Str("object_cache_file", s.objects.File()).Int("objects", s.objects.Last().Len()).Msg("read what hosts and services the core has")
	case err == nil && s.objects.Current() != nil:
		s.objectsTold = ""
	case err != nil && ctx.Err() == nil && err.Error() != s.objectsTold:
		s.objectsTold = err.Error()
		s.throttles.own.Still(err.Error()).Warn(s.objects.File(), "objects unknown").Err(err).Msg("not known what hosts and services the core has: results for others are not told apart")
	}
}

// passedByAddress is what is wrong with a policy where nobody knows whose address
// is whose.
const passedByAddress = "clients reach hosts that they may not send for: Nagios takes a host's address for its name, " +
	"which passes by a policy for hosts that is more than a list of names. Give --nagios-config as well, or write the names out"

// passedBy returns the clients whose policies can be passed by with an address.
func (s *Server) passedBy() []string {
	if !s.passesBy {
		return nil
	}
	return s.access.Patterned()
}

// warnPassedBy warns of policies that can be passed by, once for the same clients.
func (s *Server) warnPassedBy() {
	names := s.passedBy()
	if slices.Equal(names, s.patterned) {
		return
	}
	if s.patterned = names; len(names) > 0 {
		const most = 10
		s.log.Warn().Int("clients", len(names)).Strs("client", names[:min(most, len(names))]).Msg(passedByAddress)
	}
}
