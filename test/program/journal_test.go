package program

import (
	"massive-passive/test/rig"

	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// journal stands in for systemd's: it has a socket for standard error.
type journal struct {
	t      *testing.T
	stderr *os.File // the service's end
	lines  *bufio.Scanner
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "stdout")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := conn.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	t.Cleanup(func() { stderr.Close() })
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	far.SetReadDeadline(time.Now().Add(time.Minute))
	return &journal{t, stderr, bufio.NewScanner(far)}
}

// stream is what the service manager says about the socket.
func (j *journal) stream() string {
	info, err := j.stderr.Stat()
	if err != nil {
		j.t.Fatal(err)
	}
	at := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", at.Dev, at.Ino)
}

// run starts the program, and returns what it writes until it ends, which a
// signal makes it do once it says end.
func (j *journal) run(stream, end string, words ...string) []string {
	j.t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "JOURNAL_STREAM="+stream)
	cmd.Stderr = j.stderr
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	j.stderr.Close()
	var lines []string
	for j.lines.Scan() {
		lines = append(lines, j.lines.Text())
		if end != "" && strings.Contains(j.lines.Text(), end) {
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := j.lines.Err(); err != nil {
		j.t.Fatalf("%v after %q", err, lines)
	}
	return lines
}

// The journal takes the level from the head of a line. What is for people is not
// JSON, and has no time: the journal has one.
func TestLinesForTheJournalHaveTheirLevel(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	if err := os.WriteFile(filepath.Join(p.Set.AllowedDir, "bad.pem"), []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	words := append([]string{rig.LinkTo(t, "massive-passive-server"), "--foreground"}, p.ServerArgs...)
	for name, c := range map[string]struct {
		elsewhere bool // standard error is not what the variable names
		args      []string
		info      string // patterns of lines
		worse     string
	}{
		"text for people": {info: `^<6>listening .*address=127\.0\.0\.1`, worse: `^<[34]>.*bad`},
		"JSON that was asked for": {args: []string{"--log-format", "json"},
			info: `^<6>\{"level":"info",.*"listening"`, worse: `^<[34]>\{"level":"(warn|error)".*bad`},
		"another standard error": {elsewhere: true, info: `^\{"level":"info",.*"listening"`, worse: `^\{"level":"(warn|error)".*bad`},
	} {
		j := newJournal(t)
		stream := j.stream()
		if c.elsewhere {
			stream = newJournal(t).stream()
		}
		lines := j.run(stream, "listening", append(words, c.args...)...)
		for _, pattern := range []string{c.info, c.worse} {
			if !matches(lines, pattern) {
				t.Errorf("%s: no line is like %s:\n%s", name, pattern, strings.Join(lines, "\n"))
			}
		}
		if !c.elsewhere && matches(lines, `^[^<]|^<[^34567]>|^<\d>\d{4}-`) {
			t.Errorf("%s: a line has no level, or a time:\n%s", name, strings.Join(lines, "\n"))
		}
	}
}

func matches(lines []string, pattern string) bool {
	re := regexp.MustCompile(pattern)
	for _, line := range lines {
		if re.MatchString(line) {
			return true
		}
	}
	return false
}

// Why a start failed is an error for the journal as well.
func TestAFailedStartIsAnErrorInTheJournal(t *testing.T) {
	j := newJournal(t)
	lines := j.run(j.stream(), "", rig.LinkTo(t, "massive-passive-server"), "--foreground", "--ssl-cert", filepath.Join(t.TempDir(), "away\nand more"))
	if !matches(lines, `^<3>.*away`) || matches(lines, `^[^<]|^<[^34]>`) {
		t.Errorf("it says:\n%s", strings.Join(lines, "\n"))
	}
}
