// Command demo shows massive-passive at work on one machine: it starts a real
// server and a real client with sample checks, takes the place of the
// monitoring core at the end of the command pipe, and shows each result as it
// arrives. It needs nothing but Go, and leaves nothing running or lying about.
//
// It is not an example of how to set up anything: its certificates last a day
// and its folder goes with it. The README says how to do that.
package main

import (
	"context"
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
		fmt.Fprintln(out, "Building massive-passive: the first time takes a minute.")
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

	server, err := start("server", dir, o.binary, s.serverArgs())
	if err != nil {
		return err
	}
	// The last to start is the first to stop: the client can say goodbye.
	defer func() { err = errors.Join(err, server.stop(grace)) }()
	client, err := start("client", dir, o.binary, s.clientArgs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.stop(grace)) }()
	return watch(ctx, o, s, newPrinter(out, o.colour, o.width), server, client)
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

// watch shows results until the time is over, or ctx, or a child.
func watch(ctx context.Context, o options, s *setup, p *printer, server, client *child) error {
	began := time.Now()
	over := time.NewTimer(o.length)
	defer over.Stop()
	lines := readLines(s.pipe)
	// Closed, the pipe ends its reader; what that still holds is not shown.
	defer func() {
		s.pipe.Close()
		for range lines {
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return errors.New("the command pipe ended")
			}
			p.line(line)
		case <-server.done:
			return server.failure()
		case <-client.done:
			return client.failure()
		case <-ctx.Done():
			p.finish(time.Since(began))
			return nil
		case <-over.C:
			if p.results == 0 {
				return errors.Join(fmt.Errorf("no result arrived in %s", o.length), server.log(), client.log())
			}
			p.finish(time.Since(began))
			return nil
		}
	}
}
