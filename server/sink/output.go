package sink

import (
	"bytes"

	"massive-passive/wire/check"
)

// outputParts are the parts of a plugin's output, as the plugin guidelines
// divide it: the first line's text, the lines behind it, and all perfdata.
type outputParts struct {
	text, long, perfdata []byte
}

// split divides a plugin's output. The first line may hold perfdata behind a
// "|"; of the other lines, all behind the first "|" is perfdata.
func split(output []byte) outputParts {
	first, rest, _ := bytes.Cut(output, []byte("\n"))
	text, perfdata, _ := bytes.Cut(first, []byte("|"))
	long, more, _ := bytes.Cut(rest, []byte("|"))
	p := outputParts{text: bytes.TrimRight(text, " \t"), long: bytes.TrimRight(long, "\n"), perfdata: bytes.TrimSpace(perfdata)}
	if more = bytes.TrimSpace(bytes.ReplaceAll(more, []byte("\n"), []byte(" "))); len(more) > 0 {
		p.perfdata = append(append(append([]byte(nil), p.perfdata...), ' '), more...)
		p.perfdata = bytes.TrimSpace(p.perfdata)
	}
	return p
}

// flat puts the parts on one line, for cores that know no other.
func (p outputParts) flat() []byte {
	line := append([]byte(nil), p.text...)
	if len(p.long) > 0 {
		line = append(append(line, ' '), bytes.ReplaceAll(p.long, []byte("\n"), []byte(" "))...)
	}
	if len(p.perfdata) > 0 {
		line = append(append(line, '|'), p.perfdata...)
	}
	return line
}

// plain removes from output what no core can keep: a NUL would end it there,
// and a CR is the end of a line in another spelling.
func plain(output []byte) []byte {
	if bytes.IndexByte(output, '\r') >= 0 {
		output = bytes.ReplaceAll(output, []byte("\r\n"), []byte("\n"))
		output = bytes.ReplaceAll(output, []byte("\r"), []byte("\n"))
	}
	if bytes.IndexByte(output, 0) >= 0 {
		output = bytes.ReplaceAll(output, []byte{0}, []byte(" "))
	}
	return output
}

// serviceState is the state of a service for a plugin's return code, as the
// cores make it for active checks.
func serviceState(code int32) int32 {
	if code < check.OK || code > check.Unknown {
		return check.Unknown
	}
	return code
}
