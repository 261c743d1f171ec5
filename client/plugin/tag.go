package plugin

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tag marks all that a run starts. Its group does not: whoever calls setsid, as
// every daemon does, leaves that, and once its parent has ended nothing else tells
// who started it. Resource limits are inherited by all descendants, without
// any right, and can be read of them. That of the time in real-time scheduling
// is free: a number of some hundred thousand years limits nobody. 0 is no tag.
type tag uint64

// leastTag makes every tag that long.
const leastTag = 1 << 62

// tagging is held from nextTag until the plugin is started. The limit is the
// whole process's, and so is this.
var tagging sync.Mutex

// canTag tells whether the limit is free, as it is unless somebody set one.
func canTag() bool {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_RTTIME, &limit)
	return err == nil && limit.Max == unix.RLIM_INFINITY && (limit.Cur == unix.RLIM_INFINITY || limit.Cur >= leastTag)
}

// nextTag has what this process starts from here on bear a new tag.
func nextTag() tag {
	t := leastTag + tag(rand.Uint64N(leastTag))
	if unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: uint64(t), Max: unix.RLIM_INFINITY}) != nil {
		return 0
	}
	return t
}

// of tells whether a process bears the tag.
func (t tag) of(pid int) bool {
	var limit unix.Rlimit
	return t != 0 && unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit) == nil && limit.Cur == uint64(t)
}

// signalEscaped sends a signal to what bears the tag and is in another process
// group than leader, and returns how many of these are there. A process is held
// by a descriptor before it is looked at, so that no other one that gets its number
// can be hit. Kernels before Linux 5.3 have none, and there nothing is sent.
func (t tag) signalEscaped(leader int, sig syscall.Signal) (running int) {
	if t == 0 {
		return 0
	}
	for _, pid := range processNumbers() {
		if pid == os.Getpid() || !t.of(pid) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, syscall.ENOSYS) {
			return 0
		}
		if err != nil {
			continue // it ended meanwhile
		}
		group, err := unix.Getpgid(pid)
		if err == nil && group != leader && t.of(pid) && !isZombie(pid) {
			if sig == 0 || unix.PidfdSendSignal(fd, sig, nil, 0) == nil {
				running++
			}
		}
		_ = unix.Close(fd)
	}
	return running
}

// endEscaped waits for what the run started and what left its group until that
// time, and then kills it. What starts others meanwhile is not outrun for ever.
func (t tag) endEscaped(leader int, until time.Time) {
	for t.signalEscaped(leader, 0) > 0 && time.Now().Before(until) {
		time.Sleep(escapedPause)
	}
	for range mostRounds {
		if t.signalEscaped(leader, syscall.SIGKILL) == 0 {
			return
		}
		time.Sleep(escapedPause)
	}
}

const (
	escapedPause = 20 * time.Millisecond
	mostRounds   = 20
)

// processNumbers are those of all processes that this one can see.
func processNumbers() (pids []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
