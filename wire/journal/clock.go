package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// moment is what the machine's clocks say at one time.
type moment struct {
	wall int64 // ns since the Unix epoch: what people set, and the network corrects
	// boot names the start of the machine that up counts from. Another start of
	// it, and another machine, have another.
	boot bootID
	up   int64 // ns since then, suspensions included; nobody can set it
}

type bootID [16]byte

// clocks reads the machine's clocks. It goes on from the runtime's monotonic
// clock, so that time passes here as it does for the rest of the process.
type clocks struct {
	boot   bootID
	up     int64
	start  time.Time
	asleep int64 // as the process started
	slept  int64 // since, as last looked at
	ahead  int64 // of the monotonic clock at that time, by the other one
}

func newClocks() *clocks {
	return &clocks{boot: readBootID(), up: uptime(), start: time.Now(), asleep: asleep()}
}

func (c *clocks) now() moment {
	now := time.Now()
	ran := int64(now.Sub(c.start))
	// The kernel is asked only where the machine may have slept, for this is
	// called for each record.
	if ahead := now.UnixNano() - c.start.UnixNano() - ran; ahead-c.ahead >= int64(time.Second) || c.ahead-ahead >= int64(time.Second) {
		c.ahead, c.slept = ahead, max(asleep()-c.asleep, c.slept)
	}
	return moment{wall: now.UnixNano(), boot: c.boot, up: c.up + ran + c.slept}
}

// synced tells whether the kernel takes the time for right, because a daemon that
// asks the network for it said so. Whoever sets it by hand makes this false.
func (c *clocks) synced() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// readBootID returns a random name where the system tells none, as in some
// containers: no earlier process counts as one of the same start then.
func readBootID() (id bootID) {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	digits := bytes.ReplaceAll(bytes.TrimSpace(text), []byte("-"), nil)
	if len(digits) != hex.EncodedLen(len(id)) {
		rand.Read(id[:])
	} else if _, err := hex.Decode(id[:], digits); err != nil {
		rand.Read(id[:])
	}
	return id
}

// uptime is how long the machine has run, suspensions included, in ns. What a
// time namespace adds to that is taken off: containers on one machine, which share
// its boot id, may have different ones.
func uptime() int64 {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return 0
	}
	text, _ := os.ReadFile("/proc/self/timens_offsets")
	for line := range bytes.Lines(text) {
		var seconds, ns int64
		if n, _ := fmt.Sscanf(string(line), "boottime %d %d", &seconds, &ns); n == 2 {
			return up.Nano() - seconds*int64(time.Second) - ns
		}
	}
	return up.Nano()
}

// asleep is how long the machine was suspended since it was started, in ns: time
// that passed, but that the monotonic clock does not count.
func asleep() int64 {
	var boot, run unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &run) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return boot.Nano() - run.Nano()
}
