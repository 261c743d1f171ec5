package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"massive-passive/internal/core"
	"massive-passive/internal/option"
	"massive-passive/server/intake/record"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// sinksRig opens a server's journal and sinks as New does, without its doors.
func sinksRig(t *testing.T, dir string, sinks ...string) *Server {
	t.Helper()
	o := DefaultOptions()
	o.StateDir, o.Sinks = dir, sinks
	s := &Server{options: o, log: zerolog.Nop()}
	if err := s.openJournal(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) put(t *testing.T, n int) {
	t.Helper()
	for range n {
		res := check.Result{Kind: check.Service, Host: "h", Service: "s", Finish: 1}
		rec := record.Record{Origin: record.Origin{Client: "c", Received: 1}, Result: res.Append(nil)}
		if _, err := s.intake.Journal.Append(rec.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.intake.Journal.Flush(); err != nil {
		t.Fatal(err)
	}
}

// places lists the readers and up to where each has acknowledged.
func (s *Server) places() string {
	var list []string
	for _, r := range s.intake.Journal.Stats().Readers {
		list = append(list, fmt.Sprintf("%s=%d", r.Name, r.Acked))
	}
	return strings.Join(list, " ")
}

// What waits for a sink is not lost when another takes its place, and one that
// joins others does not get what was delivered before it was there.
func TestSinksComeAndGo(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		what  string
		sinks []string
		want  string
		put   int
	}{
		{"the first", []string{"command-file:/a"}, "command-file=0", 20},
		{"its path changed", []string{"command-file:/b"}, "command-file=0", 5},
		{"another kind in its place", []string{"command-file:/a", "command-file:/b"}, "command-file:/a=0 command-file:/b=0", 3},
		{"one that joins", []string{"command-file:/a", "command-file:/b", "command-file:/c"},
			"command-file:/a=0 command-file:/b=0 command-file:/c=28", 2},
		{"back to one, which had others beside it", []string{"command-file:/c"}, "command-file=28", 0},
		{"another in its place", []string{"stdout:"}, "stdout:=28", 0},
		{"others in the place of that", []string{"command-file:/a", "command-file:/b"}, "command-file:/a=28 command-file:/b=28", 0},
		{"one of them goes on, one is new", []string{"command-file:/b", "stdout:"}, "command-file=28 stdout:=28", 0},
	} {
		s := sinksRig(t, dir, step.sinks...)
		if got := s.places(); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
		s.put(t, step.put)
		if err := s.intake.Journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What waits for a sink that goes is given up where no other takes its place, and
// that is told.
func TestASinkThatGoesIsToldOf(t *testing.T) {
	const given, taken = `"up_to":3,"message":"this sink is no longer configured: results that waited`, "what is new goes on where it was"
	for _, x := range []struct {
		before, after      []string
		givenUp, takenOver int
	}{
		{[]string{"command-file:/a", "command-file:/b"}, []string{"command-file:/b"}, 1, 0},
		{[]string{"command-file:/a", "stdout:"}, []string{"stdout:"}, 1, 0},
		{[]string{"command-file:/a"}, []string{"stdout:"}, 0, 1},
		{[]string{"command-file:/a"}, []string{"command-file:/b"}, 0, 0},
	} {
		dir := t.TempDir()
		s := sinksRig(t, dir, x.before...)
		s.put(t, 3)
		if err := s.intake.Journal.Close(); err != nil {
			t.Fatal(err)
		}
		log := &strings.Builder{}
		o := DefaultOptions()
		o.StateDir, o.Sinks = dir, x.after
		s = &Server{options: o, log: zerolog.New(log)}
		if err := s.openJournal(); err != nil {
			t.Fatal(err)
		}
		if strings.Count(log.String(), given) != x.givenUp || strings.Count(log.String(), taken) != x.takenOver {
			t.Errorf("%q, then %q: %s", x.before, x.after, log)
		}
		if err := s.intake.Journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReaderNames(t *testing.T) {
	long := "/" + strings.Repeat("x", 300)
	names := readerNames([]target{{"command-file", "/a"}, {"command-file", long}})
	if names[0] != "command-file:/a" || len(names[1]) > 90 || !strings.HasPrefix(names[1], "command-file:") {
		t.Errorf("got %q", names)
	}
	if got := readerNames([]target{{"command-file", long}}); !slices.Equal(got, []string{"command-file"}) {
		t.Errorf("got %q", got)
	}
}

func TestBadSinks(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"--sink: \"pipe\"":                            func(o *Options) { o.Sinks = []string{"pipe:/x"} },
		"--sink: \"nothing\"":                         func(o *Options) { o.Sinks = []string{"nothing"} },
		"--sink: \"command-file:/a\"":                 func(o *Options) { o.CommandFile, o.Sinks = "/a", []string{"command-file:/a"} },
		"--sink: checkresults: needs":                 func(o *Options) { o.Sinks = []string{"checkresults:"} },
		"--sink: \"stdout:x\"":                        func(o *Options) { o.Sinks = []string{"stdout:x"} },
		"--sink: icinga2: endpoint 1 (h): a password": func(o *Options) { o.Sinks = []string{"icinga2:https://u:secret@h"} },
		"--sink: icinga2: endpoint 1 (h): name":       func(o *Options) { o.Sinks = []string{"icinga2:https://h"} },
		"--sink: icinga2: endpoint 1 (h): give":       func(o *Options) { o.Sinks = []string{"icinga2:http://u@h"} },
		"--icinga2-password-file: name a file":        func(o *Options) { o.Sinks = []string{"icinga2:https://u@h,https://i"} },
		"--icinga2-ca-file: stat /nowhere": func(o *Options) {
			o.Sinks, o.Icinga2Password, o.Icinga2CAFile = []string{"icinga2:https://u@h"}, "x", "/nowhere"
		},
		"--icinga2-requests: 0":        func(o *Options) { o.Icinga2Requests = 0 },
		"--nagios-config: read":        func(o *Options) { o.NagiosConfig = "/nowhere" },
		"--drain-rate: -1":             func(o *Options) { o.DrainRate = -1 },
		"--drain-rate: 2000000000":     func(o *Options) { o.DrainRate = 2_000_000_000 },
		"--backlog: \"newest\" is nei": func(o *Options) { o.Backlog = "newest" },
	} {
		o := DefaultOptions()
		o.CommandFile = filepath.Join(t.TempDir(), "nagios.cmd")
		change(&o)
		err := o.validate()
		if err == nil {
			s := &Server{options: o, log: zerolog.Nop()}
			if err = s.readCore(); err == nil {
				err = s.openSinks()
			}
		}
		var wrong *option.Error
		if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("got %v, want it to begin with %s", err, name)
		}
	}
}

// Whatever is wrong with an endpoint, nothing of it is told that could be a
// part of a password.
func TestNoPartOfAPasswordIsTold(t *testing.T) {
	for _, to := range []string{
		"icinga2:https://u:SECRET@h", "icinga2:https://u:p@SECRET@h", "icinga2:https://u:SECRET,SECRET@h",
		"icinga2:icinga2:u:SECRET@h", "icinga2:u:SECRET@h", "icinga2:https://u:SECRET", "icinga2:https://u:1/SECRET@h",
		"icinga2:http://u:SECRET@h", "icinga2:https://u:SECRET#SECRET@h", "https://u:SECRET@h", "icinga2:https://u:1?SECRET@h",
	} {
		o := DefaultOptions()
		o.Sinks = []string{to}
		if _, err := o.targets(nil); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// The pipe goes with the core, and its directory stays.
func TestTheUsualCommandFileIsFoundWhileTheCoreIsDown(t *testing.T) {
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "a/rw/core.cmd"), filepath.Join(dir, "b/rw/core.cmd")}
	if file, err := usualCommandFile(files); err == nil || !strings.Contains(err.Error(), files[1]) {
		t.Errorf("without a core: %q, %v", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(files[1]), 0o700); err != nil {
		t.Fatal(err)
	}
	if file, err := usualCommandFile(files); err != nil || file != files[1] {
		t.Errorf("with a core's directory: %q, %v", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(files[0]), 0o700); err != nil {
		t.Fatal(err)
	}
	if file, err := usualCommandFile(files); err == nil {
		t.Errorf("with two cores' directories: %q", file)
	}
	if err := os.WriteFile(files[1], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err := usualCommandFile(files); err != nil || file != files[1] {
		t.Errorf("with one core's file: %q, %v", file, err)
	}
}

// asNobody has the rest of the test run as another user, to whom dir then belongs.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	const nobody = 65534
	for up := dir; up != os.TempDir() && len(up) > 1; up = filepath.Dir(up) { // the test's own folders
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	become := func(user uintptr) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), user, ^uintptr(0)); errno != 0 {
			t.Fatal(errno)
		}
	}
	runtime.LockOSThread() // the user is this thread's alone
	t.Cleanup(func() {
		become(0)
		runtime.UnlockOSThread()
	})
	become(nobody)
}

// A Debian's check-result directory is shut to whoever is not the core, and its
// command file is open to a group.
func TestTheDoorThatIsOpenIsTaken(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 { // opens every door
		asNobody(t, dir)
	}
	spool, pipe := filepath.Join(dir, "spool"), filepath.Join(dir, "rw", "core.cmd")
	for _, d := range []string{spool, filepath.Dir(pipe)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	both := &core.Config{CheckResultDir: spool, CommandFile: pipe, Commands: true}
	expect := func(when string, of *core.Config, want string) {
		t.Helper()
		if got := openSink(of); got != want {
			t.Errorf("%s: it takes %s, want %s", when, got, want)
		}
	}
	shut := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	expect("both may be written to", both, kindCheckResults)
	shut(spool, 0o500)
	expect("the directory is shut and the core is down", both, kindCommandFile)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("the directory is shut", both, kindCommandFile)
	shut(pipe, 0o400)
	expect("both are shut", both, kindCheckResults)
	shut(pipe, 0o600)
	expect("the core does not read its pipe", &core.Config{CheckResultDir: spool, CommandFile: pipe}, kindCheckResults)
	expect("there is no directory", &core.Config{CommandFile: pipe, Commands: true}, kindCommandFile)
	shut(spool, 0o700)
	shut(spool, 0o000)
	expect("the directory cannot be entered", both, kindCommandFile)
	shut(spool, 0o700)
}
