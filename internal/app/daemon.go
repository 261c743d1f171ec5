package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// answeringWithin is how long the service manager is told nothing while a status
// socket is made, as on a disk that hangs.
const answeringWithin = time.Second

// rotationLook is how soon a log file that was rotated is noticed.
const rotationLook = time.Second

// daemonEnv is what a daemon is started with.
type daemonEnv struct {
	log     zerolog.Logger
	drop    func() error   // becomes the user that the options name, once what needs root is open
	sockets []net.Listener // that the service manager opened
}

// service is a client or a server that is ready to run.
type service interface {
	// Run runs until ctx ends. Each function that comes by reload is called
	// when what it asks for is done.
	Run(ctx context.Context, reload <-chan func(), asked <-chan os.Signal) error
	// Alive returns while the service works; it waits for no disk.
	Alive()
	// Answering is closed once the status socket answers, or cannot be made.
	Answering() <-chan struct{}
}

// daemonOptions are those that clients and servers have in common.
type daemonOptions struct {
	foreground                   bool
	pidfile, user, group         string
	statusGroup                  string
	logFile, logLevel, logFormat string
	silent                       bool
	stateDir                     string
	stateMode                    os.FileMode
}

const (
	runningGroup = "Process"
	logGroup     = "Log"
)

func pidfileOf(role string) string { return "/run/massive-passive-" + role + ".pid" }
func logfileOf(role string) string { return "/var/log/massive-passive-" + role + ".log" }

// daemonFlags are the options of daemonOptions; role is client or server.
func daemonFlags(role string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Category: runningGroup, Name: "foreground", Aliases: []string{"f"}, Usage: "do not run in the background"},
		&cli.StringFlag{Category: runningGroup, Name: "pidfile", DefaultText: pidfileOf(role) + " in the background",
			Usage: "`FILE` for the process's number, locked while it runs"},
		&cli.StringFlag{Category: runningGroup, Name: "user", Aliases: []string{"u"}, DefaultText: "whoever starts it",
			Usage: "`USER` to become, with all groups of that user, once port, keys, log and pidfile are open"},
		&cli.StringFlag{Category: runningGroup, Name: "group", Aliases: []string{"g"}, DefaultText: "the user's", Usage: "`GROUP` to become"},
		&cli.StringFlag{Category: runningGroup, Name: "status-group", DefaultText: "the daemon's own", Usage: "`GROUP` that may ask for the status, as nagios"},
		&cli.StringFlag{Category: logGroup, Name: "logfile", DefaultText: logfileOf(role) + " in the background",
			Usage: "`FILE` to log to as well; opened anew when it was rotated"},
		&cli.StringFlag{Category: logGroup, Name: "loglevel", Aliases: []string{"l"}, Value: "info", Usage: "`LEVEL`: notset, debug, info, warning or error"},
		&cli.StringFlag{Category: logGroup, Name: "log-format", DefaultText: "console on a terminal and in the journal, else json", Usage: "`FORMAT`: console or json"},
		&cli.BoolFlag{Category: logGroup, Name: "silent", Usage: "do not log to standard error"},
	}
}

// readDaemonOptions takes the files as seen from where the caller stands: in
// the background the process works in /.
func readDaemonOptions(c *cli.Context, role string) (o daemonOptions, err error) {
	o = daemonOptions{foreground: c.Bool("foreground"), user: c.String("user"), group: c.String("group"), statusGroup: c.String("status-group"), logLevel: c.String("loglevel"),
		logFormat: c.String("log-format"), silent: c.Bool("silent"), stateMode: 0o700}
	if role == "server" {
		o.stateMode = 0o711 // the core passes through to the spool
	}
	pidfile, logfile := c.String("pidfile"), c.String("logfile")
	if !o.foreground && pidfile == "" {
		pidfile = pidfileOf(role)
	}
	if !o.foreground && logfile == "" {
		logfile = logfileOf(role)
	}
	for to, path := range map[*string]string{&o.pidfile: pidfile, &o.logFile: logfile, &o.stateDir: c.String("state-dir")} {
		if path == "" {
			continue
		}
		if *to, err = filepath.Abs(path); err != nil {
			return o, err
		}
	}
	return o, nil
}

// daemon makes this process the daemon that the options ask for, has start
// build the service in it, and runs that.
func (std streams) daemon(c *cli.Context, role string, start func(daemonEnv) (service, error)) error {
	o, err := readDaemonOptions(c, role)
	if err != nil {
		return err
	}
	if !o.foreground && std.ready == nil {
		std.badZone.said, std.unknown.said = true, true // by the process in the background
		return std.detach(c.Context)
	}
	d, err := std.newDaemon(o)
	if err != nil {
		return err
	}
	defer d.close()
	std.badZone.tell(func(wrong error) { d.log.Warn().Msg(wrong.Error()) })
	std.unknown.tell(func(text string) { d.log.Warn().Msg(text) })
	sockets, err := d.manager.sockets()
	if err != nil {
		return err
	}
	s, err := unlessStopped(c.Context, func() (service, error) { return start(daemonEnv{log: d.log, drop: d.drop, sockets: sockets}) })
	if err != nil {
		return err
	}
	return d.run(c.Context, s)
}

// startFarewell is how long a start may go on after a signal to stop.
const startFarewell = 5 * time.Second

// unlessStopped returns what start does, unless ctx ends meanwhile and start goes
// on: then it reads a long journal, or hangs on a disk, and nothing that it did
// would be lost by a kill either.
func unlessStopped(ctx context.Context, start func() (service, error)) (service, error) {
	var s service
	var err error
	started := make(chan struct{})
	go func() { defer close(started); s, err = start() }()
	select {
	case <-started:
		return s, err
	case <-ctx.Done():
	}
	select {
	case <-started:
		return s, err
	case <-time.After(startFarewell):
		return nil, errors.New("stopped before the start was over: a long journal was being read, or a disk or file server does not answer")
	}
}

// becomeUser makes this process the user that a daemon's options name, or leaves
// it as it is, and returns the user's name.
func becomeUser(c *cli.Context) (string, error) {
	who, err := findIdentity(c.String("user"), c.String("group"))
	if err != nil {
		return "", err
	}
	if who != nil {
		return who.name, who.become()
	}
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// daemonProcess is this process around its service.
type daemonProcess struct {
	std              streams
	options          daemonOptions
	log              zerolog.Logger
	logFile          *logFile // nil: none
	pidfile          *pidfile // nil: none
	identity         *identity
	statusGroup      int
	manager          manager
	hangups, reports chan os.Signal
}

func (std streams) newDaemon(o daemonOptions) (*daemonProcess, error) {
	d := &daemonProcess{std: std, options: o, manager: managerFromEnvironment(), hangups: make(chan os.Signal, 1), reports: make(chan os.Signal, 1)}
	signal.Notify(d.hangups, syscall.SIGHUP)
	signal.Notify(d.reports, syscall.SIGUSR1)
	// Whoever reads standard error may go. Go ends a process for that which has not
	// asked for the signal; to ignore it, plugins would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	for _, step := range []func() error{d.findIdentity, d.lockPidfile, d.openLog} {
		if err := step(); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func (d *daemonProcess) findIdentity() (err error) {
	if d.identity, err = findIdentity(d.options.user, d.options.group); err != nil {
		return err
	}
	d.statusGroup, err = findStatusGroup(d.options.statusGroup)
	return err
}

func (d *daemonProcess) openLog() (err error) {
	if path := d.options.logFile; path != "" {
		if d.logFile, err = openLogFile(path); err != nil {
			return fmt.Errorf("%w (--logfile names another)", err)
		}
	}
	d.log, err = d.std.logger(d.options, d.logFile)
	return err
}

func (d *daemonProcess) lockPidfile() (err error) {
	if path := d.options.pidfile; path != "" {
		d.pidfile, err = lockPidfile(path)
	}
	return err
}

func (d *daemonProcess) close() {
	signal.Stop(d.hangups)
	signal.Stop(d.reports)
	if d.pidfile != nil {
		d.pidfile.remove()
	}
	if d.logFile != nil {
		d.logFile.Close()
	}
}

// drop gives the state directory and the log to the user to become, lets the
// group in that may ask for the status, and becomes the user.
func (d *daemonProcess) drop() error {
	if d.identity == nil {
		return letPass(d.statusGroup, d.options.stateDir, d.options.stateMode, nil)
	}
	if err := d.identity.own(d.options.stateDir, d.options.stateMode); err != nil {
		return err
	}
	if err := letPass(d.statusGroup, d.options.stateDir, d.options.stateMode, d.identity); err != nil {
		return err
	}
	if d.logFile != nil {
		if err := d.logFile.give(d.identity); err != nil {
			return err
		}
	}
	return d.identity.become()
}

// run tells whoever waits for the start that it succeeded, and keeps the
// process in order while s runs.
func (d *daemonProcess) run(ctx context.Context, s service) error {
	if err := d.leaveCaller(); err != nil {
		return err
	}
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	reload := make(chan func())
	var around sync.WaitGroup
	around.Go(func() { d.keepLogFile(own) })
	around.Go(func() { d.passHangups(own, reload) })
	around.Go(func() { d.manager.keepWatchdog(own, s.Alive) })
	around.Go(func() {
		select { // who starts a unit and asks for its state at once is answered
		case <-own.Done():
			return
		case <-s.Answering():
		case <-time.After(answeringWithin):
		}
		d.tell("READY=1")
		select {
		case <-own.Done():
		case <-ctx.Done():
			d.tell("STOPPING=1")
		}
	})
	err := s.Run(ctx, reload, d.reports)
	stop()
	around.Wait()
	if err != nil && d.std.ready != nil { // nobody else hears of it
		d.log.Error().Err(err).Msg("ended with an error")
	}
	return err
}

func (d *daemonProcess) tell(state string) {
	if err := d.manager.tell(state); err != nil {
		d.log.Warn().Err(err).Msg("cannot tell the service manager how it goes")
	}
}

// passHangups reopens the log and has the service read its files again.
func (d *daemonProcess) passHangups(ctx context.Context, reload chan<- func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hangups:
		}
		d.tell(d.manager.reloading())
		if d.logFile != nil {
			d.reopened(d.logFile.reopen())
		}
		done := make(chan struct{})
		select {
		case <-ctx.Done():
			return
		case reload <- func() { close(done) }:
		}
		select {
		case <-ctx.Done():
			return
		case <-done:
		}
		d.tell("READY=1")
	}
}

// keepLogFile follows a rotation that nobody announces.
func (d *daemonProcess) keepLogFile(ctx context.Context) {
	if d.logFile == nil {
		return
	}
	tick := time.NewTicker(rotationLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.reopened(d.logFile.follow())
		}
	}
}

func (d *daemonProcess) reopened(err error) {
	var again *toldError
	if err != nil && !errors.As(err, &again) {
		d.log.Error().Err(err).Msg("the log goes on in the old file")
	}
}
