package client

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"massive-passive/client/checkfile"
	"massive-passive/internal/disk/disktest"
	"massive-passive/sched"

	"github.com/rs/zerolog"
)

const goodCheck = `{"check_description": "d", "check_hostname": "h", "check_type": "service_check", "interval": 5, "command": "/bin/true", "servers": {"s": "127.0.0.1"}}`

func writeCheck(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func names(list []checkfile.Check) (files []string) {
	for _, c := range list {
		files = append(files, c.File)
	}
	return files
}

func TestLoadFindsTheDifferences(t *testing.T) {
	dir := t.TempDir()
	c := &checks{dirs: []string{dir}, log: zerolog.Nop()}
	expect := func(step string, set, remove []string, inForce int) {
		t.Helper()
		found, err := c.load(false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names(found.set), set) || !slices.Equal(found.remove, remove) || len(c.good) != inForce {
			t.Errorf("%s: set %v, removed %v, %d in force", step, names(found.set), found.remove, len(c.good))
		}
	}
	writeCheck(t, dir, "a.cfg", goodCheck)
	writeCheck(t, dir, "b.cfg", goodCheck)
	writeCheck(t, dir, "bad.cfg", "{")
	expect("start", []string{"a.cfg", "b.cfg"}, nil, 2)
	expect("nothing changed", nil, nil, 2)
	writeCheck(t, dir, "a.cfg", goodCheck+"\n\n")
	expect("only blanks changed", nil, nil, 2)
	writeCheck(t, dir, "a.cfg", `{"interval": -1}`)
	expect("became invalid: the last good version stays", nil, nil, 2)
	writeCheck(t, dir, "a.cfg", goodCheck)
	expect("mended as it was", nil, nil, 2)
	if err := os.Remove(filepath.Join(dir, "b.cfg")); err != nil {
		t.Fatal(err)
	}
	expect("removed", nil, []string{"b.cfg"}, 1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.load(false); err == nil || len(c.good) != 1 {
		t.Errorf("a directory that is gone: %v, %d in force", err, len(c.good))
	}
}

func TestWhatIsWrongIsSaidAtEachLoad(t *testing.T) {
	dir := t.TempDir()
	log := &words{}
	c := &checks{dirs: []string{dir}, log: zerolog.New(log)}
	for i, step := range []struct {
		again     bool
		bad, twin int // lines so far
	}{{false, 1, 1}, {true, 1, 1}, {false, 2, 2}, {false, 3, 3}} {
		writeCheck(t, dir, "a.cfg", goodCheck)
		writeCheck(t, dir, "b.cfg", goodCheck)
		writeCheck(t, dir, "bad.cfg", "{")
		if _, err := c.load(step.again); err != nil {
			t.Fatal(err)
		}
		if bad, twin := log.times("was passed over"), log.times("as a.cfg does already"); bad != step.bad || twin != step.twin {
			t.Errorf("load %d: the bad file was named %d times, the second of two alike %d times", i, bad, twin)
		}
	}
	writeCheck(t, dir, "worse.cfg", "[")
	if _, err := c.load(true); err != nil || log.times("worse.cfg") == 0 {
		t.Errorf("what is new is not said: %v", err)
	}
}

// A client without anything to do says so, once.
func TestADirectoryWithoutCheckFilesIsNamed(t *testing.T) {
	var log bytes.Buffer
	c := &checks{dirs: []string{t.TempDir()}, log: zerolog.New(&log)}
	for _, again := range []bool{false, true} {
		if _, err := c.load(again); err != nil {
			t.Fatal(err)
		}
	}
	if text := "no *.cfg in " + c.dirs[0]; strings.Count(log.String(), text) != 1 {
		t.Errorf("said %q", log.String())
	}
}

// Root may read what the user that the client goes on as may not.
func TestADirectoryThatTheUserCannotReadIsAnErrorAtTheStart(t *testing.T) {
	s := newStation(t)
	s.options.Drop = func() error { return os.Remove(s.dir) }
	if _, err := New(s.options, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "--confdir") {
		t.Errorf("a start without check files: %v", err)
	}
}

func TestAFirstLoadThatFailsEndsNothing(t *testing.T) {
	s := newStation(t)
	agent, err := New(s.options, zerolog.Nop())
	must(t, err)
	must(t, os.Remove(s.dir))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- agent.outbox.Run(ctx) }()
	defer func() { cancel(); must(t, <-over) }()
	d := agent.routes
	d.Begin(t.Context())
	defer d.End(t.Context())
	agent.reload(false)
	d.Tidy()
	must(t, os.Mkdir(s.dir, 0o700))
	s.write("a", service("a", 3600, "/bin/true"))
	agent.reload(false)
	if routes := agent.status().Destinations; len(routes) != 1 || routes[0].Target == "" {
		t.Errorf("once there are check files, the routes are %+v, want one", routes)
	}
}

func TestAFileThatTheDiskDoesNotGiveIsToBeReadAgain(t *testing.T) {
	dir := t.TempDir()
	writeCheck(t, dir, "a.cfg", goodCheck)
	c := &checks{dirs: []string{dir}, log: zerolog.Nop()}
	putBack := disktest.TakeAway(t, filepath.Join(dir, "a.cfg"))
	if found, err := c.load(false); err != nil || len(found.set) > 0 || !c.unread {
		t.Errorf("set %v, all read: %v, %v", names(found.set), !c.unread, err)
	}
	putBack()
	if found, err := c.load(true); err != nil || len(found.set) != 1 || c.unread {
		t.Errorf("set %v, all read: %v, %v", names(found.set), !c.unread, err)
	}
	c.dirs = []string{filepath.Join(dir, "gone")} // when it comes, the watch tells
	if _, err := c.load(true); err == nil || c.unread {
		t.Errorf("to be read again: %v, %v", c.unread, err)
	}
}

// One job that the scheduler refuses would keep it from taking any.
func TestTheSchedulerTakesWhateverAFileMayAskFor(t *testing.T) {
	scheduler, err := sched.New(sched.DefaultOptions())
	must(t, err)
	paths, err := filepath.Glob("checkfile/testdata/[gd]*/*.cfg")
	must(t, err)
	if len(paths) < 10 {
		t.Fatalf("%d check files", len(paths))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(t, err)
		c, _, err := checkfile.Parse(filepath.Base(path), data, checkfile.Defaults{Hostname: "h", Servers: []checkfile.Server{{Name: "s", Address: "s:1"}}})
		must(t, err)
		if err := scheduler.Apply([]sched.Job{job(c, func(checkfile.Check) {})}, nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A name that comes up in a second directory takes nothing out of force.
func TestLoadOfSeveralDirectories(t *testing.T) {
	a, b := t.TempDir(), filepath.Join(t.TempDir(), "b")
	log := &words{}
	c := &checks{dirs: []string{a, b}, log: zerolog.New(log)}
	expect := func(step string, set, remove []string, inForce int) {
		t.Helper()
		found, err := c.load(false)
		must(t, err)
		if !slices.Equal(names(found.set), set) || !slices.Equal(found.remove, remove) || len(c.good) != inForce {
			t.Errorf("%s: set %v, removed %v, %d in force", step, names(found.set), found.remove, len(c.good))
		}
	}
	must(t, os.Mkdir(b, 0o700))
	writeCheck(t, a, "a.cfg", goodCheck)
	writeCheck(t, b, "b.cfg", goodCheck)
	expect("start", []string{"a.cfg", "b.cfg"}, nil, 2)
	writeCheck(t, b, "a.cfg", strings.Replace(goodCheck, "5", "7", 1))
	expect("a second a.cfg", nil, nil, 2)
	if text := filepath.Join(a, "a.cfg") + " and as " + filepath.Join(b, "a.cfg"); log.times("its last good version stays in force") != 1 || log.times(text) != 1 {
		t.Errorf("the two are not named once")
	}
	must(t, os.Remove(filepath.Join(a, "a.cfg")))
	expect("the first one is gone", []string{"a.cfg"}, nil, 2)
	must(t, os.Rename(b, b+".away"))
	if _, err := c.load(false); err == nil || len(c.good) != 2 {
		t.Errorf("one directory is gone: %v, %d in force", err, len(c.good))
	}
}

func TestEachDirectoryIsWatched(t *testing.T) {
	s := newStation(t)
	first, second := s.dir, t.TempDir()
	s.options.ConfDirs = []string{first, second}
	_, stop := s.start(zerolog.Nop())
	defer stop()
	for name, dir := range map[string]string{"a": first, "b": second} {
		s.dir = dir
		s.write(name, service(name, 3600, "/bin/true"))
		eventually(t, "a result of "+name, func() bool { return len(s.results(name)) > 0 })
	}
}
