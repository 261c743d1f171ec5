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

// input is what standard input held.
type input struct {
	good   []check.Result
	bad    []badSet
	joined []int // numbers of sets that look like several, divided by something else
	empty  []int // numbers of results without an output
	lines  bool  // sets are divided by newlines
}

// parse reads all results of the input. Those without a time get now.
func (f format) parse(r io.Reader, now time.Time) (in input, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return input{}, fmt.Errorf("read standard input: %w", err)
	}
	if data, err = plainText(data); err != nil {
		return input{}, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxInput {
		return input{}, fmt.Errorf("standard input is over %d bytes: send it in parts", maxInput)
	}
	divider := f.setDelimiter
	if f.raw {
		divider = '\n'
	}
	in.lines = f.setDelimiter == '\n'
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
			in.bad = append(in.bad, badSet{number, err})
			continue
		}
		if r.Finish == 0 {
			r.Finish = now.UnixMicro()
		}
		in.good = append(in.good, r)
		if r.Kind != check.Command && len(bytes.TrimSpace(r.Output)) == 0 {
			in.empty = append(in.empty, number)
		}
		if f.looksJoined(r.Output) {
			in.joined = append(in.joined, number)
		}
	}
	return in, nil
}

// looksJoined tells whether a later line of an output reads as a set of its
// own: whoever wrote that believed in newlines between sets. Where newlines do
// divide sets, that is what stands behind an ETB.
func (f format) looksJoined(output []byte) bool {
	if f.raw {
		return false
	}
	_, output, _ = bytes.Cut(output, []byte{f.otherDivider()})
	for part := range bytes.SplitSeq(output, []byte{f.otherDivider()}) {
		if _, err := f.one(part); err == nil {
			return true
		}
	}
	return false
}

// otherDivider is what somebody may have taken for the divider of sets.
func (f format) otherDivider() byte {
	if f.setDelimiter == '\n' {
		return etb
	}
	return '\n'
}

// warn names the sets that will not be sent, and those that look wrong.
func (in *input) warn(w io.Writer) {
	for _, b := range in.bad {
		fmt.Fprintf(w, "input %d is not sent: %v\n", b.number, b.err)
	}
	switch {
	case len(in.joined) == 0:
	case in.lines:
		fmt.Fprintf(w, "warning: input %d holds an ETB (0x17) and what looks like another result behind it, which became a part of its output: "+
			"results are divided by newlines, as -ds '\\n' or `sets = lines` in the configuration wants it; -ds 0x17 divides them by ETB\n", in.joined[0])
	default:
		fmt.Fprintf(w, "warning: input %d holds a line that looks like another result, which became a part of its output, as with NSCA: "+
			"results are divided by ETB (0x17), or by newlines with -ds '\\n', or at all calls with `sets = lines` in send.cfg or send_nsca.cfg\n", in.joined[0])
	}
}

// warnOfEmpty tells once of results without an output, as a plugin leaves them
// that did not start.
func (in *input) warnOfEmpty(w io.Writer) {
	if len(in.empty) > 0 {
		fmt.Fprintf(w, "warning: input %d has an empty output (%d of %d have one): sent all the same; see whether its plugin ran\n",
			in.empty[0], len(in.empty), len(in.good))
	}
}

// report names what was sent.
func (in *input) report(w io.Writer, verbose int) {
	for i := range in.good {
		r := &in.good[i]
		switch {
		case verbose == 0:
			return
		case r.Kind == check.Command:
			fmt.Fprintf(w, "sent command %q", r.Command)
		case r.Kind == check.Host:
			fmt.Fprintf(w, "sent host %q, code %d", r.Host, r.Code)
		default:
			fmt.Fprintf(w, "sent service %q on host %q, code %d", r.Service, r.Host, r.Code)
		}
		if verbose > 1 && r.Kind != check.Command {
			fmt.Fprintf(w, ", output %q", r.Output)
		}
		fmt.Fprintln(w)
	}
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
	if r.Kind == check.Host {
		r.Code = check.HostCode(code)
	}
	r.Output = check.CutOutput(bytes.TrimRight(r.Output, " \t\r\n"), check.MaxOutput)
	if err := r.Validate(); err != nil {
		return check.Result{}, err
	}
	return r, nil
}
