package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"massive-passive/wire/check"
	"massive-passive/wire/journal"

	"golang.org/x/sys/unix"
)

// Stream writes each result as a line of JSON, for tools, people and tests.
// It never blocks on who reads.
type Stream struct {
	Feed *Feed
	Out  *os.File

	torn bool // the last line that was begun is not whole; owned by Run
}

// finishMost is how long a stop waits for who reads, so that no line is left
// half written: what is written next would be joined to it.
const finishMost = 5 * time.Second

// streamed is a line. Times are in UTC; those of a command are of its entry.
type streamed struct {
	Kind     string     `json:"kind"` // service, host or command
	Client   string     `json:"client"`
	Host     string     `json:"host,omitempty"`
	Service  string     `json:"service,omitempty"`
	Code     *int32     `json:"code,omitempty"`
	Output   string     `json:"output,omitempty"` // what is no UTF-8 in it becomes replacement characters
	Command  string     `json:"command,omitempty"`
	TimedOut bool       `json:"timed_out,omitempty"`
	Start    *time.Time `json:"start,omitempty"`
	Finish   time.Time  `json:"finish"`
	Received time.Time  `json:"received"`
}

// Status says how the sink fares.
func (c *Stream) Status() Status { return c.Feed.Status() }

// Run writes until ctx ends. What could not be written stays in the journal.
func (c *Stream) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.feed(ctx)
		if ctx.Err() != nil || errors.Is(err, journal.ErrClosed) {
			return
		}
		c.Feed.trouble(err)
		c.Feed.rewind()
		if sleep(ctx, reopenMost) != nil {
			return
		}
	}
}

func (c *Stream) feed(ctx context.Context) error {
	for {
		items, err := c.Feed.next(ctx)
		if err != nil {
			return err
		}
		for i := range items {
			line, err := json.Marshal(streamLine(&items[i]))
			if err != nil {
				return err
			}
			if err := c.write(ctx, append(line, '\n')); err != nil {
				return fmt.Errorf("write a result to %s: %w", c.Out.Name(), err)
			}
			c.Feed.ack(items[i].seq)
		}
		c.Feed.well()
	}
}

func streamLine(it *item) streamed {
	r := &it.result
	s := streamed{Kind: r.Kind.String(), Client: it.client, Host: r.Host, Service: r.Service, Output: string(r.Output), Command: r.Command,
		TimedOut: r.TimedOut, Finish: time.UnixMicro(r.Finish).UTC(), Received: time.UnixMicro(it.received).UTC()}
	if r.Kind != check.Command {
		start := time.UnixMicro(r.Start).UTC()
		s.Code, s.Start = &r.Code, &start
	}
	return s
}

// write writes only as much at a time as a pipe with room for anything takes
// at once, so that it can be given up: before its first byte when ctx ends,
// and once it is begun a while later.
func (c *Stream) write(ctx context.Context, line []byte) error {
	if c.torn {
		line = append([]byte{'\n'}, line...)
	}
	var stopped time.Time
	begun := false
	for len(line) > 0 {
		ready, err := c.ready()
		if ctx.Err() != nil {
			if stopped.IsZero() {
				stopped = time.Now()
			}
			if !begun || time.Since(stopped) > finishMost {
				return context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
		if !ready {
			c.Feed.setState("nobody reads the standard output")
			continue
		}
		// Not through os.File, which ends the program when nobody reads from 1.
		written, err := unix.Write(int(c.Out.Fd()), line[:min(len(line), pipeBuf)])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		line = line[written:]
		begun, c.torn = true, len(line) > 0
	}
	return nil
}

// ready tells whether there is room to write, within a tick.
func (c *Stream) ready() (bool, error) {
	poll := []unix.PollFd{{Fd: int32(c.Out.Fd()), Events: unix.POLLOUT}}
	n, err := unix.Poll(poll, int(busyTick/time.Millisecond))
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}
