package sender

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"massive-passive/wire/check"
)

// maxInput bounds standard input, in bytes.
const maxInput = 256 << 20

// format is how standard input is divided.
type format struct {
	raw          bool // external commands, one a line
	delimiter    byte // between the fields of a set
	setDelimiter byte
}

// badSet is a set or line of the input that cannot be sent.
type badSet struct {
	number int // from 1, among those that are not empty
	err    error
}

// parse reads all results of the input. Those without a time get now.
func (f format) parse(in io.Reader, now time.Time) (good []check.Result, bad []badSet, err error) {
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxInput {
		return nil, nil, fmt.Errorf("standard input is over %d bytes: send it in parts", maxInput)
	}
	divider := f.setDelimiter
	if f.raw {
		divider = '\n'
	}
	number := 0
	for len(data) > 0 {
		var set []byte
		set, data, _ = bytes.Cut(data, []byte{divider})
		if len(bytes.Trim(set, " \t\r\n")) == 0 {
			continue
		}
		number++
		r, err := f.one(set)
		if err != nil {
			bad = append(bad, badSet{number, err})
			continue
		}
		if r.Finish == 0 {
			r.Finish = now.UnixMicro()
		}
		good = append(good, r)
	}
	return good, bad, nil
}

// one reads a set. The blanks at its end belong to nobody, but a delimiter
// among them may end a field that is empty: only where that makes no sense are
// they taken off first, as NSCA does it.
func (f format) one(set []byte) (check.Result, error) {
	if f.raw {
		return check.ParseLine(set)
	}
	set = bytes.Trim(set, "\r\n")
	r, err := f.fields(set)
	if err != nil {
		if trimmed, trimmedErr := f.fields(bytes.TrimRight(set, " \t\r\n")); trimmedErr == nil {
			return trimmed, nil
		}
	}
	return r, err
}

func (f format) fields(set []byte) (check.Result, error) {
	fields := bytes.SplitN(set, []byte{f.delimiter}, 4)
	r := check.Result{Kind: check.Host, Host: string(fields[0])}
	switch len(fields) {
	case 1, 2:
		return check.Result{}, fmt.Errorf("has %d of at least 3 fields divided by %q: host, [service,] return code, output", len(fields), f.delimiter)
	case 3:
		r.Output = fields[2]
	case 4:
		r.Kind, r.Service, r.Output = check.Service, string(fields[1]), fields[3]
	}
	code, err := check.ParseCode(string(fields[len(fields)-2]))
	if err != nil {
		return check.Result{}, err
	}
	r.Code = code
	r.Output = check.CutOutput(bytes.TrimRight(r.Output, " \t\r\n"), check.MaxOutput)
	if err := r.Validate(); err != nil {
		return check.Result{}, err
	}
	return r, nil
}
