package outbox

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"massive-passive/internal/disk/disktest"
	"massive-passive/internal/logx"

	"github.com/rs/zerolog"
)

func TestStateFilesThatTheDiskRefusedAreWrittenLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "away")
	m, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	p := newInstances(m, logx.NewThrottle(zerolog.Nop(), logx.Limits{}))
	if err := m.AddModern("a"); err == nil {
		t.Fatal("written into a directory that is not there")
	}
	first := *p.now.Load()
	server := p.For("a")
	server.Renew(server.last())
	m.Retry() // refused once more
	must(t, os.Mkdir(dir, 0o700))
	m.Retry()
	again, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	if !again.Modern("a") {
		t.Error("the server's version is forgotten")
	}
	if got, want := newInstances(again, nil).current(first), *p.now.Load(); got != want {
		t.Errorf("after a restart %v travels as %v, want %v", first, got, want)
	}
}

// What could not be read may hold what an administrator wants to save.
func TestAStateFileThatCannotBeReadIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, StateFile)
	must(t, os.WriteFile(file, []byte(`{"version":1}`), 0o600))
	disktest.TakeAway(t, file)
	synctest.Test(t, func(t *testing.T) {
		log := &words{}
		s, err := OpenState(dir, zerolog.New(log))
		must(t, err)
		must(t, s.AddModern("a"))
		s.Retry()
		if to, err := os.Readlink(file); err != nil || to != "/proc/self/mem" || log.times("until a restart after the disk was mended") != 1 {
			t.Errorf("it was replaced: %q, %v; said %s", to, err, &log.text)
		}
	})
	if _, err := ReadState("/proc"); err != nil {
		t.Errorf("a directory without a state file: %v", err)
	}
	must(t, os.Remove(file))
	must(t, os.Mkdir(file, 0o700))
	if _, err := OpenState(dir, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a directory was taken for a state file: %v", err)
	}
}

// An upgrade takes over what the three files of earlier releases say, and removes
// them.
func TestTheStateOfAnEarlierReleaseIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	one, two := strings.Repeat("01", 16), strings.Repeat("02", 16)
	for name, text := range map[string]string{
		"modern-servers":    "a\n\nsecond with a blank\n",
		"renewed-instances": "no instance\n" + one + " " + two + "\n",
		"server-addresses":  "a=[::1]:1\nno address\nb=c=h:2\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	look, err := ReadState(dir)
	must(t, err)
	if names := namesIn(t, dir); !look.Modern("a") || len(names) != 3 {
		t.Errorf("a look at the state: %v is modern, %v is left", look.content.ModernServers, names)
	}
	for range 2 {
		s, err := OpenState(dir, zerolog.Nop())
		must(t, err)
		want := content{1, []string{"a", "second with a blank"}, map[string]string{"a": "[::1]:1", "b=c": "h:2"},
			[]renewal{{instanceText(bytes.Repeat([]byte{1}, 16)), instanceText(bytes.Repeat([]byte{2}, 16))}}}
		if !reflect.DeepEqual(s.content, want) {
			t.Errorf("the state is %+v, want %+v", s.content, want)
		}
		if names := namesIn(t, dir); !slices.Equal(names, []string{StateFile}) {
			t.Errorf("left are %q", names)
		}
		must(t, os.WriteFile(filepath.Join(dir, "modern-servers"), []byte("of an older release in between\n"), 0o600))
	}
}

// Where the disk does not give one of the old files, none of them is replaced.
func TestTheStateOfAnEarlierReleaseThatCannotBeReadStays(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"modern-servers", "server-addresses"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("a=b:1\n"), 0o600))
	}
	disktest.TakeAway(t, filepath.Join(dir, "server-addresses"))
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenState(dir, zerolog.Nop())
		must(t, err)
		must(t, s.AddModern("c"))
		if names := namesIn(t, dir); !s.Modern("a=b:1") || slices.Contains(names, StateFile) || !slices.Contains(names, "modern-servers") {
			t.Errorf("modern are %q, left %q", s.content.ModernServers, names)
		}
	})
}

// The old files go only when the new one is on the disk.
func TestTheStateOfAnEarlierReleaseStaysWhileTheDiskRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "modern-servers"), []byte("a\n"), 0o600))
	s, err := ReadState(dir)
	must(t, err)
	s.path = filepath.Join(dir, "away", StateFile)
	if err := s.AddModern("b"); err == nil || len(namesIn(t, dir)) != 1 {
		t.Errorf("%v, left are %q", err, namesIn(t, dir))
	}
	must(t, os.Mkdir(filepath.Dir(s.path), 0o700))
	s.Retry()
	if names := namesIn(t, dir); !slices.Equal(names, []string{"away"}) {
		t.Errorf("left are %q", names)
	}
}

func TestAStateFileOfALaterVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	later := `{"version": 2, "servers": {"a": {"modern": true}}}`
	must(t, os.WriteFile(filepath.Join(dir, StateFile), []byte(later), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "modern-servers"), []byte("a\n"), 0o600))
	_, err := Open(Options{StateDir: dir, MaxBytes: 1 << 30, MaxAge: time.Hour}, zerolog.Nop(), nil)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, StateFile)+" has version 2") {
		t.Errorf("a later version: %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, StateFile)); err != nil || string(data) != later {
		t.Errorf("it is now %s, %v", data, err)
	}
	if names := namesIn(t, dir); !slices.Equal(names, []string{"journal", "modern-servers", StateFile}) {
		t.Errorf("there are %q", names)
	}
}

func TestADamagedStateFileIsPutAside(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, StateFile)
	damages := []string{"", "{", "[]", `{"version": 1`, `{}`, `{"version": -1}`, `{"version": 1, "modern-servers": ["a"]}`, `{"version": 1, "modern_servers": "a"}`,
		`{"version": 1} {"version": 1}`, `{"version": 1, "renewed_instances": [{"old": "01", "new": "02"}]}`, "null", "\x00\x00"}
	for n, damage := range damages {
		must(t, os.WriteFile(file, []byte(damage), 0o600))
		if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), file+" is damaged") {
			t.Errorf("%q: %v", damage, err)
		}
		log := &words{}
		s, err := OpenState(dir, zerolog.New(log))
		must(t, err)
		aside := fmt.Sprintf("%s.damaged-%d", file, n+1)
		if data, err := os.ReadFile(aside); err != nil || string(data) != damage {
			t.Errorf("%q was put aside as %q, %v", damage, data, err)
		}
		if log.times(`"kept_as":"`+aside+`"`) != 1 {
			t.Errorf("%q: said %s", damage, &log.text)
		}
		must(t, s.AddModern("a"))
		if again, err := ReadState(dir); err != nil || !again.Modern("a") {
			t.Errorf("after %q: %v", damage, err)
		}
	}
}

// An administrator takes a server out, and leaves out what is empty.
func TestAStateFileThatWasEdited(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, StateFile), []byte("{\"modern_servers\": [\"b\"],\r\n\"version\": 1}\r\n\r\n"), 0o600))
	s, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	if s.Modern("a") || !s.Modern("b") {
		t.Errorf("modern are %q", s.content.ModernServers)
	}
	must(t, s.KeepAddresses(map[string]string{"b": "h:1"}, nil))
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestModernServersOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 {
		m, err := OpenState(dir, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"monitor.example.org", "second with a blank"} {
			if m.Modern(name) != (run > 0) {
				t.Errorf("run %d: %q is known: %v", run, name, m.Modern(name))
			}
			if err := m.AddModern(name); err != nil {
				t.Fatal(err)
			}
		}
		if m.Modern("monitor") {
			t.Error("a part of a name is known")
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, StateFile))
	if want := "\"modern_servers\": [\n    \"monitor.example.org\",\n    \"second with a blank\"\n  ]"; err != nil || !strings.Contains(string(data), want) {
		t.Errorf("the file holds %q, %v", data, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestModernServersThatCannotBeKept(t *testing.T) {
	if _, err := ReadState("/dev/null"); err == nil {
		t.Error("an unreadable file was taken for none")
	}
	m, err := OpenState(filepath.Join(t.TempDir(), "gone"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AddModern("a"); err == nil || !m.Modern("a") {
		t.Errorf("not kept: %v; known for this run: %v", err, m.Modern("a"))
	}
}

func TestAStateFileThatIsAwayForAMomentIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m, err := OpenState(dir, zerolog.Nop())
		if err == nil {
			err = m.AddModern("a")
		}
		if err != nil {
			t.Fatal(err)
		}
		disktest.TakeAwayFor(t, time.Second, filepath.Join(dir, StateFile))
		if m, err = ReadState(dir); err != nil || !m.Modern("a") {
			t.Errorf("known: %v, %v", m.Modern("a"), err)
		}
	})
}

func TestServerAddressesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	named := map[string]string{"a": "[::1]:1", "second with a blank": "h:2"}
	a, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	must(t, a.KeepAddresses(named, nil))
	must(t, a.KeepAddresses(map[string]string{"b": "h:4"}, []string{"a", "unknown"}))
	a, err = OpenState(dir, zerolog.Nop())
	must(t, err)
	if want := map[string]string{"a": "[::1]:1", "b": "h:4"}; !maps.Equal(a.content.ServerAddresses, want) {
		t.Errorf("known are %v, want %v", a.content.ServerAddresses, want)
	}
}

func TestServerAddressesThatTheDiskRefusesAreKeptLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a, err := OpenState(dir, zerolog.Nop())
	must(t, err)
	named := map[string]string{"a": "h:1"}
	if err := a.KeepAddresses(named, nil); err == nil || a.content.ServerAddresses["a"] != "h:1" {
		t.Errorf("not kept: %v, known for this run: %v", err, a.content.ServerAddresses)
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, a.KeepAddresses(named, nil))
	if a, err = OpenState(dir, zerolog.Nop()); err != nil || a.content.ServerAddresses["a"] != "h:1" {
		t.Errorf("%v, %v", a.content.ServerAddresses, err)
	}
}
