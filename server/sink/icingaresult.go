package sink

import (
	"bytes"
	"encoding/json"
	"strings"

	"massive-passive/wire/check"
)

// icingaResult is the body of a process-check-result. Times are seconds.
type icingaResult struct {
	Type            string  `json:"type"`
	Host            string  `json:"host,omitempty"`
	Service         string  `json:"service,omitempty"` // host!service
	ExitStatus      int32   `json:"exit_status"`
	PluginOutput    string  `json:"plugin_output"`
	PerformanceData string  `json:"performance_data,omitempty"`
	CheckSource     string  `json:"check_source,omitempty"`
	ExecutionStart  float64 `json:"execution_start"`
	ExecutionEnd    float64 `json:"execution_end"`
}

// icingaBody encodes a result for the API. What is no UTF-8 in it becomes
// replacement characters.
func icingaBody(it *item) ([]byte, error) {
	r := &it.result
	output, perfdata := splitPerfdata(plain(r.Output))
	b := icingaResult{Type: "Service", Service: r.Host + "!" + r.Service, ExitStatus: serviceState(r.Code), PluginOutput: output,
		PerformanceData: perfdata, CheckSource: it.client, ExecutionStart: float64(r.Start) / 1e6, ExecutionEnd: float64(r.Finish) / 1e6}
	if r.Kind == check.Host {
		b.Type, b.Host, b.Service, b.ExitStatus = "Host", r.Host, "", check.HostState(r.Code)
	}
	return json.Marshal(b)
}

// blanks are what Icinga takes off both ends of the output of its own checks.
const blanks = " \t\n\v\f\r"

// splitPerfdata divides an output as Icinga divides that of its own checks:
// what stands behind the first "|" of a line is perfdata if it has a "=". Blanks
// at both ends go, and lines without text before the first that has some: the
// API would take an empty first line for the short output.
func splitPerfdata(output []byte) (text, perfdata string) {
	output = bytes.Trim(output, blanks)
	if bytes.IndexByte(output, '|') < 0 {
		return string(output), ""
	}
	var texts, data []string
	for line := range strings.SplitSeq(string(output), "\n") {
		before, behind, found := strings.Cut(line, "|")
		if !found || !strings.Contains(behind, "=") {
			before = line
		} else {
			data = append(data, strings.Trim(behind, blanks))
		}
		if before != "" || len(texts) > 0 {
			texts = append(texts, before)
		}
	}
	return strings.Join(texts, "\n"), strings.Join(data, " ")
}
