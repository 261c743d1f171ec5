package access

import (
	"errors"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// listed is a directory with one client, web1, whose certificate has this
// common name, and with this policy for it; "": none.
func listed(t *testing.T, commonName, policy string, forAll ...string) (*Directory, []Problem) {
	t.Helper()
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, file := issue(t, authority, commonName)
	list(t, dir, "web1.pem", file)
	if policy != "" {
		if err := os.WriteFile(filepath.Join(dir, "web1.json"), []byte(policy), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commands, err := ParseCommands(forAll)
	if err != nil {
		t.Fatal(err)
	}
	d, problems, err := Open(t.Context(), dir, commands)
	if err != nil {
		t.Fatal(err)
	}
	return d, problems
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, policy  string
		forAll        []string
		good, refused string // "host", "host/service" or a command behind ":"
	}{
		{"no policy", "", nil, "h h/s", ":DISABLE_NOTIFICATIONS :SHUTDOWN_PROGRAM"},
		{"commands for all", "", []string{"ACKNOWLEDGE_*", "!ACKNOWLEDGE_HOST*"}, "h h/s :ACKNOWLEDGE_SVC_PROBLEM;h;s", ":ACKNOWLEDGE_HOST_PROBLEM;h :DISABLE_NOTIFICATIONS"},
		{"exclusions alone allow the rest", "", []string{"!SHUTDOWN_PROGRAM", "!RESTART_PROGRAM"}, ":ENABLE_NOTIFICATIONS", ":SHUTDOWN_PROGRAM :RESTART_PROGRAM"},
		{"hosts", `{"hosts": ["web*", "!web9"]}`, nil, "web1 web1/s web", "web9 db1 db1/s web9/s xweb1 WEB1"},
		{"services", `{"services": ["disk [a-z]", "load"]}`, nil, "h h/load h/disk\u00a0x", "h/Load h/disk h/disk\u00a0X"},
		{"a slash is a character", `{"services": ["/var*"]}`, nil, "h/" + "/var/log", "h/var"},
		{"no hosts at all", `{"hosts": []}`, nil, "", "h h/s"},
		{"host checks only", `{"services": []}`, nil, "h", "h/s"},
		{"its own name", `{"hosts": ["$CN", "$CN-*"]}`, nil, "a*b a*b-eth0 a*b/s", "axb a b axb-eth0"},
		{"commands", `{"commands": ["ADD_HOST_COMMENT;$CN;*", "DEL_*"]}`, []string{"ENABLE_*"}, "h h/s :ADD_HOST_COMMENT;a*b;1 :DEL_X", ":ADD_HOST_COMMENT;h;1 :ADD_HOST_COMMENT :ENABLE_X"},
		{"commands for all stay", `{"hosts": ["h"]}`, []string{"ENABLE_*"}, "h :ENABLE_X", "x :DISABLE_X"},
		{"no commands", `{"commands": []}`, []string{"*"}, "h", ":ENABLE_X"},
	} {
		d, problems := listed(t, "a*b", c.policy, c.forAll...)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.name, problems)
		}
		for text, want := range map[string]bool{c.good: true, c.refused: false} {
			for _, what := range strings.Fields(strings.ReplaceAll(text, "\u00a0", "\x00")) {
				r := result(strings.ReplaceAll(what, "\x00", " "))
				err := d.Judge("web1", &r)
				var denied *DeniedError
				if (err == nil) != want || err != nil && !errors.As(err, &denied) {
					t.Errorf("%s: %q: %v", c.name, what, err)
				}
			}
		}
	}
}

func result(what string) check.Result {
	if command, ok := strings.CutPrefix(what, ":"); ok {
		return check.Result{Kind: check.Command, Command: command}
	}
	if host, service, ok := strings.Cut(what, "/"); ok {
		return check.Result{Kind: check.Service, Host: host, Service: service}
	}
	return check.Result{Kind: check.Host, Host: what}
}

// A policy that cannot be read as it stands refuses the client, and nobody
// else, until it is mended.
func TestBadPolicies(t *testing.T) {
	for says, policy := range map[string]string{
		"no JSON object":        `["web*"]`,
		"EOF":                   " ",
		"no good JSON":          `{"hosts": ["a"]`,
		"goes on":               `{"hosts": ["a"]} {}`,
		"none of":               `{"host": ["a"]}`,
		"twice":                 `{"hosts": ["a"], "hosts": ["b"]}`,
		"not null":              `{"hosts": null}`,
		`"services": give a`:    `{"services": "a"}`,
		`"hosts": give a`:       `{"hosts": ["a", 1]}`,
		"is empty":              `{"hosts": ["!"]}`,
		`pattern \"\"`:          `{"hosts": [""]}`,
		"without its ]":         `{"hosts": ["web[0-9"]}`,
		"the wrong way round":   `{"hosts": ["web[9-0]"]}`,
		"ends in a backslash":   `{"hosts": ["web\\"]}`,
		"longer than":           `{"hosts": ["` + strings.Repeat("a", maxPattern+1) + `"]}`,
		"more than 10000":       `{"hosts": ["a"` + strings.Repeat(`,"a"`, maxPatterns) + `]}`,
		"more than 1048576 by":  strings.Repeat(" ", maxPolicy) + "{}",
		"no command's name":     `{"commands": ["*", "!X?web9*"]}`,
		"ends a command's name": `{"commands": ["*", "!X[;]WEB9*"]}`,
	} {
		d, problems := listed(t, "web1", policy)
		says = strings.ReplaceAll(says, `\"`, `"`)
		if len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), says) || !strings.HasSuffix(problems[0].File, "web1.json") {
			t.Errorf("%.40q: %v does not say %q", policy, problems, says)
		}
		var bad *PolicyError
		if err := d.Judge("web1", &check.Result{Kind: check.Host, Host: "h"}); !errors.As(err, &bad) || bad.Client != "web1" {
			t.Errorf("%.40q: judged %v", policy, err)
		}
		own, err := certs.ReadFile(filepath.Join(d.path, "web1.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Client(own[0]); !errors.As(err, &bad) {
			t.Errorf("%.40q: let in with %v", policy, err)
		}
		if err := os.WriteFile(problems[0].File, []byte(`{"hosts": ["h"]}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if problems, err := d.Reload(t.Context()); len(problems) > 0 || err != nil {
			t.Errorf("mended: %v, %v", problems, err)
		}
		if err := d.Judge("web1", &check.Result{Kind: check.Host, Host: "h"}); err != nil {
			t.Errorf("mended: %v", err)
		}
	}
	d, _ := listed(t, "web1", "")
	if err := d.Judge("web2", &check.Result{Kind: check.Host, Host: "h"}); !errors.Is(err, ErrNotListed) {
		t.Errorf("a client that is gone: %v", err)
	}
	if _, err := ParseCommands([]string{"X;$CN"}); err == nil {
		t.Error("$CN for all clients was taken")
	}
}

// The matcher agrees with the standard library's, which knows the same
// patterns but for slashes and "!".
func TestPatternsAgreeWithPathMatch(t *testing.T) {
	tokens := []string{"a", "b", "ab", "*", "*", "?", "[ab]", "[^a]", "[a-c]", `\*`, `[\]x]`, "ü", "[ä-ü]"}
	letters := []string{"a", "b", "c", "*", "]", "x", "ü", "é"}
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(from []string, most int) string {
		var b strings.Builder
		for range random.IntN(most + 1) {
			b.WriteString(from[random.IntN(len(from))])
		}
		return b.String()
	}
	matched := 0
	for range 50000 {
		text, pattern := draw(letters, 6), draw(tokens, 6)
		p, err := parsePattern(pattern)
		if pattern == "" {
			continue
		}
		want, wantErr := path.Match(pattern, text)
		if err != nil || wantErr != nil {
			t.Fatalf("%q: %v, %v", pattern, err, wantErr)
		}
		if got := p.match(text); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 500 {
		t.Errorf("only %d matched: this test tries too little", matched)
	}
}

// FuzzPolicy: a policy that parses lets no command pass that it does not name,
// and a client's name in it stands for itself alone.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"hosts": ["web*", "!web9"], "services": ["[a-z]?"], "commands": ["ADD_*;$CN;*"]}`, "web1", "web1")
	f.Add(`{"hosts": ["$CN"]}`, "a*[b", "axb")
	f.Add(`{"hosts": []}`, "", "h")
	f.Fuzz(func(t *testing.T, data, name, host string) {
		p, _, err := parsePolicy([]byte(data), []string{name})
		if (err == nil) == (p == nil) {
			t.Fatalf("%v with %v", p, err)
		}
		if err == nil && p.commands == nil && p.judge("c", &check.Result{Kind: check.Command, Command: "X;" + host}, "", &Commands{}) == "" {
			t.Error("a command passed that nobody allowed")
		}
		own, err := parsePatterns([]string{commonName}, []string{name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ToValidUTF8(name, "") == name && own.match(host) != (name == host && name != "") {
			t.Errorf("%q as $CN and the host %q: %v", name, host, own.match(host))
		}
	})
}

// An exclusion of $CN that can exclude nobody lets nobody in.
func TestAnExclusionNeedsACommonName(t *testing.T) {
	if _, problems := listed(t, "", `{"hosts": ["*", "!$CN"]}`); len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), "exclude nothing") {
		t.Errorf("problems: %v", problems)
	}
	if _, problems := listed(t, "", `{"hosts": ["*", "$CN"]}`); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
}

// A mistake is told with its line and column, as those in check files are.
func TestBadPoliciesArePointedAt(t *testing.T) {
	for policy, at := range map[string]string{
		"{\n  \"hosts\": [\"a\"],\n  \"servces\": [\"b\"]\n}": ":3:3: ",
		"{\"hosts\": [\"a\"]} {}":                             ":1:18: ",
		"\n [\"a\"]":                                          ":2:2: ",
		"{\n\"hosts\": [\"é\", 1]}":                           ":2:1: ",
		"{\n\"hosts\": [\"a\"],\n  x}":                        ":3:3: ",
	} {
		_, problems := listed(t, "web1", policy)
		if len(problems) != 1 || problems[0].Refused != "web1" || !strings.Contains(problems[0].Err.Error(), "web1.json"+at) {
			t.Errorf("%q: %v, want %s", policy, problems, at)
		}
	}
}

// A certificate under a name that does not count is no riddle.
func TestOtherSuffixesAreNamed(t *testing.T) {
	authority, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, file := issue(t, authority, "web1")
	list(t, dir, "web1.crt", file)
	list(t, dir, "web2.crt", file)
	list(t, dir, "web2.pem", file)
	_, problems, err := Open(t.Context(), dir, Commands{})
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), "name it web1.pem") {
		t.Errorf("%v, %v", problems, err)
	}
}

// A copy of a certificate under another name does not take its policy away.
func TestOfTwoNamesTheOneWithAPolicyCounts(t *testing.T) {
	d, _ := listed(t, "web1", `{"hosts": ["web1"]}`)
	data, err := os.ReadFile(filepath.Join(d.path, "web1.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.path, "a-copy.pem"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	problems, err := d.Reload(t.Context())
	if err != nil || len(problems) != 1 || !strings.HasSuffix(problems[0].File, "a-copy.pem") {
		t.Errorf("%v, %v", problems, err)
	}
	d.Certificates(func(name string, _ Certificate) {
		if name != "web1" {
			t.Errorf("it counts as %q", name)
		}
	})
}

// A host's address excludes it as its name does, but allows it only as written.
func TestHostsWithAnAddress(t *testing.T) {
	for _, c := range []struct {
		hosts         string
		name, address string
		want          bool
	}{
		{`"!db9"`, "db9", "192.0.2.9", false},
		{`"!db9"`, "db8", "192.0.2.9", true},
		{`"!192.0.2.9"`, "db9", "192.0.2.9", false},
		{`"!192.0.2.9"`, "db9", "", true},
		{`"!192.*"`, "db9", "192.0.2.9", false},
		{`"db9"`, "db9", "192.0.2.9", true},
		{`"192.0.2.9"`, "db9", "192.0.2.9", true},
		{`"192.0.2.9", "!db9"`, "db9", "192.0.2.9", false},
		{`"192.0.2.*"`, "db9", "192.0.2.9", false},
		{`"*.example.org"`, "db9", "db9.example.org", false},
		{`"192.0.2.[9]"`, "db9", "192.0.2.9", false},
		{``, "db9", "192.0.2.9", false},
	} {
		p, _, err := parsePolicy([]byte(`{"hosts": [`+c.hosts+`]}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := check.Result{Kind: check.Host, Host: c.name}
		why := p.judge("c", &r, c.address, &Commands{})
		if (why == "") != c.want {
			t.Errorf("%s: host %s at %q is judged %q, want it allowed: %v", c.hosts, c.name, c.address, why, c.want)
		}
		if why != "" && c.address != "" && !strings.Contains(why, c.address) {
			t.Errorf("%s: the reason does not name the address: %s", c.hosts, why)
		}
	}
}

func TestNamesOnly(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`:                             true,
		`{"services": ["!x", "y*"]}`:     true,
		`{"hosts": []}`:                  true,
		`{"hosts": ["a", "b", "\\*"]}`:   true,
		`{"hosts": ["$CN"]}`:             true,
		`{"hosts": ["*"]}`:               true,
		`{"hosts": ["!b"]}`:              false,
		`{"hosts": ["a", "!b"]}`:         false,
		`{"hosts": ["a*"]}`:              false,
		`{"hosts": ["a?"]}`:              false,
		`{"hosts": ["a", "[b]"]}`:        false,
		`{"hosts": ["$CN.example.org"]}`: true,
	} {
		p, _, err := parsePolicy([]byte(text), []string{"web*1"})
		if err != nil {
			t.Fatal(err)
		}
		if p.namesOnly() != want {
			t.Errorf("%s: only names: %v, want %v", text, !want, want)
		}
	}
}
