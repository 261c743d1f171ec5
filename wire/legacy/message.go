package legacy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"

	"massive-passive/wire/check"
)

// Form is one of the two framings.
type Form uint8

const (
	// Newer is a length and the base64; it has no answer.
	Newer Form = iota + 1
	// Older is the base64 alone; its sender waits for an answer.
	Older
)

func (f Form) String() string {
	switch f {
	case Newer:
		return "newer"
	case Older:
		return "older"
	}
	return fmt.Sprintf("form %d", uint8(f))
}

// MaxMessage is the most base64 that a message may have, in bytes.
const MaxMessage = 16 << 20

// FormatError says why bytes are no message of either form.
type FormatError struct {
	Form   Form // that it was taken for
	Reason string
}

func (e *FormatError) Error() string { return "malformed message: " + e.Reason }

func malformed(format string, args ...any) error {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}

// lineLength is how many characters MIME has on a line of base64.
const lineLength = 76

// Append appends the whole message of text, wrapped as 0.3.9 wraps it.
func Append(b []byte, form Form, text []byte) []byte {
	if form == Newer {
		encoded := base64.StdEncoding.EncodedLen(len(text))
		b = strconv.AppendInt(b, int64(encoded+(encoded+lineLength-1)/lineLength), 10)
		b = append(b, ' ')
	}
	return appendWrapped(b, text)
}

func appendWrapped(b, text []byte) []byte {
	const perLine = lineLength / 4 * 3
	for len(text) > 0 {
		line := text[:min(perLine, len(text))]
		text = text[len(line):]
		b = base64.StdEncoding.AppendEncode(b, line)
		b = append(b, '\n')
	}
	return b
}

// AppendAnswer appends the answer to a message of the older form that is safe:
// bytes is the length of its text.
func AppendAnswer(b []byte, bytes int) []byte {
	return appendWrapped(b, fmt.Appendf(nil, "OK %d bytes received and written.\n", bytes))
}

// AppendRefusal appends the answer to a message of the older form that was not
// taken, or not all of it.
func AppendRefusal(b []byte, why string) []byte {
	return appendWrapped(b, fmt.Appendf(nil, "ERROR %s\n", why))
}

// AppendLine appends the external-command line of r as check.ParseLine reads
// it. A server of version 0.3.9 writes it to its core as it is, so that no byte
// of the output may end the line: a newline is escaped and a backslash with
// it, as Nagios undoes it, a CR is a newline, and a NUL, which would end the
// output in the core, becomes a blank.
func AppendLine(b []byte, r *check.Result) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, r.Finish/1e6, 10)
	b = append(b, "] "...)
	switch r.Kind {
	case check.Command:
		return append(append(b, r.Command...), '\n')
	case check.Host:
		b = append(append(b, "PROCESS_HOST_CHECK_RESULT;"...), r.Host...)
		b = append(b, ';', '0'+byte(check.HostState(r.Code)), ';')
	default:
		b = append(append(b, "PROCESS_SERVICE_CHECK_RESULT;"...), r.Host...)
		b = append(append(b, ';'), r.Service...)
		b = append(b, ';')
		b = strconv.AppendInt(b, int64(r.Code), 10)
		b = append(b, ';')
	}
	output := bytes.ReplaceAll(r.Output, []byte("\r\n"), []byte("\n"))
	for _, c := range output {
		switch c {
		case '\n', '\r':
			b = append(b, '\\', 'n')
		case '\\':
			b = append(b, '\\', '\\')
		case 0:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, '\n')
}
