package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SocketName is the socket's name in the state directory.
const SocketName = "status.sock"

const (
	// socketMode lets the process's user and group ask, as far as the state
	// directory lets them in.
	socketMode = 0o660
	// answerTimeout is how long who asked may take to read the page.
	answerTimeout = 5 * time.Second
	// fetchTimeout is how long a process may take to answer, others before.
	fetchTimeout = 15 * time.Second
	// retryInterval is how often a socket that cannot be made is tried again.
	retryInterval = time.Minute
	// pathLimit is the longest path that the kernel takes for a socket.
	pathLimit = 107
)

// socket is the place of a socket: a name in a directory that is open where
// the path alone would be too long for the kernel.
type socket struct {
	path string // what the kernel is told
	dir  *os.File
}

func locate(dir string) (socket, error) {
	path := filepath.Join(dir, SocketName)
	if len(path) <= pathLimit {
		return socket{path: path}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return socket{}, err
	}
	return socket{fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName), d}, nil
}

func (s socket) close() {
	if s.dir != nil {
		s.dir.Close()
	}
}

// listen makes the socket. The caller holds the state directory alone, so that
// one which is there was left by a process that was killed.
func (s socket) listen() (*net.UnixListener, error) {
	switch info, err := os.Lstat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there and is no socket: move it away", SocketName)
	default:
		if err := os.Remove(s.path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.give(), os.Chmod(s.path, socketMode)); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// give lets the group ask that the directory belongs to, which is not always the
// process's: --status-group gave it to another.
func (s socket) give() error {
	dir, err := os.Stat(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	gid := dir.Sys().(*syscall.Stat_t).Gid
	if is, err := os.Lstat(s.path); err == nil && is.Sys().(*syscall.Stat_t).Gid == gid {
		return nil
	}
	if err := os.Lchown(s.path, -1, int(gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // a group that the process is not in was not let in by it
}

// keep answers on the socket in dir until ctx ends, with what page returns. A
// socket that cannot be made must not keep a process from its work: failed is
// told once of each cause, and it is tried again every minute. tried is called after
// the first try, once who asks is answered or cannot be.
func keep(ctx context.Context, dir string, page func() *Page, tried func(), failed func(error)) {
	told := ""
	tried = sync.OnceFunc(tried)
	defer tried()
	for ctx.Err() == nil {
		err := serveOnce(ctx, dir, page, tried)
		tried()
		if ctx.Err() != nil {
			return
		}
		if err.Error() != told {
			told = err.Error()
			failed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryInterval):
		}
	}
}

// serveOnce always returns an error; it is of no interest once ctx ended.
func serveOnce(ctx context.Context, dir string, page func() *Page, listening func()) error {
	s, err := locate(dir)
	if err != nil {
		return fmt.Errorf("make the status socket in %s: %w", dir, err)
	}
	defer s.close()
	l, err := s.listen()
	if err != nil {
		return fmt.Errorf("make the status socket in %s: %w", dir, err)
	}
	defer l.Close() // removes the socket
	listening()
	defer context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })()
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("answer on the status socket: %w", err)
		}
		answer(ctx, conn, page)
	}
}

// answer serves one after the other: whoever asks belongs to the machine, and
// a page is written faster than it is asked for.
func answer(ctx context.Context, conn net.Conn, page func() *Page) {
	defer conn.Close()
	data, err := json.Marshal(page())
	if err != nil {
		return // who asks is told by the missing end
	}
	conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	defer context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Unix(1, 0)) })()
	conn.Write(append(data, '\n')) // one that went away wants nothing any more
}

// logPages writes the page through line, each time that asked has something, until
// ctx ends.
func logPages(ctx context.Context, asked <-chan os.Signal, page func() *Page, line func(string)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		for text := range strings.Lines(page().Text(false)) {
			if text = strings.TrimRight(text, "\n"); text != "" {
				line(text)
			}
		}
	}
}

// Reporter tells of a process whoever asks, by the socket or by a signal.
type Reporter struct {
	Dir    string
	Asked  <-chan os.Signal // nil: nobody asks by signal
	Page   func() *Page
	Line   func(string) // of a page, for the log
	Failed func(error)
	Tried  chan<- struct{} // closed once the socket answers, or cannot be made; nil: nobody waits

	history history
}

// Run answers until ctx ends.
func (r *Reporter) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { r.remember(ctx) })
	running.Go(func() { logPages(ctx, r.Asked, r.page, r.Line) })
	keep(ctx, r.Dir, r.page, r.tried, r.Failed)
}

func (r *Reporter) tried() {
	if r.Tried != nil {
		close(r.Tried)
	}
}

// page is the process's page with what is news in it.
func (r *Reporter) page() *Page {
	p := r.Page()
	p.Recent = r.history.recent(p)
	return p
}

// remember notes the counters until ctx ends.
func (r *Reporter) remember(ctx context.Context) {
	tick := time.NewTicker(recentTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.history.note(r.Page())
		}
	}
}
