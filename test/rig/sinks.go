package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the tests of both cores' doors (pipe, check-result directory, API) have in common.

// awkward is an output as it is written to a core, and what the core then holds of it.
type Awkward struct {
	Written                      string
	Output, LongOutput, Perfdata string
}

// Check compares what a core holds of object with what it should.
func (a Awkward) Check(t *testing.T, door string, readings map[ObjectName]Reading, object ObjectName) {
	t.Helper()
	got, ok := readings[object]
	if !ok || got.LastCheck.IsZero() {
		t.Errorf("%s: %s was not taken", door, Brief(a.Written))
		return
	}
	if got.Output != a.Output || got.LongOutput != a.LongOutput || got.Perfdata != a.Perfdata {
		t.Errorf("%s: %s was read back as output %s, long output %s, perfdata %s; want %s, %s, %s", door, Brief(a.Written),
			Brief(got.Output), Brief(got.LongOutput), Brief(got.Perfdata), Brief(a.Output), Brief(a.LongOutput), Brief(a.Perfdata))
	}
}

// Brief quotes the two ends of a text.
func Brief(s string) string {
	if len(s) <= 80 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…%q (%d bytes)", s[:20], s[len(s)-10:], len(s))
}

// DoorObject names the object that the result number i is sent to through a door.
func DoorObject(door string, i int, host bool) ObjectName {
	if host {
		return ObjectName{Host: fmt.Sprintf("%s host %d", door, i)}
	}
	return ObjectName{door, fmt.Sprintf("service %d", i)}
}

// DoorHosts is the configuration for the objects that doorObject names.
func DoorHosts(door string, results int) []Host {
	hosts := []Host{{Name: door}}
	for i := range results {
		hosts = append(hosts, Host{Name: DoorObject(door, i, true).Host})
		hosts[0].Services = append(hosts[0].Services, DoorObject(door, i, false).Service)
	}
	return hosts
}

// ResultCommand is the external command for a result.
func ResultCommand(o ObjectName, code, output string) string {
	if o.Service == "" {
		return fmt.Sprintf("PROCESS_HOST_CHECK_RESULT;%s;%s;%s", o.Host, code, output)
	}
	return fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;%s;%s", o.Host, o.Service, code, output)
}

// ResultRecord is a result as it stands in a check-result file.
func ResultRecord(o ObjectName, code, output string, at time.Time) string {
	service := ""
	if o.Service != "" {
		service = "service_description=" + o.Service + "\n"
	}
	seconds := float64(at.UnixMicro()) / 1e6
	return fmt.Sprintf("host_name=%s\n%scheck_type=1\ncheck_options=0\nscheduled_check=0\nreschedule_check=0\nlatency=0.0\n"+
		"start_time=%.6f\nfinish_time=%.6f\nearly_timeout=0\nexited_ok=1\nreturn_code=%s\noutput=%s\n\n",
		o.Host, service, seconds, seconds, code, output)
}

// These tests send awkward outputs through the whole program, by each door of each core, and read back what the core
// then believes. What the doors make of them without the program, the tests of the rigs say.

// deliverTo puts other sinks in the place of the pair's command file.
func (p *Pair) DeliverTo(args ...string) {
	i := slices.Index(p.ServerArgs, "--command-file")
	p.ServerArgs = append(slices.Delete(p.ServerArgs, i, i+4), args...)
}

const (
	NagiosPipe, NagiosDirectory      = "nagios pipe", "nagios directory"
	IcingaPipeDoor, IcingaAPIDoor    = "icinga pipe", "icinga api"
	IcingaPipeHost, SendFieldDivider = "icinga pipe, host", "\x02"
)

// Send sends sets whose fields are divided by sendFieldDivider.
func (p *Pair) Send(sets string) {
	p.T.Helper()
	code, _, problems := Program(p.T, sets, "massive-passive-send", "-H", "127.0.0.1", "-p", fmt.Sprint(p.Port), "-d", "0x02", "-to", "60", "--ssl-verify", "ca",
		"--ssl-ca-cert", p.Set.CA, "--ssl-cert", p.Set.ClientCert, "--ssl-key", p.Set.ClientKey)
	if code != 0 {
		p.T.Fatalf("send: exit code %d: %s", code, problems)
	}
}

// APISink is what a server needs to deliver by the rig's API.
func (r *IcingaRig) APISink(t *testing.T) []string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(IcingaPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--sink", strings.Replace(r.APIURL(), "https://", "icinga2:https://"+IcingaUser+"@", 1),
		"--icinga2-password-file", password, "--icinga2-ca-file", filepath.Join(r.Dir, "data/certs/ca.crt"), "--icinga2-server-name", IcingaNode}
}
