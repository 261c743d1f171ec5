package program

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/test/rig"
)

// A client that finds no free inotify instance sees changes of its check files all
// the same.
func TestClientWithoutInotify(t *testing.T) {
	const none = `echo 0 > /proc/sys/user/max_inotify_instances && exec "$0" "$@"`
	wrap := []string{"unshare", "--user", "--map-root-user", "sh", "-c", none}
	if out, err := exec.Command(wrap[0], append(wrap[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no user namespaces here: %v %s", err, out)
	}
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "pipe"), "nagios")
	p.Client = rig.StartWrapped(t, wrap, "massive-passive-client", p.ClientArgs...)
	await := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.Client.Words(), what); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %s", what, p.Client.Words())
			}
		}
	}
	await("changes count only within ten seconds")
	p.AddCheck("late", map[string]any{"check_type": "host_check", "check_hostname": "h", "interval": 3600, "command": []string{"true"}})
	await(`"set":1`)
	p.Client.Signal(syscall.SIGTERM)
}
