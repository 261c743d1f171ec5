package check

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	serviceResult = "PROCESS_SERVICE_CHECK_RESULT"
	hostResult    = "PROCESS_HOST_CHECK_RESULT"
)

// ParseLine reads one external command line, `[unix time] NAME;arguments`,
// without its newline. The time may be left out; Finish is 0 then. The two
// check-result commands become results with their output unescaped as Nagios
// does it (`\\` and `\n`) and cut at MaxOutput, a host's state made a plugin's
// code; everything else is a Command. The error is an *InvalidError; the result
// it comes with is the zero one.
func ParseLine(line []byte) (Result, error) {
	text, finish, err := cutTime(strings.Trim(string(line), " \t\r\n"))
	if err != nil {
		return Result{}, err
	}
	name, rest, _ := strings.Cut(text, ";")
	var r Result
	switch name {
	case serviceResult:
		r, err = parseResult(Service, strings.SplitN(rest, ";", 4))
	case hostResult:
		r, err = parseResult(Host, strings.SplitN(rest, ";", 3))
	default:
		r = Result{Kind: Command, Command: text}
	}
	if err != nil {
		return Result{}, err
	}
	r.Finish = finish
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	return r, nil
}

// cutTime takes a leading `[seconds] ` off an external command line.
func cutTime(line string) (rest string, micros int64, err error) {
	if !strings.HasPrefix(line, "[") {
		return line, 0, nil
	}
	stamp, rest, ok := strings.Cut(line[1:], "]")
	seconds, parseErr := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
	const most = 1 << 40 // seconds, far beyond any real date and safe to multiply
	if !ok || parseErr != nil || seconds < 0 || seconds > most {
		return "", 0, invalid("%q does not begin with a time stamp like [1700000000]", clip(line))
	}
	return strings.TrimLeft(rest, " \t"), seconds * 1e6, nil
}

func parseResult(kind Kind, fields []string) (Result, error) {
	r := Result{Kind: kind}
	want := 3
	if kind == Service {
		want = 4
	}
	if len(fields) < want-1 {
		return Result{}, invalid("%s result has %d of its %d fields", kind, len(fields), want)
	}
	if len(fields) == want { // cores take a result that ends after its code: the output is empty
		r.Output = CutOutput(Unescape([]byte(fields[want-1])), MaxOutput)
	}
	r.Host = fields[0]
	if kind == Service {
		r.Service = fields[1]
	}
	var err error
	r.Code, err = ParseCode(fields[want-2])
	if kind == Host {
		r.Code = HostCode(r.Code)
	}
	return r, err
}

// ParseCode reads a plugin's return code. What is no whole number is refused,
// where NSCA would have sent it as 0, OK.
func ParseCode(text string) (int32, error) {
	code, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, invalid("return code %q is no whole number", clip(text))
	}
	return int32(code), nil
}

// Unescape undoes Nagios's escaping of output on its command pipe.
func Unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			switch b[i+1] {
			case '\\':
				out = append(out, '\\')
				i++
				continue
			case 'n':
				out = append(out, '\n')
				i++
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}
