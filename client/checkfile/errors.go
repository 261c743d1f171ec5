package checkfile

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Place is where in a file something stands. Line and Column count from 1,
// Column in characters; Line is 0 where the file as a whole is meant.
type Place struct {
	File         string
	Line, Column int
}

// String returns file:line:column, or the file alone.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error says what is wrong with a check file.
type Error struct {
	Place
	// Key is the key concerned, with a dot before one inside an object
	// ("interval.hour"); empty where the file as a whole is wrong.
	Key string
	// Value is what the file has there, as JSON and shortened; empty where it
	// has nothing.
	Value string
	// Reason continues the value: what is wrong with it and what would be right.
	Reason string
}

// Error returns place, key, value and reason in one line.
func (e *Error) Error() string { return line(e.Place, e.Key, e.Value, e.Reason) }

// Warning says what is doubtful about a check file that is used nevertheless.
// Its parts are those of Error, without the value.
type Warning struct {
	Place
	Key, Reason string
}

// String returns place, key and reason in one line.
func (w Warning) String() string { return line(w.Place, w.Key, "", w.Reason) }

func line(p Place, key, value, reason string) string {
	var b strings.Builder
	b.WriteString(p.String())
	b.WriteString(": ")
	if key != "" {
		fmt.Fprintf(&b, "%q: ", key)
	}
	if value != "" {
		b.WriteString(value)
		b.WriteByte(' ')
	}
	b.WriteString(reason)
	return b.String()
}

// source is a file that is being read, without the mark that some editors put
// in front of UTF-8.
type source struct {
	name string
	text []byte
}

func (s *source) place(offset int) Place {
	before := string(s.text[:min(offset, len(s.text))])
	begin := strings.LastIndexByte(before, '\n') + 1
	return Place{
		File:   s.name,
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[begin:]) + 1,
	}
}

// wrong makes the error about what stands at n under a key.
func (s *source) wrong(n node, key, format string, args ...any) error {
	return &Error{Place: s.place(n.offset), Key: key, Value: n.show(), Reason: fmt.Sprintf(format, args...)}
}

// wanted makes the error about a value of the wrong type.
func (s *source) wanted(n node, key, what string) error {
	if n.show() != "" {
		return s.wrong(n, key, "is not %s", what)
	}
	return s.wrong(n, key, "is %s where %s is needed", n.kind, what)
}

// broken makes the error about a place that has no key yet.
func (s *source) broken(offset int, format string, args ...any) error {
	return &Error{Place: s.place(offset), Reason: fmt.Sprintf(format, args...)}
}

// whole makes the error about something that is nowhere in the file.
func (s *source) whole(key, format string, args ...any) error {
	return &Error{Place: Place{File: s.name}, Key: key, Reason: fmt.Sprintf(format, args...)}
}
