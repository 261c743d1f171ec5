package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// logger makes the logger of a daemon. level is a name in either case; format
// is "console", "json", or "" for what suits the stream; file gets the same
// lines unless it is empty; quiet keeps them off standard error.
func (std streams) logger(level, format, file string, quiet bool) (zerolog.Logger, io.Closer, error) {
	threshold, err := parseLevel(level)
	if err != nil {
		return zerolog.Nop(), nil, err
	}
	if format != "" && format != "console" && format != "json" {
		return zerolog.Nop(), nil, misuse{fmt.Errorf("--log-format: %q is neither console nor json", format)}
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	var outputs []io.Writer
	closer := io.Closer(io.NopCloser(nil))
	if file != "" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return zerolog.Nop(), nil, fmt.Errorf("open the log file: %w", err)
		}
		outputs, closer = append(outputs, formatted(f, format)), f
	}
	if !quiet {
		outputs = append(outputs, formatted(std.stderr, format))
	}
	log := zerolog.New(zerolog.MultiLevelWriter(outputs...)).Level(threshold).With().Timestamp().Logger()
	return log, closer, nil
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

func formatted(w io.Writer, format string) io.Writer {
	terminal := isTerminal(w)
	if format == "json" || format == "" && !terminal {
		return w
	}
	return zerolog.ConsoleWriter{Out: w, NoColor: !terminal || os.Getenv("NO_COLOR") != "", TimeFormat: time.DateTime}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
