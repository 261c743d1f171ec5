package sender

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// syslogSocket is where the machine's system logger listens.
const syslogSocket = "/dev/log"

// syslogError is the priority of facility user, severity error.
const syslogError = 1<<3 | 3

// syslog is NSCA-ng's -s: each line that is written goes to the system logger.
type syslog struct {
	conn net.Conn
	tag  string
}

func dialSyslog(tag string) (*syslog, error) {
	conn, err := net.Dial("unixgram", syslogSocket)
	if err != nil {
		return nil, fmt.Errorf("reach the system logger: %w", err)
	}
	return &syslog{conn, tag}, nil
}

func (s *syslog) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if _, err := fmt.Fprintf(s.conn, "<%d>%s[%d]: %s", syslogError, s.tag, os.Getpid(), line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (s *syslog) Close() error { return s.conn.Close() }

// messages returns where messages go: standard error, the system logger, or
// both. Where there is no system logger, they go to standard error.
func messages(env Env, name string, toSyslog, toStderr bool) (w io.Writer, end func()) {
	if !toSyslog {
		return env.Stderr, func() {}
	}
	log, err := dialSyslog(name)
	if err != nil {
		fmt.Fprintf(env.Stderr, "%s: %v\n", name, err)
		return env.Stderr, func() {}
	}
	if toStderr {
		return io.MultiWriter(env.Stderr, log), func() { log.Close() }
	}
	return log, func() { log.Close() }
}
