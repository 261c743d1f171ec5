package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// prober is a sink that can tell beforehand whether it will be let in.
type prober interface {
	Probe(ctx context.Context) (found string, err error)
}

// probeTimeout is how long a core has to answer.
const probeTimeout = 10 * time.Second

// errClosed ends a check that has already told what is wrong.
var errClosed = errors.New("results cannot be delivered as configured")

// CheckConfig tells w which core the options lead to, by which sinks, and
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
	if err := s.readCore(); err != nil {
		return err
	}
	if err := s.openAccess(); err != nil {
		return err
	}
	fmt.Fprintf(w, "user     %s\nclients  %d certificates in %s\n", user, s.access.Clients(), o.AllowedClientCertDir)
	if why := s.certs.OwnTrouble(); why != "" {
		fmt.Fprintf(w, "         WRONG: %s\n", why)
	}
	targets, err := o.targets(s.core)
	if err != nil {
		return err
	}
	closed := s.tellCore(w)
	for i, name := range readerNames(targets) {
		if !s.printSink(ctx, w, targets[i], name) {
			closed = true
		}
	}
	s.tellPassedBy(w)
	if closed {
		return errClosed
	}
	return nil
}

// tellCore says what the configuration of the core means for results; true if
// it takes none.
func (s *Server) tellCore(w io.Writer) (closed bool) {
	core := s.core
	if core == nil {
		return false
	}
	fmt.Fprintf(w, "core     %s, as %s says\n", core.Kind, core.File)
	if !core.Passive {
		fmt.Fprintln(w, "         NOT OPEN: accept_passive_service_checks or accept_passive_host_checks is 0 there: it takes no passive results of that kind")
		closed = true
	}
	switch {
	case core.ObjectCache == "":
		fmt.Fprintln(w, "         it names no object_cache_file: results for hosts and services that it does not have will not be told")
	case s.objectsTold != "":
		fmt.Fprintf(w, "         results for hosts and services that it does not have will not be told: %s\n", s.objectsTold)
		s.tellWaiting(w)
	}
	return closed
}

// tellWaiting names the clients whose results wait for the object cache.
func (s *Server) tellWaiting(w io.Writer) {
	if names := s.access.Patterned(); len(names) > 0 {
		fmt.Fprintf(w, "         WRONG: what these clients send waits until it can be read, for their policies have patterns for hosts: %s\n", strings.Join(names, ", "))
	}
}

// tellPassedBy names the clients whose policies hold only for a core that knows
// hosts by their names alone.
func (s *Server) tellPassedBy(w io.Writer) {
	if names := s.passedBy(); len(names) > 0 {
		fmt.Fprintf(w, "policies WRONG: %s.\n         These are the clients: %s\n", passedByAddress, strings.Join(names, ", "))
	}
}

// printSink says whether one sink will be let in.
func (s *Server) printSink(ctx context.Context, w io.Writer, t target, name string) (open bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	kind := t.kind
	switch t.kind {
	case kindCommandFile, kindCheckResults:
		kind = string(s.options.dialect(t, s.core))
	case kindIcinga2:
		kind = "Icinga 2"
	case kindStdout:
		kind = "standard output"
	}
	made, err := s.makeSink(t, name, nil)
	found := ""
	if err == nil {
		found, err = made.Probe(ctx)
	}
	if t.kind == kindCommandFile && s.core.Has(t.to) && !s.core.Commands {
		err = errors.Join(err, errors.New("check_external_commands is 0 in the core's configuration: it does not read its command file"))
	}
	if err != nil {
		fmt.Fprintf(w, "sink     %s (%s)\n         NOT OPEN: %v\n", t, kind, err)
		return false
	}
	fmt.Fprintf(w, "sink     %s (%s)\n         open: %s\n", t, kind, found)
	return true
}
