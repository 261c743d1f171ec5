package app

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// isJournal tells whether w goes to systemd's journal. The variable alone does
// not say it: a program that the service starts inherits the variable, and may
// have another standard error. See systemd.exec(5).
func isJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var at unix.Stat_t
	return unix.Fstat(int(f.Fd()), &at) == nil && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", at.Dev, at.Ino)
}

// journalWriter gives each line the level that the journal takes from its head.
// The protocol with fields would say no more: the fields are in the line, and
// all of ours say the same about who we are as the journal finds out itself.
type journalWriter struct{ io.Writer }

// WriteLevel takes one event. A text of several lines is as many for the journal.
func (w journalWriter) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if _, err := w.Write(prefixed(priority(level), p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// consoleJournal makes of an event one line for people, and has it written with
// its level.
type consoleJournal struct{ out io.Writer }

func (w consoleJournal) Write(p []byte) (int, error) { return w.WriteLevel(zerolog.InfoLevel, p) }

func (w consoleJournal) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	var line bytes.Buffer
	console := zerolog.ConsoleWriter{Out: &line, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName}}
	if _, err := console.Write(p); err != nil {
		return 0, err
	}
	if _, err := (journalWriter{w.out}).WriteLevel(level, line.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func prefixed(priority int, text []byte) []byte {
	head := fmt.Appendf(nil, "<%d>", priority)
	body, ended := bytes.CutSuffix(text, []byte("\n"))
	lines := append(head, bytes.ReplaceAll(body, []byte("\n"), append([]byte("\n"), head...))...)
	if ended {
		lines = append(lines, '\n')
	}
	return lines
}

// The priorities of syslog that are used here.
const (
	priorityCritical = 2
	priorityError    = 3
	priorityWarning  = 4
	priorityInfo     = 6
	priorityDebug    = 7
)

func priority(level zerolog.Level) int {
	switch level {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		return priorityDebug
	case zerolog.WarnLevel:
		return priorityWarning
	case zerolog.ErrorLevel:
		return priorityError
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return priorityCritical
	}
	return priorityInfo
}

// complain writes what is wrong to standard error, where it may be for the
// journal.
func (std streams) complain(text string) {
	if isJournal(std.stderr) {
		text = string(prefixed(priorityError, []byte(text)))
	}
	fmt.Fprintln(std.stderr, text)
}
