// Package watch tells when a directory has changed and has settled again.
//
// It says that something changed, not what: whoever is told looks at the
// directory anew. It does not look below the directory, nor at what symlinks in
// it point to, and cannot see changes that another machine makes on a network
// file system.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// patience is how many times settle a stream of changes is waited for that
	// does not end.
	patience = 10
	// recheck is how often the path is looked up without an event, for what
	// causes none, such as a mount over it.
	recheck = 10 * time.Second
	// pause is for a path that changes while it is being looked up.
	pause = 10 * time.Millisecond
	// farewell is how long a watch may take to end. One that takes longer hangs on
	// a disk or file server, which may never answer.
	farewell = time.Second
)

// errMoved says that the path no longer leads where it led.
var errMoved = errors.New("the path leads elsewhere")

// Dir calls changed after files in the directory were added, changed, renamed,
// linked or removed, or the path has come to lead to another directory: because
// it was replaced, removed or made, or because a symlink on the way points
// elsewhere now. It need not be there yet.
//
// It waits until nothing has changed for the time of settle, but not for more
// than about ten times that. The first call comes settle after the watch stands,
// and needs no change: what was read before may be out of date. Calls do not
// overlap. Where there were too many changes to be told of, changed is called too.
//
// Dir returns nil when ctx ends, or an error when the system cannot watch. What
// then hangs, because the directory lies on a file server that does not answer,
// it leaves behind; that calls changed no more.
func Dir(ctx context.Context, path string, settle time.Duration, changed func()) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("watch %q: %w", path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- watch(ctx, path, settle, changed) }()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case err = <-ended:
		return err
	case <-timer.C:
		return nil
	}
}

// watch is Dir, but may hang in the kernel.
func watch(ctx context.Context, path string, settle time.Duration, changed func()) error {
	q := &settling{settle: settle, timer: time.NewTimer(settle)}
	defer q.timer.Stop()
	q.note()
	for {
		err := watchOnce(ctx, path, q, changed)
		if !errors.Is(err, errMoved) {
			if err != nil {
				return fmt.Errorf("watch %q: %w", path, err)
			}
			return nil
		}
		q.note()
	}
}

// settling waits for changes to end.
type settling struct {
	settle  time.Duration
	timer   *time.Timer
	pending bool
	since   time.Time // of the first change that is pending
}

// note takes notice of a change.
func (q *settling) note() {
	now := time.Now()
	if !q.pending {
		q.pending, q.since = true, now
	}
	q.timer.Reset(min(q.settle, q.since.Add(patience*q.settle).Sub(now)))
}

// watchOnce watches until ctx ends, which is no error, or until the path leads
// elsewhere. Starting over is simpler than mending a set of watches: the kernel
// drops some of them by itself, and a new directory may carry the old one's inode
// number.
func watchOnce(ctx context.Context, path string, q *settling, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return explain(err)
	}
	t := follow(path)
	// In a goroutine, because adding may block until an error was received.
	added := make(chan error, 1)
	go func() { added <- add(w, t) }()
	standing, err := receive(ctx, path, w, t, q, added, changed)
	closeErr := w.Close()
	if !standing {
		<-added
	}
	if err == nil && closeErr != nil {
		return fmt.Errorf("close watcher: %w", closeErr)
	}
	return err
}

// receive handles what comes from the watcher and from added. It tells whether
// added was received.
func receive(ctx context.Context, path string, w *fsnotify.Watcher, t trail, q *settling,
	added <-chan error, changed func()) (standing bool, err error) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	var settled <-chan time.Time // nil until the watch stands
	watched := func() bool { return slices.Contains(w.WatchList(), t.target) }
	held := false
	for {
		select {
		case <-ctx.Done():
			return standing, nil
		case err := <-added:
			standing, settled = true, q.timer.C
			if err == nil && !t.same(follow(path)) {
				err = errMoved
			}
			held = watched()
			if err != nil {
				return standing, delay(ctx, err)
			}
		case event, ok := <-w.Events:
			if !ok {
				return standing, errors.New("the watcher stopped by itself")
			}
			switch t.concerns(filepath.Clean(event.Name)) {
			case inside:
				q.note()
			case onTheWay:
				return standing, errMoved
			}
		case err := <-w.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				return standing, errMoved
			}
			return standing, fmt.Errorf("read events: %w", err)
		case <-tick.C:
			// The kernel drops the watch of what is unmounted, which may be mounted again.
			if standing && (!t.same(follow(path)) || held && !watched()) {
				return standing, errMoved
			}
		case <-settled:
			q.pending = false
			if ctx.Err() == nil {
				changed()
			}
		}
	}
}

// delay keeps a path that never stands still from taking all the time.
func delay(ctx context.Context, err error) error {
	if errors.Is(err, errMoved) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	return err
}

// add watches the directories on the trail, from the root down, so that each is
// watched when its entry is.
func add(w *fsnotify.Watcher, t trail) error {
	for _, dir := range t.dirs() {
		err := w.Add(dir)
		switch {
		case err == nil, errors.Is(err, fs.ErrPermission):
			// Whoever cannot watch "/home" may still watch what is below.
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return errMoved
		default:
			return fmt.Errorf("add %q: %w", dir, explain(err))
		}
	}
	return nil
}

// explain adds what to do.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: all watches of this user are taken; raise the sysctl fs.inotify.max_user_watches", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: all inotify instances of this user, or open files of this process, are taken; "+
			"raise the sysctl fs.inotify.max_user_instances, or the limit of open files", err)
	}
	return err
}
