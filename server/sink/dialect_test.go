package sink

import (
	"strings"
	"testing"

	"massive-passive/wire/check"
)

func TestDialects(t *testing.T) {
	const at = 1700000000999999
	service := func(output string) check.Result {
		return check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 1, Output: []byte(output), Finish: at}
	}
	host := func(code int32, output string) check.Result {
		return check.Result{Kind: check.Host, Host: "h", Code: code, Output: []byte(output), Finish: at}
	}
	const svc, hst = "[1700000000] PROCESS_SERVICE_CHECK_RESULT;h;s;1;", "[1700000000] PROCESS_HOST_CHECK_RESULT;h;"
	for _, c := range []struct {
		name                   string
		result                 check.Result
		nagios, naemon, icinga string
	}{
		{"empty", service(""), svc, svc + "(no output)", svc},
		{"plain", service("ok"), svc + "ok", svc + "ok", svc + "ok"},
		{"semicolon", service("a;b"), svc + "a;b", svc + "a;b", svc + "a;b"},
		{"perfdata", service("a|b=1"), svc + "a|b=1", svc + "a|b=1", svc + "a|b=1"},
		{"long output", service("a|x=1\nb\nc|y=2\nz=3"), svc + `a|x=1\nb\nc|y=2\nz=3`, svc + "a b c|x=1 y=2 z=3", svc + `a|x=1\nb\nc|y=2\nz=3`},
		{"backslash", service(`C:\new`), svc + `C:\\new`, svc + `C:\new`, svc + `C:\new`},
		{"a command behind a newline", service("a\n[1] DISABLE_NOTIFICATIONS"), svc + `a\n[1] DISABLE_NOTIFICATIONS`,
			svc + "a [1] DISABLE_NOTIFICATIONS", svc + `a\n[1] DISABLE_NOTIFICATIONS`},
		{"carriage returns", service("a\r\nb\rc"), svc + `a\nb\nc`, svc + "a b c", svc + `a\nb\nc`},
		{"NUL", service("a\x00b"), svc + "a b", svc + "a b", svc + "a b"},
		{"invalid UTF-8", service("a\xff\xfeb"), svc + "a\xff\xfeb", svc + "a\xff\xfeb", svc + "a\uFFFDb"},
		{"host up", host(0, "x\ny"), hst + `0;x\ny`, hst + "0;x y", hst + "0;x\ry"},
		{"host warning", host(1, "x"), hst + "0;x", hst + "0;x", hst + "0;x"},
		{"host critical", host(2, "x|p=1\ny"), hst + `1;x|p=1\ny`, hst + "1;x y|p=1", hst + "1;x|p=1\ry"},
		{"host unknown", host(3, "x"), hst + "1;x", hst + "1;x", hst + "1;x"},
		{"code out of range", check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 9, Finish: at},
			strings.Replace(svc, ";1;", ";3;", 1), strings.Replace(svc, ";1;", ";3;", 1) + "(no output)", strings.Replace(svc, ";1;", ";3;", 1)},
		{"negative code", check.Result{Kind: check.Service, Host: "h", Service: "s", Code: -1, Output: []byte("x"), Finish: at},
			strings.Replace(svc, ";1;", ";3;", 1) + "x", strings.Replace(svc, ";1;", ";3;", 1) + "x", strings.Replace(svc, ";1;", ";3;", 1) + "x"},
		{"raw command", check.Result{Kind: check.Command, Command: "A;b", Finish: at}, "[1700000000] A;b", "[1700000000] A;b", "[1700000000] A;b"},
	} {
		for dialect, want := range map[Dialect]string{Nagios: c.nagios, Naemon: c.naemon, Icinga: c.icinga} {
			got := string(dialect.appendLine([]byte("before"), &c.result))
			if got != "before"+want+"\n" {
				t.Errorf("%s, %s: got %q\nwant %q", c.name, dialect, got, "before"+want+"\n")
			}
		}
	}
}

func TestALineIsOneLine(t *testing.T) {
	all := make([]byte, 0, 512)
	for i := range 256 {
		all = append(all, byte(i), byte(255-i))
	}
	for _, dialect := range []Dialect{Nagios, Naemon, Icinga} {
		for _, kind := range []check.Kind{check.Service, check.Host} {
			line := dialect.appendLine(nil, &check.Result{Kind: kind, Host: "h", Service: "s", Output: all})
			if n := strings.Count(string(line), "\n"); n != 1 || line[len(line)-1] != '\n' {
				t.Errorf("%s, %s: %d newlines in %q", dialect, kind, n, line)
			}
			forbidden := "\r\x00"
			if dialect == Icinga && kind == check.Host {
				forbidden = "\x00"
			}
			if strings.ContainsAny(string(line), forbidden) {
				t.Errorf("%s, %s: a CR or NUL in %q", dialect, kind, line)
			}
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("a\nb|c\r\n\x00\\n"), true)
	f.Fuzz(func(t *testing.T, output []byte, isHost bool) {
		r := check.Result{Kind: check.Service, Host: "h", Service: "s", Output: output}
		if isHost {
			r.Kind, r.Service = check.Host, ""
		}
		for _, dialect := range []Dialect{Nagios, Naemon, Icinga} {
			line := string(dialect.appendLine(nil, &r))
			if strings.IndexAny(line, "\n\x00") != len(line)-1 {
				t.Fatalf("%s: %q is not one line", dialect, line)
			}
		}
		line := Nagios.appendLine(nil, &r)
		back, err := check.ParseLine(line)
		if err != nil {
			t.Fatalf("our own line does not parse: %v", err)
		}
		if want := strings.TrimRight(string(plain(output)), " \t"); string(back.Output) != want && len(back.Output) <= len(want) {
			if string(back.Output) != want {
				t.Fatalf("got %q back, want %q", back.Output, want)
			}
		}
	})
}

func TestGuessDialect(t *testing.T) {
	for path, want := range map[string]Dialect{
		"/run/icinga2/cmd/icinga2.cmd":        Icinga,
		"/var/lib/naemon/naemon.cmd":          Naemon,
		"/var/lib/nagios4/rw/nagios.cmd":      Nagios,
		"/var/lib/icinga/rw/icinga.cmd":       Nagios, // Icinga 1 unescapes as Nagios does
		"/usr/local/nagios/var/rw/nagios.cmd": Nagios,
		"/tmp/demo/pipe":                      Nagios,
	} {
		if got := GuessDialect(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for output, want := range map[string][3]string{
		"":                              {"", "", ""},
		"text":                          {"text", "", ""},
		"text | a=1 b=2":                {"text", "", "a=1 b=2"},
		"text|a=1\nlong\nmore|b=2\nc=3": {"text", "long\nmore", "a=1 b=2 c=3"},
		"text\nlong":                    {"text", "long", ""},
		"text\nlong|b=2":                {"text", "long", "b=2"},
		"|a=1":                          {"", "", "a=1"},
	} {
		p := split([]byte(output))
		if got := [3]string{string(p.text), string(p.long), string(p.perfdata)}; got != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}
