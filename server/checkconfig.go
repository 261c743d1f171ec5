package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"massive-passive/server/sink"

	"github.com/rs/zerolog"
)

// prober is a sink that can tell beforehand whether it will be let in.
type prober interface {
	Probe(ctx context.Context) (found string, err error)
}

// probeTimeout is how long a core has to answer.
const probeTimeout = 10 * time.Second

// errDoors ends a check that has already told what is wrong.
var errDoors = errors.New("results cannot be delivered as configured")

// CheckConfig tells w which core the options lead to, by which doors, and
// whether they are open to the user that the server runs as; become makes this
// process that user and returns the name. An error says that one is not.
func CheckConfig(ctx context.Context, o Options, w io.Writer, become func() (string, error)) error {
	if err := o.validate(); err != nil {
		return err
	}
	s := &Server{options: o, log: zerolog.Nop()}
	if err := s.loadCertificates(); err != nil {
		return err
	}
	user, err := become()
	if err != nil {
		return err
	}
	if err := s.openAccess(); err != nil {
		return err
	}
	fmt.Fprintf(w, "user     %s\nclients  %d certificates in %s\n", user, s.access.Clients(), o.AllowedClientCertDir)
	if why := s.certs.OwnTrouble(); why != "" {
		fmt.Fprintf(w, "         WRONG: %s\n", why)
	}
	core, err := o.core()
	if err != nil {
		return err
	}
	targets, err := o.targets(core)
	if err != nil {
		return err
	}
	closed := s.tellCore(w, core)
	for i, name := range readerNames(targets) {
		if !s.tellDoor(ctx, w, targets[i], name, core) {
			closed = true
		}
	}
	if closed {
		return errDoors
	}
	return nil
}

// tellCore says what the configuration of the core means for results; true if
// it takes none.
func (s *Server) tellCore(w io.Writer, core *sink.NagiosConfig) (closed bool) {
	if core == nil {
		return false
	}
	fmt.Fprintf(w, "core     %s, as %s says\n", core.Core, core.File)
	if !core.Passive {
		fmt.Fprintln(w, "         NOT OPEN: accept_passive_service_checks or accept_passive_host_checks is 0 there: it takes no passive results of that kind")
		closed = true
	}
	switch _, err := os.Stat(core.ObjectCache); {
	case core.ObjectCache == "":
		fmt.Fprintln(w, "         it names no object_cache_file: results for hosts and services that it does not have will not be told")
	case err != nil:
		fmt.Fprintf(w, "         results for hosts and services that it does not have will not be told: %v\n", err)
	}
	return closed
}

// tellDoor says whether one sink will be let in.
func (s *Server) tellDoor(ctx context.Context, w io.Writer, t target, name string, core *sink.NagiosConfig) (open bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	kind := "Icinga 2"
	switch t.kind {
	case kindCommandFile, kindCheckResults:
		kind = string(s.options.dialect(t, core))
	case kindStdout:
		kind = "standard output"
	}
	made, err := s.makeSink(t, name, nil, core)
	found := ""
	if err == nil {
		found, err = made.Probe(ctx)
	}
	if t.kind == kindCommandFile && core != nil && core.Has(t.to) && !core.Commands {
		err = errors.Join(err, errors.New("check_external_commands is 0 in the core's configuration: it does not read its command file"))
	}
	if err != nil {
		fmt.Fprintf(w, "door     %s (%s)\n         NOT OPEN: %v\n", t, kind, err)
		return false
	}
	fmt.Fprintf(w, "door     %s (%s)\n         open: %s\n", t, kind, found)
	return true
}
