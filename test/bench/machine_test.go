//go:build bench && e2e

package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is what the kernel counts a process's time in, on all Linux ports
// that Go has.
const clockTick = time.Second / 100

// processTime is the processor time that a process has used, user and system.
func processTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

// memoryOf returns a figure of /proc/PID/status in kB, as VmRSS, what a process
// has in memory, or VmHWM, the most that it ever had.
func memoryOf(pid int, key string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), key+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kB, _ := strconv.ParseFloat(fields[0], 64)
	return kB
}

// load is the part of one core that a process uses while f runs.
func load(pid int, f func()) float64 {
	before, begin := processTime(pid), time.Now()
	f()
	return (processTime(pid) - before).Seconds() / time.Since(begin).Seconds()
}
