package plugin

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"syscall"
	"time"
)

// ReapOrphans reaps, until ctx ends, what plugins started and left behind. It
// is for a process that inherits orphans, as process 1 of a container does:
// nobody else would, and each would stay a zombie. every is the time between
// two looks; it must be longer than a Runner leaves a plugin that has ended
// unreaped: 3 s, with the default grace.
func ReapOrphans(ctx context.Context, every time.Duration) {
	look := time.NewTicker(every)
	defer look.Stop()
	var before map[int]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		// A plugin of a Runner is its to reap, and is soon. So only what was a
		// zombie at the last look, too, is an orphan.
		now := zombies()
		for pid := range now {
			if before[pid] {
				_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			}
		}
		before = now
	}
}

// zombies are the children that have ended and are not reaped.
func zombies() map[int]bool {
	found := map[int]bool{}
	own := strconv.Itoa(os.Getpid())
	for _, pid := range processNumbers() {
		if state, parent := stateOf(pid); state == zombie && parent == own {
			found[pid] = true
		}
	}
	return found
}

const zombie = "Z"

// stateOf returns nothing for a process that is gone.
func stateOf(pid int) (state, parent string) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", ""
	}
	// "PID (NAME) STATE PARENT …", where NAME may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return "", ""
	}
	return string(fields[0]), string(fields[1])
}

func isZombie(pid int) bool {
	state, _ := stateOf(pid)
	return state == zombie
}
