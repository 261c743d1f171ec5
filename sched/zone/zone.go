// Package zone finds time zones by what people write: a name as Europe/Berlin, a
// file, or a POSIX rule as CET-1CEST,M3.5.0,M10.5.0/3. It knows nothing of
// checks.
package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Find returns the time zone that a text names, in the ways of the environment
// variable TZ: a colon before it changes nothing, a name goes before a rule.
func Find(text string) (*time.Location, error) {
	name := strings.TrimPrefix(text, ":")
	if filepath.IsAbs(name) {
		return fromFile(name)
	}
	if name == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err == nil {
		return loc, nil
	}
	if loc, ok := fromRule(name); ok {
		return loc, nil
	}
	return nil, errors.New("it is neither the name of a time zone that this machine knows, as Europe/Berlin, nor a rule of POSIX, as CET-1CEST,M3.5.0,M10.5.0/3")
}

// mostFile is far more than a file of a time zone has.
const mostFile = 1 << 20

func fromFile(path string) (*time.Location, error) {
	// Whoever named a pipe must not have the start wait for it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, mostFile))
	if err != nil {
		return nil, err
	}
	loc, err := time.LoadLocationFromTZData(path, data)
	if err != nil {
		return nil, fmt.Errorf("%s does not hold a time zone", path)
	}
	return loc, nil
}

const (
	rulePattern = `^(?:NAMETIME)(?:NAME(?:TIME)?(?:,DATE(?:/TIME)?,DATE(?:/TIME)?)?)?$`
	namePattern = `(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)`
	timePattern = `[+-]?[0-9]{1,3}(?::[0-9]{1,2}){0,2}`
	datePattern = `(?:J[0-9]{1,3}|[0-9]{1,3}|M[0-9]{1,2}\.[1-5]\.[0-6])`

	longestRule = 200
	// unread is the name that the zone has where the runtime cannot read the rule.
	unread = "\x01"
)

// fromRule returns the zone of a POSIX rule. The runtime reads such rules only at
// the end of a zone's file, for the times behind its last change: so it gets a file
// that has nothing else.
func fromRule(rule string) (*time.Location, bool) {
	pattern := strings.NewReplacer("NAME", namePattern, "TIME", timePattern, "DATE", datePattern).Replace(rulePattern)
	if ok, err := regexp.MatchString(pattern, rule); !ok || err != nil || len(rule) > longestRule {
		return nil, false
	}
	loc, err := time.LoadLocationFromTZData(rule, tzif(rule))
	if err != nil {
		return nil, false
	}
	// No zone is a day or more from UTC, by POSIX. One look a day finds each period.
	for day := range 366 {
		at := time.Date(2024, 1, 1+day, 12, 0, 0, 0, time.UTC).In(loc)
		if name, offset := at.Zone(); name == unread || offset <= -dayInSeconds || offset >= dayInSeconds {
			return nil, false
		}
	}
	return loc, true
}

const dayInSeconds = 24 * 60 * 60

// tzif is a file of RFC 8536, version 2, with one kind of local time, no change
// to or from it, and a rule.
func tzif(rule string) []byte {
	header := func(kinds, chars uint32) []byte {
		b := append([]byte("TZif2"), make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, 0, kinds, chars} { // UT, standard, leap seconds, changes
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	kind := append(make([]byte, 6), unread+"\x00"...) // offset, daylight saving, name
	b := append(header(1, 2), kind...)
	b = append(append(b, header(1, 2)...), kind...)
	return append(b, "\n"+rule+"\n"...)
}

// SetLocal has this process use the time zone of its environment, also where the
// runtime does not know it: that takes UTC without a word. The error says what is
// wrong with TZ or /etc/localtime; UTC is used then. Nothing else may run yet.
func SetLocal() error {
	text, set := os.LookupEnv("TZ")
	if set {
		loc, err := Find(text)
		if err != nil {
			time.Local = time.UTC
			return fmt.Errorf("TZ=%q is not usable, and UTC is used instead: %w", text, err)
		}
		time.Local = loc
		return nil
	}
	return setFromLink(localtime)
}

const localtime = "/etc/localtime"

// setFromLink looks after the machine's own zone: where its file is missing, the
// link to it may still tell its name.
func setFromLink(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return nil // the machine has none, which means UTC
	}
	if _, err := fromFile(path); err == nil {
		return nil // the runtime reads it as well
	} else {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
				if loc, err := time.LoadLocation(name); err == nil {
					time.Local = loc
					return nil
				}
			}
		}
		time.Local = time.UTC
		return fmt.Errorf("the machine's time zone is not usable, and UTC is used instead: %w", err)
	}
}
