//go:build bench

package bench

import (
	"massive-passive/test/rig"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sendRounds is how often each program is started.
const sendRounds = 150

// BenchmarkSend gets one result from a standard input to a server that has
// flushed it, the whole process counted: ours over mutual TLS, NSCA-ng's with
// its pre-shared keys.
func BenchmarkSend(b *testing.B) {
	binary := buildProgram(b)
	for b.Loop() {
		ours, theirs := sendTimes(b, binary, sendRounds)
		mine, other := median(ours), median(theirs)
		b.ReportMetric(mine, "ms/send")
		b.ReportMetric(other, "ms/nsca-ng")
		b.ReportMetric(mine/other, "of-nsca-ng")
		b.ReportMetric(0, "ns/op")
		if mine > sendOfTheirs*other {
			b.Errorf("send takes %.2f of the time of NSCA-ng's client, more than %.2f", mine/other, sendOfTheirs)
		}
	}
}

// sendOfTheirs is the most of the time of NSCA-ng's client that a send may take.
const sendOfTheirs = 0.8

// sendTimes returns how many milliseconds each call took. The two programs take
// turns, so that whatever else runs on the machine slows both. The journal and
// the pipes are on the same disk.
func sendTimes(b testing.TB, binary string, rounds int) (ours, theirs []float64) {
	b.Helper()
	c := rig.NewCore(b)
	p := rig.NewPair(b, c.Path, "nagios")
	startBuilt(p, binary)
	mine := []string{link(b, binary, "send_nsca"), "-H", "127.0.0.1", "-p", fmt.Sprint(p.Port), "-c", rig.WriteFile(b, "send.cfg",
		fmt.Sprintf("ssl_key=%s\nssl_cert=%s\nssl_ca_cert=%s\n", p.Set.ClientKey, p.Set.ClientCert, p.Set.CA))}
	theirCore := rig.NewCore(b)
	other := []string{filepath.Join(rig.PeersDir(), "nsca-ng-client/usr/sbin/send_nsca"), "-H", "127.0.0.1", "-p", fmt.Sprint(rig.StartNSCANG(b, theirCore)),
		"-c", rig.WriteFile(b, "send.cfg", rig.ConfigNSCANG)}
	go drain(c)
	go drain(theirCore)
	for range rounds {
		ours = append(ours, timed(b, mine).Seconds()*1e3)
		theirs = append(theirs, timed(b, other).Seconds()*1e3)
	}
	return ours, theirs
}

// drain reads what arrives in the core.
func drain(c *rig.Core) {
	buf := make([]byte, 64<<10)
	for {
		if _, err := c.Pipe.Read(buf); err != nil {
			return
		}
	}
}

// timed runs a program that must succeed.
func timed(b testing.TB, args []string) time.Duration {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader("web1\tload\t0\tOK - load average: 0.10, 0.20, 0.30|load1=0.10;4;8\n")
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v", args[0], err)
	}
	return time.Since(begin)
}
