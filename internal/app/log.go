package app

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// logger makes the logger of a daemon: to standard error, and to file unless
// that is nil. A caller who waits for a start in the background sees only what
// is wrong.
func (std streams) logger(o daemonOptions, file *logFile) (zerolog.Logger, error) {
	threshold, err := parseLevel(o.logLevel)
	if err != nil {
		return zerolog.Nop(), err
	}
	if o.logFormat != "" && o.logFormat != "console" && o.logFormat != "json" {
		return zerolog.Nop(), misuse{fmt.Errorf("--log-format: %q is neither console nor json", o.logFormat)}
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	var outputs []io.Writer
	if file != nil {
		outputs = append(outputs, formatted(file, o.logFormat))
	}
	switch stderr := formatted(std.stderr, o.logFormat); {
	case o.silent:
	case std.ready != nil:
		outputs = append(outputs, &zerolog.FilteredLevelWriter{Writer: stderr, Level: zerolog.WarnLevel})
	default:
		outputs = append(outputs, stderr)
	}
	return zerolog.New(zerolog.MultiLevelWriter(outputs...)).Level(threshold).With().Timestamp().Logger(), nil
}

func parseLevel(name string) (zerolog.Level, error) {
	switch strings.ToLower(name) {
	case "notset":
		return zerolog.TraceLevel, nil
	case "debug":
		return zerolog.DebugLevel, nil
	case "info":
		return zerolog.InfoLevel, nil
	case "warning", "warn":
		return zerolog.WarnLevel, nil
	case "error":
		return zerolog.ErrorLevel, nil
	}
	return zerolog.NoLevel, misuse{fmt.Errorf("--loglevel: %q is none of notset, debug, info, warning, error", name)}
}

// formatted writes for people to a terminal and to the journal, which says when
// and how bad it is itself, and else for programs, unless told.
func formatted(w io.Writer, format string) zerolog.LevelWriter {
	terminal, journal := isTerminal(w), isJournal(w)
	forPeople := format == "console" || format == "" && (terminal || journal)
	switch {
	case forPeople && journal:
		return consoleJournal{w}
	case journal:
		return journalWriter{w}
	case forPeople:
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal || os.Getenv("NO_COLOR") != "", TimeFormat: time.DateTime}
	}
	return zerolog.LevelWriterAdapter{Writer: w}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
