//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"fmt"
	"strings"
	"testing"
)

// expectation is what a check must look like in the core. Parts that a real
// plugin decides are prefixes or left empty.
type expectation struct {
	command  any
	keys     map[string]any
	host     bool
	state    int
	output   string // a prefix
	long     string // a part
	perfdata string // a part
}

const plugins = "/usr/lib/nagios/plugins/"

// realChecks are plugins as people run them, and what is meant to harm.
func realChecks(port int) []expectation {
	return []expectation{
		{command: plugins + "check_dummy 0 fine", output: "OK: fine"},
		{command: plugins + "check_dummy 1 hm", state: 1, output: "WARNING: hm"},
		{command: []string{plugins + "check_dummy", "2", "a list; of | words"}, state: 2, output: "CRITICAL: a list"},
		{command: plugins + "check_load -w 900,900,900 -c 999,999,999", output: "LOAD OK", perfdata: "load1="},
		{command: plugins + "check_disk -w 0 -c 0 -p /", output: "DISK OK", perfdata: "/="},
		{command: fmt.Sprintf("%scheck_tcp -H 127.0.0.1 -p %d", plugins, port), output: "TCP OK", perfdata: "time="},
		{command: `/usr/bin/printf 'first|a=1\nsecond line\nthird|b=2\n'`, output: "first", long: "second line\nthird", perfdata: "a=1 b=2"},
		{command: "sleep 30", keys: map[string]any{"timeout": 1, "env": map[string]string{"PATH": "/bin:/usr/bin"}}, state: 3, output: "UNKNOWN: ", long: ""},
		{command: "/nowhere/check_missing", state: 3, output: "UNKNOWN: "},
		{command: `/usr/bin/printf 'harmless\n[1] DISABLE_NOTIFICATIONS\n[1] PROCESS_SERVICE_CHECK_RESULT;h0;s0;2;forged\n'`,
			output: "harmless", long: "DISABLE_NOTIFICATIONS"},
		{command: `/usr/bin/printf 'a;b\000c\377d \033[31m'`, output: "a"},
		{command: "/bin/echo 'hello this is an environment test: $TESTERTEST'", keys: map[string]any{"env": map[string]string{"TESTERTEST": "moep!"}},
			output: "hello this is an environment test: moep!"},
		{command: `/usr/bin/printf 'long\n%09000d\n' 7`, output: "long", long: strings.Repeat("0", 8000) + ""},
		{command: "/bin/sh -c 'exit 2'", state: 2},
		{command: "echo one two | tr a-z A-Z", output: "ONE TWO", keys: map[string]any{"env": map[string]string{"PATH": "/bin:/usr/bin"}}},
	}
}

const mainJobChecks = 200

// mainJob writes 200 checks at 5 s and the hosts that the core needs for them.
func mainJob(p *rig.Pair) (wants map[rig.ObjectName]expectation) {
	wants = map[rig.ObjectName]expectation{}
	kinds := realChecks(p.Port)
	for i := range mainJobChecks {
		want := kinds[i%len(kinds)]
		object := rig.ObjectName{fmt.Sprintf("h%d", i/20), fmt.Sprintf("s%d", i%20)}
		keys := map[string]any{"check_description": object.Service, "check_hostname": object.Host, "check_type": "service_check",
			"interval": 5, "command": want.command}
		for k, v := range want.keys {
			keys[k] = v
		}
		wants[object] = want
		p.AddCheck(fmt.Sprint("check", i), keys)
	}
	p.AddCheck("host", map[string]any{"check_hostname": "h1", "check_type": "host_check", "interval": 5,
		"command": plugins + "check_dummy 2 unreachable"})
	wants[rig.ObjectName{"h1", ""}] = expectation{host: true, state: 1, output: "CRITICAL: unreachable"}
	return wants
}

func mainJobHosts() (hosts []rig.Host) {
	for h := range mainJobChecks / 20 {
		host := rig.Host{Name: fmt.Sprint("h", h)}
		for s := range 20 {
			host.Services = append(host.Services, fmt.Sprint("s", s))
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// arrived says what is not yet, or not right, in the core.
func arrived(readings map[rig.ObjectName]rig.Reading, wants map[rig.ObjectName]expectation) error {
	for object, want := range wants {
		got, there := readings[object]
		switch {
		case !there || got.LastCheck.IsZero():
			return fmt.Errorf("%v has no result", object)
		case got.State != want.state || !strings.HasPrefix(got.Output, want.output) || !strings.Contains(got.LongOutput, want.long) ||
			!strings.Contains(got.Perfdata, want.perfdata):
			return fmt.Errorf("%v is %.300q\nwant %.300q", object, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
	}
	return nil
}

func TestE2EMainJobNagios(t *testing.T) {
	r := rig.NewNagiosRig(t, mainJobHosts())
	p := rig.NewPair(t, r.CommandFile(), "nagios")
	wants := mainJob(p)
	r.Start()
	p.StartServer()
	p.StartClient()
	r.Await("all 200 checks in Nagios", func(got map[rig.ObjectName]rig.Reading) error { return arrived(got, wants) })
}

func TestE2EMainJobIcinga(t *testing.T) {
	r := rig.NewIcingaRig(t, mainJobHosts())
	p := rig.NewPair(t, r.CommandFile(), "icinga")
	wants := mainJob(p)
	r.Start()
	p.StartServer()
	p.StartClient()
	r.Await("all 200 checks in Icinga", func(got map[rig.ObjectName]rig.Reading) error { return arrived(got, wants) })
}
