package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/check"
)

func (r *rig) writePolicy(text string) {
	r.t.Helper()
	file := filepath.Join(r.set.AllowedDir, "web1.json")
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		r.t.Fatal(err)
	}
}

// A client is told for each result why it may not send it; the others arrive.
func TestPolicyRejectsSingleResults(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AllowCommands = []string{"ACKNOWLEDGE_*"} })
	r.writePolicy(`{"hosts": ["web*"]}`)
	r.log.await(t, "read the directory") // at the start
	for deadline := time.Now().Add(30 * time.Second); len(r.log.lines("read the directory")) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the policy was not read")
		}
	}
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	b := wire.Batch{Instance: wire.Instance{1}}
	for n, res := range []check.Result{
		{Kind: check.Service, Host: "db1", Service: "s", Finish: 1e6},
		{Kind: check.Service, Host: "web1", Service: "s", Output: []byte("taken"), Finish: 1e6},
		{Kind: check.Command, Command: "SHUTDOWN_PROGRAM", Finish: 1e6},
		{Kind: check.Command, Command: "ACKNOWLEDGE_HOST_PROBLEM;web1;1;1;1;me;seen", Finish: 1e6},
	} {
		b.Entries = append(b.Entries, wire.Entry{Sequence: uint64(n + 1), Result: res.Append(nil)})
	}
	ack := r.exchange(s, b)
	if len(ack.Rejections) != 2 || ack.Rejections[0].Reason != wire.Denied || !strings.Contains(ack.Rejections[0].Text, `"db1"`) ||
		!strings.Contains(ack.Rejections[1].Text, `"SHUTDOWN_PROGRAM"`) {
		t.Errorf("rejected %v", ack.Rejections)
	}
	if n := r.server.intake.Status().Denied; n != 2 {
		t.Errorf("counted %d", n)
	}
	for _, want := range []string{"PROCESS_SERVICE_CHECK_RESULT;web1;s;0;taken", "ACKNOWLEDGE_HOST_PROBLEM;web1;1;1;1;me;seen"} {
		if line := r.line(); !strings.Contains(line, want) {
			t.Errorf("the core got %q, want %q", line, want)
		}
	}
}

// A policy that does not parse refuses the client as a whole, on open
// connections too, loses none of its results, and lets it in once mended.
func TestABadPolicyRefusesTheClient(t *testing.T) {
	r := newRig(t)
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	r.writePolicy(`{"hosts": "web*"}`)
	_, err = s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.BadPolicy || !strings.Contains(bye.Text, "web1.json") {
		t.Errorf("the open connection was told %v", err)
	}
	if _, err = r.connect(wire.Instance{2}); !errors.As(err, &bye) || bye.Reason != wire.BadPolicy {
		t.Errorf("the next one was told %v", err)
	}
	r.log.await(t, "web1.json", "hosts", "until its policy is mended")
	r.writePolicy(`{"hosts": ["h"]}`)
	for deadline := time.Now().Add(30 * time.Second); ; {
		if s, err = r.connect(wire.Instance{3}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	s.Close()
	r.deliver(wire.Instance{4}, 1)
	r.expect(1)
}

// A check result that comes as a raw command would be judged by what commands
// its client may send, and not by its host and its service.
func TestACheckResultIsNoCommand(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AllowCommands = []string{"PROCESS_*"} })
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	b := wire.Batch{Instance: wire.Instance{1}}
	for n, text := range []string{"PROCESS_SERVICE_CHECK_RESULT;db1;payroll;0;fine", "PROCESS_HOST_CHECK_RESULT;db1;0;fine", "PROCESS_FILE;/etc/passwd;1"} {
		res := check.Result{Kind: check.Command, Command: text, Finish: 1e6}
		b.Entries = append(b.Entries, wire.Entry{Sequence: uint64(n + 1), Result: res.Append(nil)})
	}
	ack := r.exchange(s, b)
	if len(ack.Rejections) != len(b.Entries) || ack.Rejections[0].Reason != wire.Malformed {
		t.Errorf("rejected %v", ack.Rejections)
	}
	s.Close()
	r.deliver(wire.Instance{2}, 1)
	r.expect(1)
}
