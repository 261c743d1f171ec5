//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"testing"
)

// codeCase is a code as written and the states that it gives.
type codeCase struct {
	written       string
	service, host int
}

// check compares the states that a service and a host got.
func (c codeCase) check(t *testing.T, service, host rig.Reading) {
	t.Helper()
	for kind, pair := range map[string]struct {
		got  rig.Reading
		want int
	}{"service": {service, c.service}, "host": {host, c.host}} {
		switch refused := pair.got.LastCheck.IsZero(); {
		case refused != (pair.want < 0):
			t.Errorf("code %q for a %s: refused: %v", c.written, kind, refused)
		case !refused && pair.got.State != pair.want:
			t.Errorf("code %q for a %s: state %d, want %d", c.written, kind, pair.got.State, pair.want)
		}
	}
}
