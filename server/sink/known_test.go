package sink

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

const objectCache = `########################################
define host {
	host_name	web 1
	alias	x
	}

define service {
	host_name	web 1
	service_description	disk /
	}
`

// What the core does not have is rejected before it is written, and told once
// a minute for each object.
func TestUnknownObjectsAreRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cache, rejects := filepath.Join(dir, "objects.cache"), filepath.Join(dir, "rejects.log")
		writeCache(t, cache, objectCache)
		var log strings.Builder
		r := newFeedRig(t, FeedOptions{ObjectCache: cache, Rejects: NewRejects(rejects, logx.NewThrottle(zerolog.New(&log), logx.Limits{Names: RejectsNames})), Target: "core"})
		put := func(kind check.Kind, host, service string) {
			r.append("client one", check.Result{Kind: kind, Host: host, Service: service, Output: []byte("text"), Finish: 1})
		}
		put(check.Service, "web 1", "disk /") // 1
		put(check.Host, "web 1", "")          // 2
		put(check.Service, "web 1", "disk")
		put(check.Service, "web 1", "disk")
		put(check.Service, "web 2", "disk /")
		put(check.Host, "web 2", "")
		r.append("c", check.Result{Kind: check.Command, Command: "X"}) // 7
		r.expect("1 2 7")
		r.feed.ack(7)
		r.expectCounts(map[Outcome]uint64{Delivered: 3, RejectedNoObject: 4})
		text, err := os.ReadFile(rejects)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n != 3 {
			t.Errorf("%d lines in the file of rejects, want one for each of three objects:\n%s", n, text)
		}
		for _, want := range []string{`core: "web 1;disk" from client "client one", 1 times: the core's host "web 1" has no service "disk"`, `the core has no host "web 2"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the file does not say %s:\n%s", want, text)
			}
		}
		if n := strings.Count(log.String(), "client one"); n != 3 {
			t.Errorf("the log names the client %d times, want 3", n)
		}

		// A cache that the core is just writing tells nothing.
		if err := os.WriteFile(cache, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		now := time.Now().Add(objectsTick)
		if err := os.Chtimes(cache, now, now); err != nil {
			t.Fatal(err)
		}
		time.Sleep(objectsTick)
		put(check.Host, "web 3", "")
		r.expect("8")
	})
}

// objectsOf returns what is known from a cache of this text that has settled.
func objectsOf(t *testing.T, text string) *objects {
	t.Helper()
	o := newObjects(filepath.Join(t.TempDir(), "objects.cache"), nil)
	writeCache(t, o.file, text)
	return o
}

func writeCache(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, long, long); err != nil {
		t.Fatal(err)
	}
}

// The core writes its cache to a disk that is full, and does not notice. Its
// objects are there, only the file is not whole.
func TestAnObjectCacheThatBreaksOffRejectsNothing(t *testing.T) {
	last := check.Result{Kind: check.Service, Host: "web 1", Service: "disk /"}
	end := strings.LastIndex(objectCache, "}")
	for cut := strings.LastIndex(objectCache, "define") + 1; cut <= end+1; cut++ {
		o := objectsOf(t, objectCache[:cut])
		if why := o.missing(&last); why != "" {
			t.Errorf("rejected as the file ends with %q: %s", objectCache[cut-10:cut], why)
		}
		if !strings.Contains(o.told, "breaks off") {
			t.Errorf("of a file that ends with %q it is told: %q", objectCache[cut-10:cut], o.told)
		}
	}
	other := check.Result{Kind: check.Host, Host: "web 2"}
	if o := objectsOf(t, objectCache); o.missing(&last) != "" || o.missing(&other) == "" {
		t.Error("nothing is known of a file that is whole")
	}
}

// A long file is not read each second for as long as it is broken, but one
// that is whole again is taken.
func TestAnObjectCacheIsTakenOnceItIsWholeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := check.Result{Kind: check.Host, Host: "web 2"}
		o := objectsOf(t, objectCache[:len(objectCache)-1])
		o.missing(&other)
		writeCache(t, o.file, objectCache)
		time.Sleep(objectsAgain)
		if o.missing(&other) == "" {
			t.Error("it is not known what the core has")
		}
	})
}

// The file is as it was read, and only could not be looked at for a moment.
func TestAnObjectCacheThatWasAwayIsKnownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := check.Result{Kind: check.Host, Host: "web 2"}
		o := objectsOf(t, objectCache)
		rename := func(from, to string) {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
			time.Sleep(objectsTick)
		}
		if o.missing(&other) == "" {
			t.Error("it is not known what the core has")
		}
		rename(o.file, o.file+".away")
		if o.missing(&other) != "" {
			t.Error("rejected while the file is away")
		}
		rename(o.file+".away", o.file)
		if o.missing(&other) == "" {
			t.Error("it is not known any more what the core has")
		}
	})
}

func TestRejectsFileStaysSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rejects.log")
	synctest.Test(t, func(t *testing.T) {
		r := NewRejects(file, logx.NewThrottle(zerolog.Nop(), logx.Limits{Names: RejectsNames}))
		for n := range 10_000 {
			it := item{client: fmt.Sprint("c", n%10), result: check.Result{Kind: check.Host, Host: fmt.Sprint("host", n), Output: []byte(strings.Repeat("x", 500))}}
			r.tell("core", &it, RejectedNoObject, "no such host")
			if n%100 == 0 {
				time.Sleep(time.Minute)
			}
		}
	})
	for _, name := range []string{file, file + ".1"} {
		if info, err := os.Stat(name); err != nil || info.Size() > rejectsBytes+1000 || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestReadNagiosConfig(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want NagiosConfig
	}{
		"nagios.cfg": {"# a comment\ncommand_file=/rw/nagios.cmd\n check_result_path = spool\nobject_cache_file=/c\nnagios_user=nagios\r\nmax_check_result_file_age=60\n",
			NagiosConfig{Core: Nagios, User: "nagios", CommandFile: "/rw/nagios.cmd", CheckResultDir: dir + "/spool", ObjectCache: "/c",
				MaxFileAge: time.Minute, Commands: true, Passive: true}},
		"naemon.cfg": {"command_file=/rw/x.cmd\ncheck_external_commands=0\naccept_passive_host_checks=0\n",
			NagiosConfig{Core: Naemon, CommandFile: "/rw/x.cmd", MaxFileAge: time.Hour}},
		"core.cfg": {"command_file=/rw/naemon.cmd\n", NagiosConfig{Core: Naemon, CommandFile: "/rw/naemon.cmd", MaxFileAge: time.Hour, Commands: true, Passive: true}},
	} {
		c.want.File = filepath.Join(dir, name)
		if err := os.WriteFile(c.want.File, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadNagiosConfig(c.want.File); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{"objects.cfg": "define host {\n}\n", "age.cfg": "command_file=/x\nmax_check_result_file_age=long\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadNagiosConfig(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStreamWritesJSON(t *testing.T) {
	r := newFeedRig(t, FeedOptions{})
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.append("cl", check.Result{Kind: check.Service, Host: "h", Service: "s", Code: 1, Output: []byte("a\nb\xff"), Start: 1e6, Finish: 2e6})
	r.append("cl", check.Result{Kind: check.Command, Command: "X;1", Finish: 3e6})
	for range 3000 { // more than a pipe holds
		r.append("cl", check.Result{Kind: check.Host, Host: "h", Output: []byte(strings.Repeat("x", 100)), Finish: 1})
	}
	sink := &Stream{Feed: r.feed, Out: writer}
	rig := &apiRig{feedRig: r}
	done := make(chan struct{})
	go func() {
		defer close(done)
		sink.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	eventually(t, "says that nobody reads", func() bool { return strings.Contains(sink.Status().Waiting, "nobody reads") })
	text := make([]byte, 1<<20)
	n, err := io.ReadFull(reader, text[:600])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text[:n]), "\n")
	want := []string{`{"kind":"service","client":"cl","host":"h","service":"s","code":1,"output":"a\nb\ufffd","start":"1970-01-01T00:00:01Z","finish":"1970-01-01T00:00:02Z","received":`,
		`{"kind":"command","client":"cl","command":"X;1","finish":"1970-01-01T00:00:03Z","received":`}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("line %d is %s\nwant %s", i, lines[i], w)
		}
	}
	go io.Copy(io.Discard, reader)
	rig.awaitAcked(3002)
}
