// Command demo shows massive-passive at work on one machine: it starts a real
// server and a real client with sample checks, takes the place of the
// monitoring core at the end of the command pipe, and shows each result as it
// arrives. Half-way it kills the server, so that one sees results wait and none get
// lost. It needs nothing but Go, and leaves nothing running or lying about.
//
// It is not an example of how to set up anything: its certificates last a day
// and its folder goes with it. The README says how to do that.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the demo can be told.
type options struct {
	binary string        // the massive-passive to show; empty: build one
	length time.Duration // how long to show it
	colour bool
	width  int // of a line
}

func run(args []string, stdout, stderr *os.File) int {
	width, isTerminal := terminal(stdout)
	o := options{colour: isTerminal && colourful(), width: width}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "binary", "", "the massive-passive to show (default: built from this tree)")
	flags.DurationVar(&o.length, "for", 30*time.Second, "how long to show it")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "demo: %q is no option: see -help\n", flags.Arg(0))
		return 2
	}
	// SIGPIPE too: with `make demo | head` there is still something to clean up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if err := demo(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// demo sets everything up, shows it until ctx ends or the time is over, and
// takes everything down again.
func demo(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "massive-passive-demo-*")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		fmt.Fprintln(out, "Building massive-passive ...")
	}
	if o.binary, err = binary(ctx, o.binary, dir); err != nil {
		return interrupted(ctx, err)
	}
	s, err := prepare(dir)
	if err != nil {
		return fmt.Errorf("set the demo up: %w", err)
	}
	defer s.close()
	s.introduce(out, o.length)

	show := &show{options: o, setup: s, printer: newPrinter(out, o.colour, o.width)}
	// The last to start is the first to stop: the client can say goodbye.
	defer func() {
		if show.server != nil {
			err = errors.Join(err, show.server.stop(grace))
		}
	}()
	if show.server, err = start("server", dir, o.binary, s.serverArgs()); err != nil {
		return err
	}
	if show.client, err = start("client", dir, o.binary, s.clientArgs()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, show.client.stop(grace)) }()
	return show.run(ctx)
}

// binary returns the absolute path of the program to show, and builds it into
// dir where none is given.
func binary(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	file := filepath.Join(dir, "massive-passive")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "urfave_cli_no_docs", "-o", file, "massive-passive")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build massive-passive: %w\n%s", err, said)
	}
	return file, nil
}

// interrupted makes no error of what only ended because the user ended it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// show is the demo while it runs.
type show struct {
	options
	setup          *setup
	printer        *printer
	server, client *child
}

// The server dies when two fifths of the time are over, and is away for a quarter.
const (
	killAfter = 0.4
	awayFor   = 0.25

	answerLimit = 2 * time.Second // for the client to say what waits

	reconnectMost = 45 * time.Second // until a client has tried a server again, and more
)

// run shows results until the time is over, or ctx, or a child that should not have
// ended. Half-way it kills the server and starts it again.
func (s *show) run(ctx context.Context) error {
	began := time.Now()
	over := time.NewTimer(s.length)
	defer over.Stop()
	kill := time.NewTimer(time.Duration(killAfter * float64(s.length)))
	defer kill.Stop()
	var again <-chan time.Time
	lines := readLines(s.setup.pipe)
	// Closed, the pipe ends its reader; what that still holds is not shown.
	defer func() {
		s.setup.pipe.Close()
		for range lines {
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return errors.New("the command pipe ended")
			}
			s.printer.line(line)
		case <-kill.C:
			away := time.Duration(awayFor * float64(s.length)).Round(time.Second)
			s.printer.say(fmt.Sprintf("The server is killed (kill -9) for %s. The client goes on measuring.", away))
			s.server.kill()
			again = time.After(away)
		case <-again:
			if err := s.restart(ctx); err != nil {
				return err
			}
			again = nil
		case <-s.serverEnd(again):
			return s.server.failure()
		case <-s.client.done:
			return s.client.failure()
		case <-ctx.Done():
			s.printer.finish(time.Since(began))
			return nil
		case <-over.C:
			if s.printer.results > 0 && s.printer.repeats && !s.printer.resumed && time.Since(began) < s.length+reconnectMost {
				over.Reset(time.Second) // the client comes back within half a minute
				continue
			}
			if s.printer.results == 0 {
				return errors.Join(fmt.Errorf("no result arrived in %s", s.length), s.server.log(), s.client.log())
			}
			s.printer.finish(time.Since(began))
			return s.printer.missing()
		}
	}
}

// serverEnd is an end of the server that nobody wanted: while it is to be started
// again there is none.
func (s *show) serverEnd(again <-chan time.Time) <-chan struct{} {
	if again != nil {
		return nil
	}
	return s.server.done
}

// restart starts the server again and tells what waits for it.
func (s *show) restart(ctx context.Context) (err error) {
	s.printer.say(fmt.Sprintf("The server starts again. %s.", s.waiting(ctx)))
	s.printer.repeats = true
	s.server, err = start("server", s.setup.dir, s.binary, s.setup.serverArgs())
	return err
}

// waiting says how many results the client keeps for the server.
func (s *show) waiting(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, "status", "--json", "--state-dir", s.setup.path("client-state")).Output()
	var page struct {
		Journal struct {
			Depth int `json:"depth"`
		} `json:"journal"`
	}
	if err == nil {
		err = json.Unmarshal(out, &page)
	}
	if err != nil {
		return "The client has kept what it measured"
	}
	return fmt.Sprintf("%d results wait in the client's journal", page.Journal.Depth)
}
