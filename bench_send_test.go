//go:build bench

package main

import (
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
// its pre-shared keys. The two take turns, so that whatever else runs on the
// machine slows both. The journal and the pipes are on the same disk.
func BenchmarkSend(b *testing.B) {
	dir := b.TempDir()
	binary := installed(b, dir)
	c := newCore(b)
	p := newPair(b, c.path, "nagios")
	p.startServer()
	p.awaitPort()
	ours := []string{binary, "-H", "127.0.0.1", "-p", fmt.Sprint(p.port), "-c", writeFile(b, "send.cfg",
		fmt.Sprintf("ssl_key=%s\nssl_cert=%s\nssl_ca_cert=%s\n", p.set.ClientKey, p.set.ClientCert, p.set.CA))}
	theirCore := newCore(b)
	theirs := []string{filepath.Join(peersDir(), "nsca-ng-client/usr/sbin/send_nsca"), "-H", "127.0.0.1", "-p", fmt.Sprint(startNSCANG(b, theirCore)),
		"-c", writeFile(b, "send.cfg", configNSCANG)}
	go drain(c)
	go drain(theirCore)
	var times [2][]float64 // milliseconds
	for b.Loop() {
		for range sendRounds {
			for i, args := range [][]string{ours, theirs} {
				times[i] = append(times[i], timed(b, args).Seconds()*1e3)
			}
		}
	}
	mine, other := median(times[0]), median(times[1])
	b.ReportMetric(mine, "ms/send")
	b.ReportMetric(other, "ms/nsca-ng")
	b.ReportMetric(mine/other, "of-nsca-ng")
	b.ReportMetric(0, "ns/op")
	if mine > 0.8*other {
		b.Errorf("send takes %.2f of the time of NSCA-ng's client, more than 0.8", mine/other)
	}
}

// installed builds the program into dir as make does, and copies it as make
// install and the packages do: what the linker wrote piecemeal lies in small
// pages of the kernel's cache, from which a program takes over a millisecond
// longer to start.
func installed(b *testing.B, dir string) (binary string) {
	b.Helper()
	built := filepath.Join(dir, "built")
	build := exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(built)
	if err != nil {
		b.Fatal(err)
	}
	binary = filepath.Join(dir, "send_nsca")
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		b.Fatal(err)
	}
	return binary
}

// drain reads what arrives in the core.
func drain(c *core) {
	buf := make([]byte, 64<<10)
	for {
		if _, err := c.pipe.Read(buf); err != nil {
			return
		}
	}
}

// timed runs a program that must succeed.
func timed(b *testing.B, args []string) time.Duration {
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
