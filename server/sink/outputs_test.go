package sink

import (
	"encoding/json"
	"strings"
	"testing"

	"massive-passive/wire/check"
)

// written is how each door of each core gets an output; "" stands for the one
// before it, none for nothing at all.
type written struct {
	output     string
	nagios     string // pipe and directory
	naemonPipe string
	naemonDir  string
	icinga     string // pipe, for services
	icingaHost string // pipe, for hosts
	api        string
	perfdata   string // of the API
}

const none = "none"

func outputsAsWritten() []written {
	long := strings.Repeat("y", 1<<20)
	return []written{
		{output: "plain", nagios: "plain"},
		{output: "", nagios: none, naemonPipe: "(no output)", icinga: none},
		{output: "\nsecond", nagios: `\nsecond`, naemonPipe: " second", naemonDir: `\nsecond`, icingaHost: "\rsecond", api: "second"},
		{output: "one\ntwo\n\nthree", nagios: `one\ntwo\n\nthree`, naemonPipe: "one two  three", naemonDir: `one\ntwo\n\nthree`,
			icingaHost: "one\rtwo\r\rthree", api: "one\ntwo\n\nthree"},
		{output: "a\r\nb\rc", nagios: `a\nb\nc`, naemonPipe: "a b c", naemonDir: `a\nb\nc`, icingaHost: "a\rb\rc", api: "a\nb\nc"},
		{output: `C:\new \t`, nagios: `C:\\new \\t`, naemonPipe: `C:\new \t`, naemonDir: `C:/new \t`, icinga: `C:\new \t`},
		{output: `end\`, nagios: `end\\`, naemonPipe: `end\`, naemonDir: `end\\`, icinga: `end\`},
		{output: "a;b|p=1;2\nc;d|q=3", nagios: `a;b|p=1;2\nc;d|q=3`, naemonPipe: "a;b c;d|p=1;2 q=3", naemonDir: `a;b|p=1;2\nc;d|q=3`,
			icingaHost: "a;b|p=1;2\rc;d|q=3", api: "a;b\nc;d", perfdata: "p=1;2 q=3"},
		{output: "|p=1", nagios: "|p=1", api: none, perfdata: "p=1"},
		{output: "x|no perfdata", nagios: "x|no perfdata"},
		{output: "a\n[1] DISABLE_NOTIFICATIONS", nagios: `a\n[1] DISABLE_NOTIFICATIONS`, naemonPipe: "a [1] DISABLE_NOTIFICATIONS",
			naemonDir: `a\n[1] DISABLE_NOTIFICATIONS`, icingaHost: "a\r[1] DISABLE_NOTIFICATIONS", api: "a\n[1] DISABLE_NOTIFICATIONS"},
		{output: "a\nreturn_code=2\n\nhost_name=x", nagios: `a\nreturn_code=2\n\nhost_name=x`, naemonPipe: "a return_code=2  host_name=x",
			naemonDir: `a\nreturn_code=2\n\nhost_name=x`, icingaHost: "a\rreturn_code=2\r\rhost_name=x", api: "a\nreturn_code=2\n\nhost_name=x"},
		{output: "a\x00b", nagios: "a b"},
		{output: "\a\x1b[1m\x7f\v\t.", nagios: "\a\x1b[1m\x7f\v\t."},
		{output: "a\xff\xfe.", nagios: "a\xff\xfe.", icinga: "a\uFFFD.", api: "a\uFFFD\uFFFD."},
		{output: "grün €\u2028<&>`~$\"'", nagios: "grün €\u2028<&>`~$\"'"},
		{output: long, nagios: long},
	}
}

// fill puts in what is said once for several doors.
func (w written) fill() written {
	before := w.nagios
	for _, door := range []*string{&w.nagios, &w.naemonPipe, &w.naemonDir, &w.icinga, &w.icingaHost, &w.api} {
		if *door == "" {
			*door = before
		}
		before = *door
		if *door == none {
			*door = ""
		}
	}
	return w
}

// TestEveryOutputByEveryDoor says how each door of each core gets each awkward output.
func TestEveryOutputByEveryDoor(t *testing.T) {
	for _, w := range outputsAsWritten() {
		w = w.fill()
		service := check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 7, Output: []byte(w.output), Start: 1_000_002, Finish: 2_500_000}
		host := check.Result{Kind: check.Host, Host: "h", Code: 2, Output: []byte(w.output), Start: 1_000_002, Finish: 2_500_000}
		for dialect, outputs := range map[Dialect][2]string{Nagios: {w.nagios, w.nagios}, Naemon: {w.naemonPipe, w.naemonPipe}, Icinga: {w.icinga, w.icingaHost}} {
			equal(t, string(dialect)+" pipe", string(dialect.appendLine(nil, &service)), "[2] PROCESS_SERVICE_CHECK_RESULT;h;s;3;"+outputs[0]+"\n")
			equal(t, string(dialect)+" pipe, host", string(dialect.appendLine(nil, &host)), "[2] PROCESS_HOST_CHECK_RESULT;h;1;"+outputs[1]+"\n")
		}
		const middle = "check_type=1\ncheck_options=0\nscheduled_check=0\nreschedule_check=0\nlatency=0.0\n" +
			"start_time=1.000002\nfinish_time=2.500000\nearly_timeout=0\nexited_ok=1\n"
		for dialect, output := range map[Dialect]string{Nagios: w.nagios, Naemon: w.naemonDir} {
			equal(t, string(dialect)+" directory", string(dialect.appendRecord(nil, &service)),
				"host_name=h\nservice_description=s\n"+middle+"return_code=3\noutput="+output+"\n\n")
			equal(t, string(dialect)+" directory, host", string(dialect.appendRecord(nil, &host)),
				"host_name=h\n"+middle+"return_code=1\noutput="+output+"\n\n")
		}
		for _, r := range []check.Result{service, host} {
			body, err := icingaBody(&item{client: "cl", result: r})
			if err != nil {
				t.Fatal(err)
			}
			var got icingaResult
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			want := icingaResult{Type: "Service", Service: "h!s", ExitStatus: 3, PluginOutput: w.api, PerformanceData: w.perfdata, CheckSource: "cl",
				ExecutionStart: 1.000002, ExecutionEnd: 2.5}
			if r.Kind == check.Host {
				want.Type, want.Host, want.Service, want.ExitStatus = "Host", "h", "", 1
			}
			if got != want {
				t.Errorf("icinga api: got %+v\nwant %+v", got, want)
			}
		}
	}
}

func equal(t *testing.T, door, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %.300q\nwant %.300q", door, got, want)
	}
}

// A name that ends with a backslash must not join the next line to its own.
func TestRecordNames(t *testing.T) {
	r := check.Result{Kind: check.Service, Host: `h\`, Service: `C:\\`, Output: []byte("x")}
	for _, dialect := range []Dialect{Nagios, Naemon} {
		if got := string(dialect.appendRecord(nil, &r)); !strings.HasPrefix(got, `host_name=h\\`+"\n"+`service_description=C:\\\`+"\n") {
			t.Errorf("%s: %q", dialect, got)
		}
	}
}

// Whatever an output holds, a record is as many lines as it must be.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("a\n\nhost_name=x\r\\"), "h", "s")
	f.Fuzz(func(t *testing.T, output []byte, host, service string) {
		r := check.Result{Kind: check.Service, Host: host, Service: service, Output: output}
		if r.Validate() != nil {
			return
		}
		for _, dialect := range []Dialect{Nagios, Naemon} {
			text := string(dialect.appendRecord(nil, &r))
			lines := strings.Split(text, "\n")
			if len(lines) != 15 || strings.ContainsAny(text, "\r\x00") {
				t.Fatalf("%s: %q is not one record", dialect, text)
			}
			for _, line := range lines {
				// One at the end joins the next line; of two, one stays and nothing is joined.
				if strings.HasSuffix(line, `\`) && !strings.HasSuffix(line, `\\`) {
					t.Fatalf("%s: the line %q is not the last of its own", dialect, line)
				}
			}
		}
	})
}
