//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// apiUsers writes API users with the rig's password.
func apiUsers(permissions map[string]string) string {
	var b strings.Builder
	for user, list := range permissions {
		fmt.Fprintf(&b, "object ApiUser %q {\n\tpassword = %q\n\tpermissions = %s\n}\n", user, rig.IcingaPassword, list)
	}
	return b.String()
}

// as are the server's options for another API user than the rig's.
func as(user string, options []string) []string {
	options = slices.Clone(options)
	options[1] = strings.Replace(options[1], rig.IcingaUser+"@", user+"@", 1)
	return options
}

// TestE2EAPIUserWithoutPermissions: Icinga 2.13.6 answers such a user as if it had no such object, and what it
// answered so must not be given up.
func TestE2EAPIUserWithoutPermissions(t *testing.T) {
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"s", "t"}}}, apiUsers(map[string]string{
		"none":     `[ ]`,
		"status":   `[ "status/query" ]`,
		"results":  `[ "actions/process-check-result" ]`,
		"wildcard": `[ "actions/*", "status/*" ]`,
		"filtered": `[ { permission = "actions/process-check-result", filter = {{ service.name == "s" }} }, "status/query" ]`,
	}))
	r.Start()
	options := r.APISink(t)
	for user, want := range map[string]struct {
		code int
		said string
	}{
		"none":     {1, "give it the permission actions/process-check-result (it has none)"},
		"status":   {1, "give it the permission actions/process-check-result (it has status/query)"},
		"results":  {0, `give the API user "results" the permission status/query as well`},
		"wildcard": {0, "open: results may be handed in\n"},
		"filtered": {0, "but for the objects that the filter on the user's permission leaves out"},
	} {
		checkConfig(rig.NewPair(t, "unused", "nagios"), want.code, []string{want.said}, as(user, options)...)
	}
	p := startServerFor(t, as("results", options)...)
	p.Send(result("s", "first"))
	awaitOutput(r, "s", "first")
	setPermissions(r, "results", "status/query")
	p.Send(result("s", "second"))
	p.Send(result("nosuch", "x"))
	rig.Eventually(t, rig.ReadingLimit, "the server names the permission", func() error {
		if said := p.Server.Words(); !strings.Contains(said, "give it the permission actions/process-check-result") {
			return fmt.Errorf("it says\n%s", said)
		}
		return nil
	})
	setPermissions(r, "results", "actions/*")
	awaitOutput(r, "s", "second")
}

// setPermissions changes those of a user while Icinga runs.
func setPermissions(r *rig.IcingaRig, user string, permissions ...string) {
	r.T.Helper()
	status, answer, err := r.API(http.MethodPost, "/v1/objects/apiusers/"+user, map[string]any{"attrs": map[string]any{"permissions": permissions}})
	if err != nil || status != http.StatusOK {
		r.T.Fatalf("change the permissions of %s: %d %s, %v", user, status, answer, err)
	}
}

func awaitOutput(r *rig.IcingaRig, service, output string) {
	r.T.Helper()
	r.Await(output, func(readings map[rig.ObjectName]rig.Reading) error {
		if got := readings[rig.ObjectName{"h", service}].Output; got != output {
			return fmt.Errorf("service %s has the output %q", service, got)
		}
		return nil
	})
}

// TestE2EAPIPasswordThatChanges: who changes the password in Icinga and in the file restarts no server.
func TestE2EAPIPasswordThatChanges(t *testing.T) {
	r := rig.NewIcingaRig(t, []rig.Host{{"h", []string{"s", "t"}}}, apiUsers(map[string]string{"user": `[ "*" ]`}))
	r.Start()
	options := as("user", r.APISink(t))
	p := startServerFor(t, options...)
	p.Send(result("s", "first"))
	awaitOutput(r, "s", "first")
	status, answer, err := r.API(http.MethodPost, "/v1/objects/apiusers/user", map[string]any{"attrs": map[string]any{"password": "another"}})
	if err != nil || status != http.StatusOK {
		t.Fatalf("change the password: %d %s, %v", status, answer, err)
	}
	p.Send(result("s", "second"))
	if err := os.WriteFile(options[3], []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitOutput(r, "s", "second")
}

// result is a set for a service of host h, or for one that is not there.
func result(service, output string) string {
	return strings.Join([]string{"h", service, "1", output}, rig.SendFieldDivider)
}
