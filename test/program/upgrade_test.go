package program

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/test/rig"
)

var update = flag.Bool("update", false, "write the state directories of this release into testdata, if there are none of it yet")

// stateOf are the state directories that a release left: a client's with results
// that its server does not have, and that server's with results that its core does
// not have.
func stateOf(release string) string { return "test/program/testdata/state-" + release + ".tar.gz" }

// In the state directories of each release: runs 1 to 3 of a check wait in the
// server's journal, runs 4 to 6 in the client's.
const (
	runsAtServer = 3
	runsInAll    = 6
)

// TestStateDirectoriesOfEarlierReleasesOpen holds that what a release of the past
// left waiting comes to the core, all of it, once, in order.
func TestStateDirectoriesOfEarlierReleasesOpen(t *testing.T) {
	release, err := os.ReadFile("VERSION")
	if err != nil {
		t.Fatal(err)
	}
	if own := stateOf(strings.TrimSpace(string(release))); *update {
		if _, err := os.Stat(own); err == nil {
			t.Fatalf("%s is there: what a release left does not change", own)
		}
		leaveState(t, own)
	}
	archives, err := filepath.Glob(stateOf("*"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no state directories in %s, %v", filepath.Dir(stateOf("")), err)
	}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			c := rig.NewCore(t)
			p := rig.NewPair(t, c.Path, "nagios")
			unpack(t, archive, p.Dir)
			p.ClientArgs = append(p.ClientArgs, "--journal-max-age", "1000000h") // it is as old as the release
			// A check that names the server, which is elsewhere now.
			p.AddCheck("hourly", map[string]any{"check_description": "hourly", "check_hostname": "h", "check_type": "service_check",
				"interval": map[string]any{"year": 2099}, "command": "/bin/true"})
			p.StartServer()
			p.AwaitPort()
			p.StartClient()
			for run := 1; run <= runsInAll; run++ {
				if line := c.Await(";count;"); !strings.HasSuffix(line, fmt.Sprintf(";run %d\n", run)) {
					t.Fatalf("in place of run %d came %s", run, line)
				}
			}
		})
	}
}

// leaveState makes an archive of state directories as a stop leaves them.
func leaveState(t *testing.T, archive string) {
	t.Helper()
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "no-core.cmd"), "nagios")
	counter := filepath.Join(p.Dir, "counter")
	p.AddCheck("count", map[string]any{"check_description": "count", "check_hostname": "h", "check_type": "service_check", "interval": 0.5,
		"command": fmt.Sprintf("n=$(cat %[1]s 2>/dev/null || echo 0); n=$((n + 1)); [ $n -le %[2]d ] || exec sleep 60; echo $n >%[1]s; echo run $n", counter, runsInAll)})
	runs := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			text, _ := os.ReadFile(counter)
			if strings.TrimSpace(string(text)) == fmt.Sprint(n) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the check ran %s times, not %d", text, n)
			}
		}
	}
	p.StartServer()
	p.AwaitPort()
	p.StartClient()
	runs(runsAtServer)
	p.Server.Stop()
	runs(runsInAll)
	p.Client.Stop()
	pack(t, archive, p.Dir, "client", "server")
}

func pack(t *testing.T, archive, from string, dirs ...string) {
	t.Helper()
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	for _, dir := range dirs {
		err := filepath.Walk(filepath.Join(from, dir), func(name string, info os.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
				return err
			}
			header, err := tar.FileInfoHeader(info, "")
			if err != nil {
				return err
			}
			header.Name = strings.TrimPrefix(name, from+"/")
			header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
			if err := w.WriteHeader(header); err != nil || info.IsDir() {
				return err
			}
			data, err := os.ReadFile(name)
			if err == nil {
				_, err = w.Write(data)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, archive, to string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(to, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(name, header.FileInfo().Mode().Perm())
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(name, data, header.FileInfo().Mode().Perm())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
