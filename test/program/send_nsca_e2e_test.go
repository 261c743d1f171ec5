//go:build e2e

package program

import (
	"massive-passive/test/rig"

	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// deepen gives the pipe room for what NSCA would drop, as nobody reads it
// while its client runs.
func deepen(c *rig.Core) {
	c.T.Helper()
	raw, err := c.Pipe.SyscallConn()
	if err != nil {
		c.T.Fatal(err)
	}
	raw.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
	if err != nil {
		c.T.Fatal(err)
	}
}

// compare runs the table with another program.
func compare(t *testing.T, r *sendRig, differs func(invocation) *difference, sameCode func(ours, theirs int) bool) {
	list, reasons := invocations(t)
	differences := 0
	for _, i := range list {
		if i.Ours != "" {
			continue
		}
		code, _, stderr := r.run(i)
		wantCode, wantCore, exact, hung := i.Code, i.Core, false, false
		if d := differs(i); d != nil {
			differences++
			if d.Code != nil {
				wantCode, exact = *d.Code, true
			}
			hung = d.Hangs && code == -1
			if d.Core != nil {
				wantCore = *d.Core
			}
			if (d.Code == nil || sameCode(i.Code, *d.Code)) && slices.Equal(wantCore, i.Core) {
				t.Errorf("%s: the table has a difference that is none (%s)", i.Name, reasons[d.Why])
			}
		}
		if !hung && (exact && code != wantCode || !sameCode(wantCode, code)) {
			t.Errorf("%s: exit code %d, want %d; stderr %.300q", i.Name, code, wantCode, stderr)
		}
		if wrong := r.arrived(wantCore); wrong != "" {
			t.Fatalf("%s: %s", i.Name, wrong)
		}
	}
	r.nothingElse()
	t.Logf("%d invocations, %d deliberate differences", len(list), differences)
}

func TestE2ESendNSCAOfNSCA(t *testing.T) {
	c := rig.NewCore(t)
	deepen(c)
	r := newSendRig(t, filepath.Join(rig.PeersDir(), "nsca-client/usr/sbin/send_nsca"), rig.StartNSCA(t, c), rig.ConfigNSCA, c)
	compare(t, r, func(i invocation) *difference { return i.NSCA }, func(ours, theirs int) bool { return ours == theirs })
}

// NSCA-ng ends with 1 whatever went wrong.
func TestE2ESendNSCAOfNSCANG(t *testing.T) {
	c := rig.NewCore(t)
	deepen(c)
	r := newSendRig(t, filepath.Join(rig.PeersDir(), "nsca-ng-client/usr/sbin/send_nsca"), rig.StartNSCANG(t, c), rig.ConfigNSCANG, c)
	compare(t, r, func(i invocation) *difference { return i.NG }, func(ours, theirs int) bool { return (ours == 0) == (theirs == 0) })
}
