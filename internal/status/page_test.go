package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func serverPage(clients int) *Page {
	p := clientPage()
	p.Role, p.Client = "server", nil
	p.Destinations = p.Destinations[:1]
	p.Journal.Depth, p.Journal.OldestAge = 0, 0
	p.Server = &Server{Listed: clients, Connections: 1, Taken: 50, Duplicates: 2, Rejected: map[string]uint64{"malformed": 1}}
	for i := range clients {
		p.Server.Clients = append(p.Server.Clients, Heard{Name: fmt.Sprint("host-", i), Last: p.At.Add(-time.Duration(i) * time.Second)})
	}
	return p
}

func TestTextSaysWhatIsWrongFirst(t *testing.T) {
	p := clientPage()
	p.Client.BadFiles = []string{"a.cfg", "evil\x1b[2J\n.cfg"}
	lines := strings.Split(p.Text(false), "\n")
	for i, want := range []string{"massive-passive client: not well", "server two waits, with 9 results: 10.0.0.2:5678 refused",
		"2 check files wrong: a.cfg, evil?[2J?.cfg", "up 1d2h since", "9 results waiting, the oldest for 2m3s; 5.0 MiB of 1.0 GiB"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
	p = clientPage()
	p.Destinations[1].Waiting = ""
	if text := p.Text(false); !strings.HasPrefix(text, "massive-passive client: OK\n") {
		t.Errorf("all is well, but it says %s", text)
	}
}

func TestTextShowsTheClientsThatAreSilentForLongest(t *testing.T) {
	p := serverPage(100)
	p.Server.Clients[99].Connections = 1 // connected, and idle for long
	text := p.Text(false)
	if i, j := strings.Index(text, "host-98 "), strings.Index(text, "host-79 "); i < 0 || j < i {
		t.Errorf("the order is wrong:\n%s", text)
	}
	if strings.Contains(text, "host-78 ") || strings.Contains(text, "host-99 ") || !strings.Contains(text, "and 80 more") {
		t.Errorf("not the right ones are left out:\n%s", text)
	}
	if all := p.Text(true); strings.Count(all, "host-") != 100 {
		t.Error("--all does not show all")
	}
}

func TestJudge(t *testing.T) {
	limits := Thresholds{time.Minute, 5 * time.Minute}
	for name, c := range map[string]struct {
		limits Thresholds
		change func(*Page)
		want   State
	}{
		"young":                 {limits, func(p *Page) { p.Journal.OldestAge = 60 }, OK},
		"over warning":          {limits, func(p *Page) {}, Warning},
		"over critical":         {limits, func(p *Page) { p.Journal.OldestAge = 301 }, Critical},
		"only warning":          {Thresholds{Warning: time.Minute}, func(p *Page) { p.Journal.OldestAge = 1e6 }, Warning},
		"only critical":         {Thresholds{Critical: time.Hour}, func(p *Page) {}, OK},
		"refuses":               {limits, func(p *Page) { p.Journal.OldestAge, p.Journal.Refuses = 0, "full" }, Critical},
		"a bad check file":      {limits, func(p *Page) { p.Journal.OldestAge, p.Client.BadFiles = 0, []string{"x"} }, Warning},
		"a destination is away": {limits, func(p *Page) { p.Journal.OldestAge = 1 }, OK},
	} {
		p := clientPage()
		c.change(p)
		if got := c.limits.Judge(p); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestPluginLine(t *testing.T) {
	limits := Thresholds{time.Minute, 5 * time.Minute}
	p := clientPage()
	p.Destinations[1].Waiting = "it said | and\nmore"
	line, state := limits.Line([]*Page{p}, nil)
	want := "massive-passive WARNING: client has 9 results waiting, the oldest for 2m3s: server two waits, with 9 results: it said / and?more | " +
		"oldest_age=123s;60;300;0 depth=9;;;0 resting=0;;;0 bytes=5242880B;;;0;1073741824 dropped=0c given_up=4c rejected=3c skipped=7c late=1c timed_out=6c running=2;;;0 checks=12;;;0 bad_files=0;;;0"
	if line != want || state != Warning {
		t.Errorf("got %v %s\nwant %s", state, line, want)
	}
	line, state = limits.Line([]*Page{clientPage(), serverPage(1)}, []error{errors.New("nobody | there")})
	if state != Unknown || strings.Count(line, "|") != 1 || !strings.Contains(line, " client_depth=9;") || !strings.Contains(line, " server_rejected=4c") {
		t.Errorf("both: %v %s", state, line)
	}
	if line, state = limits.Line(nil, []error{errors.New("nobody")}); state != Unknown || line != "massive-passive UNKNOWN: nobody" {
		t.Errorf("nobody: %v %s", state, line)
	}
}

func TestWorse(t *testing.T) {
	order := []State{OK, Warning, Unknown, Critical}
	for i, a := range order {
		for j, b := range order {
			if got := worse(a, b); got != order[max(i, j)] {
				t.Errorf("of %v and %v the worse is %v", a, b, got)
			}
		}
	}
}

func TestRun(t *testing.T) {
	there, empty := t.TempDir(), t.TempDir()
	keeping(t, there, noFailure(t))
	await(t, there)
	for name, c := range map[string]struct {
		env    []string
		o      Options
		code   int
		stdout string
	}{
		"one of the defaults":    {[]string{empty, there}, Options{}, 0, "massive-passive client: not well"},
		"none of the defaults":   {[]string{empty, empty + "/no"}, Options{}, 3, ""},
		"named and not there":    {nil, Options{StateDirs: []string{there, empty}}, 3, "massive-passive client: not well"},
		"a plugin":               {[]string{there}, Options{Thresholds: Thresholds{Warning: time.Minute}}, 1, "massive-passive WARNING"},
		"a plugin, all is well":  {[]string{there}, Options{Thresholds: Thresholds{Warning: time.Hour}}, 0, "massive-passive OK"},
		"a plugin without reply": {[]string{empty}, Options{Thresholds: Thresholds{Warning: time.Hour}}, 3, "massive-passive UNKNOWN: no client or server"},
		"senseless thresholds":   {[]string{there}, Options{Thresholds: Thresholds{Warning: 2, Critical: 1}}, 3, ""},
	} {
		var out bytes.Buffer
		err := Run(t.Context(), Env{&out, c.env}, c.o)
		code := 0
		var coded interface{ ExitCode() int }
		if errors.As(err, &coded) {
			code = coded.ExitCode()
		}
		if code != c.code || !strings.HasPrefix(out.String(), c.stdout) || c.stdout == "" && out.Len() > 0 {
			t.Errorf("%s: code %d, %v, said %q", name, code, err, out.String())
		}
	}
	var out bytes.Buffer
	if err := Run(t.Context(), Env{&out, nil}, Options{StateDirs: []string{there}, JSON: true}); err != nil {
		t.Fatal(err)
	}
	var page Page
	if err := json.Unmarshal(out.Bytes(), &page); err != nil || page.PID != 77 {
		t.Errorf("JSON: %v, %+v", err, page)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 400 * time.Millisecond: "0s", 123 * time.Second: "2m3s", 120 * time.Second: "2m",
		time.Hour: "1h", 24 * time.Hour: "1d0s", 49*time.Hour + time.Minute: "2d1h1m", -time.Second: "0s", 10 * time.Minute: "10m"} {
		if got := age(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
