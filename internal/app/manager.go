package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstSocket is the descriptor of the first socket that a service manager
// passes.
const firstSocket = 3

// manager is the service manager that started this process, as sd_notify(3)
// and sd_listen_fds(3) describe it; all zero where there is none.
type manager struct {
	socket   string        // where it is told
	watchdog time.Duration // how long it may hear nothing; 0: for ever
	passed   int           // sockets
}

// managerFromEnvironment takes what is there for this process, so that no
// child takes it for its own.
func managerFromEnvironment() manager {
	self := strconv.Itoa(os.Getpid())
	m := manager{socket: take("NOTIFY_SOCKET")}
	if of, limit := take("WATCHDOG_PID"), take("WATCHDOG_USEC"); of == "" || of == self {
		if usec, err := strconv.ParseInt(limit, 10, 64); err == nil && usec > 0 {
			m.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	if of, count := take("LISTEN_PID"), take("LISTEN_FDS"); of == self {
		m.passed, _ = strconv.Atoi(count)
	}
	take("LISTEN_FDNAMES")
	return m
}

func take(variable string) string {
	value := os.Getenv(variable)
	os.Unsetenv(variable)
	return value
}

// sockets returns the listening sockets that the manager opened.
func (m manager) sockets() ([]net.Listener, error) {
	var list []net.Listener
	for fd := firstSocket; fd < firstSocket+m.passed; fd++ {
		f := os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd-firstSocket+1)+" of the service manager")
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("take %s: %w", f.Name(), err)
		}
		list = append(list, l)
	}
	return list, nil
}

// tell sends lines as NAME=value.
func (m manager) tell(state string) error {
	if m.socket == "" {
		return nil
	}
	name := m.socket
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

// reloading is what the manager must hear when a reload begins.
func (m manager) reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", time.Duration(syscall.TimespecToNsec(syscall.Timespec(now))).Microseconds())
}

// keepWatchdog tells the manager in time that alive returned, until ctx ends.
// A service that hangs is told of no more, and the manager ends it.
func (m manager) keepWatchdog(ctx context.Context, alive func()) {
	if m.socket == "" || m.watchdog == 0 {
		return
	}
	tick := time.NewTicker(m.watchdog / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			alive()
			m.tell("WATCHDOG=1") // where it cannot be told, it acts by itself
		}
	}
}
