package sink

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// coreWatch notices the end of the core's processes. The pipe alone does not
// tell: its inode outlives the core, and processes that a killed core leaves
// behind go on reading from it for seconds, to no end.
//
// It watches, through pidfds, which need no permission, the processes that
// carry the core's name, run as its user and are nobody's child among them:
// the core's main process, or its orphans. Where /proc hides other users'
// processes, or the core runs in a container of its own, it sees none. What
// only carries the name, as a check of the configuration does, it passes over:
// its end would have results written again without a reason.
type coreWatch struct {
	user   uint32      // whom the core runs as
	name   string      // of its processes, which may have a version behind it
	config string      // its main configuration, "" if it is not known
	pipe   fs.FileInfo // that it reads, nil if it is not known

	fds     []unix.PollFd
	scanned time.Time
}

// coreProcess is one of /proc.
type coreProcess struct {
	pid, parent int
}

// begin looks for the core and watches what it finds.
func (w *coreWatch) begin(now time.Time) {
	w.end()
	w.scanned = now
	for _, p := range w.find() {
		if fd, err := unix.PidfdOpen(p.pid, 0); err == nil { // else it ended meanwhile
			w.fds = append(w.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
}

// seen tells whether there is anything to watch.
func (w *coreWatch) seen() bool { return len(w.fds) > 0 }

// over tells whether one of the processes has ended since begin.
func (w *coreWatch) over() bool {
	if len(w.fds) == 0 {
		return false
	}
	n, err := unix.Poll(w.fds, 0)
	return err == nil && n > 0
}

// end gives up the watch.
func (w *coreWatch) end() {
	for _, fd := range w.fds {
		unix.Close(int(fd.Fd))
	}
	w.fds = nil
}

// find returns the core's topmost processes.
func (w *coreWatch) find() []coreProcess {
	mine := map[int]coreProcess{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := w.read(pid); ok {
			mine[pid] = p
		}
	}
	families := map[int][]coreProcess{} // by their topmost process
	for _, p := range mine {
		top := p
		for parent, ok := mine[top.parent]; ok; parent, ok = mine[top.parent] {
			top = parent
		}
		families[top.pid] = append(families[top.pid], p)
	}
	for top := range families {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", top))
		if !w.atWork(strings.Split(string(line), "\x00")) {
			delete(families, top)
		}
	}
	var found []coreProcess
	for top, members := range w.choose(families) {
		if len(members) > 0 {
			found = append(found, mine[top])
		}
	}
	return found
}

// read returns a process if it carries the core's name and user.
func (w *coreWatch) read(pid int) (coreProcess, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return coreProcess{}, false
	}
	p := coreProcess{pid: pid}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "Name":
			version, ours := strings.CutPrefix(fields[0], w.name)
			if !ours || strings.Trim(version, "0123456789") != "" {
				return p, false
			}
		case "State":
			if fields[0] == "Z" {
				return p, false
			}
		case "PPid":
			p.parent, _ = strconv.Atoi(fields[0])
		case "Uid":
			return p, len(fields) > 1 && fields[1] == strconv.Itoa(int(w.user))
		}
	}
	return p, false
}

// choose narrows several cores of one user down to ours, as far as can be seen.
func (w *coreWatch) choose(families map[int][]coreProcess) map[int][]coreProcess {
	ours := map[int][]coreProcess{}
	if w.pipe != nil {
		hidden := map[int][]coreProcess{} // may hold the pipe
		for top, members := range families {
			for _, p := range members {
				holds, allowed := w.holdsPipe(p.pid)
				if holds {
					ours[top] = members
				}
				if !allowed {
					hidden[top] = members
				}
			}
		}
		if len(ours) > 0 || len(hidden) == 0 {
			return ours
		}
		families = hidden
	}
	if w.config != "" {
		for top, members := range families {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", top)) // one that ended is not ours
			if bytes.Contains(line, []byte(w.config)) {
				ours[top] = members
			}
		}
	}
	if len(ours) == 0 {
		return families
	}
	return ours
}

// atWork tells whether a process with these arguments is a core that takes
// results, and not one that only looks at its configuration.
func (w *coreWatch) atWork(args []string) bool {
	if len(args[0]) == 0 { // hidden
		return true
	}
	if w.name == Icinga.watchName() {
		return slices.Contains(args, "daemon") && !slices.Contains(args, "-C") && !slices.Contains(args, "--validate")
	}
	return !slices.ContainsFunc(args[1:], func(arg string) bool {
		letters, short := strings.CutPrefix(arg, "-")
		return arg == "--verify-config" || arg == "--test-scheduling" ||
			short && strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") == "" && strings.ContainsAny(letters, "vs")
	})
}

// holdsPipe tells whether a process has the pipe open. Only root, and at times
// the same user, may see that.
func (w *coreWatch) holdsPipe(pid int) (holds, allowed bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, false
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && os.SameFile(info, w.pipe) {
			return true, true
		}
	}
	return false, true
}

// watchName is the name of a core's processes, without a version behind it.
func (d Dialect) watchName() string {
	if d == Icinga {
		return "icinga2"
	}
	return string(d)
}

// sameCores tells whether a file of the core's is the one that it was, and
// still belongs to whom it did.
func sameCores(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, too := b.Sys().(*syscall.Stat_t)
	return os.SameFile(a, b) && ok && too && x.Uid == y.Uid && x.Gid == y.Gid
}

// ownerOf returns the user that a file belongs to.
func ownerOf(info fs.FileInfo) uint32 {
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return owner.Uid
	}
	return 0
}
