package sink

import (
	"bytes"
	"strconv"

	"massive-passive/wire/check"
)

// appendRecord appends r as a record of a check-result file, with the empty
// line that ends it.
func (d Dialect) appendRecord(b []byte, r *check.Result) []byte {
	b = appendName(append(b, "host_name="...), r.Host)
	code := check.HostState(r.Code)
	if r.Kind == check.Service {
		b = appendName(append(b, "service_description="...), r.Service)
		code = serviceState(r.Code) // the core does not judge it here
	}
	b = append(b, "check_type=1\ncheck_options=0\nscheduled_check=0\nreschedule_check=0\nlatency=0.0\nstart_time="...)
	b = appendTime(b, r.Start)
	b = append(b, "\nfinish_time="...)
	b = appendTime(b, r.Finish)
	b = append(b, "\nearly_timeout=0\nexited_ok=1\nreturn_code="...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, "\noutput="...)
	b = d.appendRecordOutput(b, plain(r.Output))
	return append(b, "\n\n"...)
}

// appendName ends a line with a name. A backslash at the end would join the
// next line to it; of two, one is taken away.
func appendName(b []byte, name string) []byte {
	b = append(b, name...)
	if name[len(name)-1] == '\\' {
		b = append(b, '\\')
	}
	return append(b, '\n')
}

// appendRecordOutput appends the output on one line.
func (d Dialect) appendRecordOutput(b, output []byte) []byte {
	if d != Naemon {
		return appendEscaped(b, output, true)
	}
	// Naemon turns each `\n` into a newline and knows no way to write a
	// backslash before an n: of the two, a slash is nearer to what was meant.
	// It drops a record without output.
	output = bytes.ReplaceAll(output, []byte(`\n`), []byte(`/n`))
	if len(output) == 0 {
		return append(b, noOutput...)
	}
	b = appendEscaped(b, output, false)
	if output[len(output)-1] == '\\' {
		b = append(b, '\\') // as for names
	}
	return b
}

// appendTime appends microseconds since the Unix epoch as seconds with a dot.
func appendTime(b []byte, micro int64) []byte {
	micro = max(micro, 0)
	b = strconv.AppendInt(b, micro/1e6, 10)
	fraction := strconv.FormatInt(1e6+micro%1e6, 10)
	return append(append(b, '.'), fraction[1:]...)
}
