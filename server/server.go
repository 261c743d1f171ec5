// Package server takes results from clients and hands them to the core. It makes
// the parts of that, follows the files that they depend on, and knows the order in
// which they start and stop. Who may send what is decided by access, how clients
// come in by door, what is taken by intake, and what a core is told by sink.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/disk"
	"massive-passive/internal/option"
	"massive-passive/server/access"
	"massive-passive/server/door"
	"massive-passive/server/intake"
	"massive-passive/server/sink"
	"massive-passive/wire/certs"

	"github.com/rs/zerolog"
)

// Server is one server, bound and checked.
type Server struct {
	options     Options
	log         zerolog.Logger
	listeners   []net.Listener
	certs       certs.End
	access      *access.Directory
	follower    *access.Follower // of access
	intake      *intake.Intake
	sinks       []runner
	core        *core.Config // the one whose configuration is named; may be nil
	objects     *followed    // what hosts and services that has; nil where it is not known
	addresses   *core.Cache  // objects, where the core takes a host's address for its name
	found       []*followed  // of cores that are looked for unasked
	rejects     *sink.Rejects
	owner       string // of files that it leaves where others do
	door        *door.Door
	throttles   throttles
	objectsTold string   // why the core's objects were last not read; owned by readCore, then by keepObjects
	patterned   []string // clients that were last warned of; owned by New, then by follower.Run
	passesBy    bool     // a sink's core takes addresses for names, and nobody knows whose
	started     time.Time
	answering   chan struct{} // closed once the status socket answers, or cannot be made
}

// New binds the listeners and checks everything that can be wrong; it starts
// nothing. An *option.Error names the option.
func New(o Options, log zerolog.Logger) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{options: o, log: log, started: time.Now(), answering: make(chan struct{}), throttles: newThrottles(log)}
	s.fitFiles()
	for _, step := range []func() error{s.loadCertificates, s.listen, s.drop, s.readCore, s.openAccess, s.openJournal} {
		if err := step(); err != nil {
			s.Close()
			return nil, err
		}
	}
	s.door = door.New(s.options.door(s.certs, s.log, s.throttles), s.access, s.intake)
	s.warnPassedBy()
	return s, nil
}

// Close gives up what New bound, where Run is never called.
func (s *Server) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
	if s.intake != nil {
		s.intake.Journal.Close()
	}
}

func (s *Server) loadCertificates() error {
	report := func(files []string, err error) {
		if err != nil {
			s.log.Error().Err(err).Strs("files", files).Msg("changed certificates were not taken over: the old ones stay in use")
			return
		}
		s.log.Info().Strs("files", files).Msg("certificates read anew")
	}
	o := &s.options
	var err error
	s.certs, err = certs.Load(certs.Files{Cert: o.SSLCert, Key: o.SSLKey, CA: o.SSLCACert, CRL: o.SSLCRL, MinVersion: o.TLSMinVersion, Server: true}, report)
	return err
}

func (s *Server) openAccess() error {
	commands, err := access.ParseCommands(s.options.AllowCommands)
	if err != nil {
		return option.Wrong("--allow-commands", err.Error())
	}
	dir, problems, err := access.Open(context.Background(), s.options.AllowedClientCertDir, commands)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--allowed-client-cert-dir: %w: make it, as `massive-passive pki init` does, and put the clients' certificates there", err)
	}
	if err != nil {
		return fmt.Errorf("--allowed-client-cert-dir: %w", err)
	}
	s.access = dir
	if s.addresses != nil {
		dir.AddressOf = func(host string) string { return s.addresses.Last().AddressOf(host) }
	}
	s.follower = &access.Follower{Directory: dir, Log: s.log, Files: s.throttles.files, Asked: s.certs.Reread, Read: func(ok bool) {
		if ok {
			s.warnPassedBy()
		}
		s.door.Recheck()
	}}
	s.follower.LogRead(problems, true)
	return nil
}

func (s *Server) openJournal() error {
	var err error
	if s.options.StateDir, err = filepath.Abs(s.options.StateDir); err != nil { // the core has another working directory
		return err
	}
	if err := os.MkdirAll(s.options.StateDir, 0o711); err != nil { // the core passes through to the spool
		return fmt.Errorf("make the state directory (another can be named with --state-dir): %w", err)
	}
	if s.intake, err = intake.Open(s.options.intake(s.addresses, s.log, s.throttles), s.access); err != nil {
		return err
	}
	return s.openSinks()
}

// drop gives up root between what may need it and what the daemon's user must
// be able to read and write for as long as it runs.
func (s *Server) drop() error {
	if s.options.Drop == nil {
		return nil
	}
	return s.options.Drop()
}

func (s *Server) listen() error {
	if len(s.options.Sockets) > 0 {
		s.listeners = s.options.Sockets
		return nil
	}
	for _, listen := range s.options.Listen {
		network, address, err := s.options.address(listen)
		if err != nil {
			return err
		}
		l, err := net.Listen(network, address)
		if errors.Is(err, syscall.EAFNOSUPPORT) && len(s.options.Listen) > 1 {
			s.log.Warn().Str("address", address).Msg("this machine has no such addresses: not listening there")
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: another program, perhaps another server, has this port", err)
		}
		if err != nil {
			return fmt.Errorf("--listen %s: %w", listen, err)
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// Addrs are the addresses that the server listens on.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Run serves until ctx ends, and writes its status to the log each time that
// asked has something. What comes by reload is called when certificates and
// allowed clients were read again. It stops in the reverse order of the start:
// listeners, connections, sinks, journal. It waits for no disk that does not answer:
// what hangs there is left behind.
func (s *Server) Run(ctx context.Context, reload <-chan func(), asked <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, reload, asked) }()
	err := disk.Outlast(ctx, s.options.StateDir, ended)
	if errors.Is(err, disk.ErrSilent) {
		s.log.Error().Err(err).Msg("the disk of the state directory does not answer: stopped without it, as if killed; clients still have what was not acknowledged")
	}
	return err
}

func (s *Server) run(ctx context.Context, reload <-chan func(), asked <-chan os.Signal) error {
	own := context.WithoutCancel(ctx)
	journalCtx, stopJournal := context.WithCancel(own)
	sinkCtx, stopSink := context.WithCancel(own)
	defer stopJournal()
	defer stopSink()
	var journalDone, sinkDone, doors sync.WaitGroup
	var journalErr error
	journalDone.Go(func() { journalErr = s.intake.Run(journalCtx) })
	sinkDone.Go(func() { s.runSinks(sinkCtx) })
	sinkDone.Go(func() { s.reporter(asked).Run(sinkCtx) })
	doors.Go(func() { s.follower.Run(ctx, reload) })
	doors.Go(func() { s.keepObjects(ctx) })
	doors.Go(func() { tendHeap(ctx) })
	doors.Go(func() { certs.Daily(ctx, s.logEnding) })
	s.logLoose()
	s.logOwn()
	doors.Go(func() { s.door.Run(ctx, s.listeners) })
	for _, l := range s.listeners {
		s.log.Info().Stringer("address", l.Addr()).Str("version", s.options.Version).Msg("listening")
	}
	<-ctx.Done()
	s.log.Info().Msg("stopping")
	doors.Wait()
	stopSink()
	sinkDone.Wait()
	stopJournal()
	journalDone.Wait()
	s.throttles.close()
	s.log.Info().Uint64("taken", s.intake.Status().Taken).Msg("stopped")
	return journalErr
}

// Answering is closed once `massive-passive status` is answered, or cannot be.
func (s *Server) Answering() <-chan struct{} { return s.answering }

// Alive returns as soon as the door answers.
func (s *Server) Alive() { s.door.Connections() }
