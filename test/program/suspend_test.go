package program

import (
	"massive-passive/test/rig"

	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSuspendedClient stops a client for some seconds and lets it go on. What
// it missed is skipped and told, nothing runs in a burst, nobody runs twice,
// and each check is back in its rhythm.
func TestSuspendedClient(t *testing.T) {
	t.Parallel()
	const every, stopped, checks, runs = 500 * time.Millisecond, 3 * time.Second, 20, 6
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	for i := range checks {
		p.AddCheck(fmt.Sprint("c", i), map[string]any{"check_description": fmt.Sprint("c", i), "check_hostname": "h",
			"check_type": "service_check", "interval": every.Seconds(), "misfire_grace_time": 0.25, "command": "/bin/date +%s.%N"})
	}
	p.StartServer()
	p.StartClient()
	for i := range checks {
		c.Await(fmt.Sprintf(";c%d;", i))
	}
	p.Client.Signal(syscall.SIGSTOP)
	from := time.Now()
	time.Sleep(stopped) // how long it stands still is what this is about
	to := time.Now()
	p.Client.Signal(syscall.SIGCONT)
	starts := map[string][]time.Time{}
	for done := 0; done < checks; {
		name, at := ranAt(t, c.Await(";h;c"))
		starts[name] = append(starts[name], at)
		if len(starts[name]) == runs {
			done++
		}
	}
	for name, all := range starts {
		slices.SortFunc(all, time.Time.Compare)
		for i, at := range all[1:] {
			if at.After(from.Add(100*time.Millisecond)) && at.Before(to) {
				t.Errorf("%s ran at %v, while the client stood still from %v to %v", name, at, from, to)
			}
			if gap := at.Sub(all[i]); gap < every/10 {
				t.Errorf("%s ran at %v and again after %v", name, all[i], gap)
			}
		}
	}
	if !strings.Contains(p.Client.Words(), "misfire_grace_time") {
		t.Error("the log does not say that runs were skipped")
	}
}

// ranAt reads a line of the core's pipe with the time at which a plugin ran.
func ranAt(t *testing.T, line string) (name string, at time.Time) {
	t.Helper()
	fields := strings.Split(strings.TrimSpace(line), ";")
	seconds, fraction, _ := strings.Cut(fields[len(fields)-1], ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	ns, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return fields[2], time.Unix(s, ns)
}
