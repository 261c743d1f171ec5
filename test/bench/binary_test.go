//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchChecks takes the figures of the client's own benchmark, which has its
// rigs there.
func benchChecks(t *testing.T, _ *bench) []row {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "AgainstSpawnLoop/8", "-benchtime", "3x", "./client").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []row{{what: "checks/s through the whole client, scheduler to ACK", ours: series{metric(t, string(out), "checks/s")},
		peer: "a posix_spawn loop in C", theirs: series{metric(t, string(out), "c-runs/s")}, goal: atLeast(0.85).ofPeer()}}
}

// metric finds a benchmark's figure by its unit.
func metric(t *testing.T, text, unit string) float64 {
	t.Helper()
	words := strings.Fields(text)
	for i := 1; i < len(words); i++ {
		if words[i] == unit {
			if x, err := strconv.ParseFloat(words[i-1], 64); err == nil {
				return x
			}
		}
	}
	t.Fatalf("no %s in:\n%s", unit, text)
	return 0
}

const helloWorld = `package main

import "fmt"

func main() { fmt.Println("hello, world") }
`

// benchBinary is the size of the program, and how much longer than the least
// that Go can do it takes to start.
func benchBinary(t *testing.T, b *bench) []row {
	info, err := os.Stat(b.binary)
	if err != nil {
		t.Fatal(err)
	}
	hello := buildInstalled(t, "hello", ".", rig.WriteFile(t, "hello.go", helloWorld))
	var ours, theirs, more series
	for range 150 {
		mine, other := started(t, b.binary, "--version"), started(t, hello)
		ours, theirs, more = append(ours, mine), append(theirs, other), append(more, mine-other)
	}
	return []row{
		{what: "binary, stripped", unit: "MB", ours: series{float64(info.Size()) / (1 << 20)}, goal: atMost(12)},
		{what: "start to `--version`, ms", ours: ours, peer: "a Go hello world", theirs: theirs},
		{what: "start to `--version`, more than that", unit: "ms", ours: more, goal: atMost(1.5)},
	}
}

// started returns how many milliseconds a program takes.
func started(t *testing.T, program string, args ...string) float64 {
	t.Helper()
	begin := time.Now()
	if err := exec.Command(program, args...).Run(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin).Seconds() * 1e3
}
