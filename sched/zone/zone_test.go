package zone

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	_ "time/tzdata"
)

var rules = []string{
	"CET-1CEST,M3.5.0,M10.5.0/3", "UTC0", "EST5", "EST5EDT", "EST5EDT,M3.2.0,M11.1.0", "<+03>-3", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
	"NZST-12NZDT,M9.5.0,M4.1.0/3", "AEST-10AEDT,M10.1.0,M4.1.0/3", "IST-1GMT0,M10.5.0,M3.5.0/1", "<+0545>-5:45", "XXX3:30:15YYY2:15,J60/2,J300/1:30",
	"XXX3YYY,59/2,300", "EET-2EEST,M3.4.4/50,M10.4.4/50", "UTC+2",
}

// What the C library says of the same rules, hour by hour around their changes.
func TestRulesAgainstTheCLibrary(t *testing.T) {
	date, err := exec.LookPath("date")
	if err != nil {
		t.Skip("there is no date")
	}
	for _, rule := range rules {
		loc, err := Find(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		var instants, want strings.Builder
		for _, year := range []int{2019, 2024, 2026, 2028} {
			for hour := -30; hour < 366*24+30; hour += 3 {
				at := time.Date(year, 1, 1, hour, 17, 0, 0, time.UTC)
				instants.WriteString(at.UTC().Format("2006-01-02 15:04:05 UTC\n"))
				want.WriteString(at.In(loc).Format("2006-01-02 15:04:05 -0700 MST\n"))
			}
		}
		cmd := exec.Command(date, "-f", "-", "+%Y-%m-%d %H:%M:%S %z %Z")
		cmd.Stdin = strings.NewReader(instants.String())
		cmd.Env = []string{"TZ=" + rule, "LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("date -f: %v", err) // busybox
		}
		theirs, ours := strings.Split(string(out), "\n"), strings.Split(want.String(), "\n")
		for i := range min(len(theirs), len(ours)) {
			if theirs[i] != ours[i] {
				t.Errorf("%s: %s here, %s there", rule, ours[i], theirs[i])
				break
			}
		}
	}
}

func TestFind(t *testing.T) {
	summer := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, tzif("CET-1CEST,M3.5.0,M10.5.0/3"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"Europe/Berlin": "14:00 CEST", ":Europe/Berlin": "14:00 CEST", "CET-1CEST,M3.5.0,M10.5.0/3": "14:00 CEST", ":CET-1CEST,M3.5.0,M10.5.0/3": "14:00 CEST",
		path: "14:00 CEST", ":" + path: "14:00 CEST", "": "12:00 UTC", ":": "12:00 UTC", "UTC": "12:00 UTC", "UTC0": "12:00 UTC", "<-03>3": "09:00 -03",
	} {
		loc, err := Find(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := summer.In(loc).Format("15:04 MST"); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsNoZone(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"CET", "Europe/Nowhere", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M13.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3x", "AB-1", "CET-24",
		"AAA-167BBB167", "UTC0,junk", "CET-1CEST;M3.5.0,M10.5.0", "J1", "../etc/passwd", "/etc/passwd", "/", "/nowhere", pipe, "Europe/Berlin\n", "CET-1CEST,J0,J400",
		"CET-1CEST,M3.5.0,M10.5.0/200", "<+03>", "<+03-3", strings.Repeat("A", 300) + "0",
	} {
		if text == "CET" {
			continue // a name
		}
		if loc, err := Find(text); err == nil {
			t.Errorf("%q: %v", text, loc)
		}
	}
}

func TestSetLocal(t *testing.T) {
	kept := time.Local
	defer func() { time.Local = kept }()
	for _, c := range []struct{ value, zone, say string }{
		{"CET-1CEST,M3.5.0,M10.5.0/3", "CEST", ""}, {":America/New_York", "EDT", ""}, {"", "UTC", ""},
		{"Nowhere/Land", "UTC", `TZ="Nowhere/Land" is not usable, and UTC is used instead`}, {":/nowhere", "UTC", "UTC is used instead: open /nowhere: no such file"},
	} {
		t.Setenv("TZ", c.value)
		err := SetLocal()
		if name, _ := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).Local().Zone(); name != c.zone || (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) {
			t.Errorf("%q: %s, %v", c.value, name, err)
		}
	}
}

func TestTheMachinesOwn(t *testing.T) {
	kept := time.Local
	defer func() { time.Local = kept }()
	path := filepath.Join(t.TempDir(), "localtime")
	if err := setFromLink(path); err != nil || time.Local != kept {
		t.Errorf("without a file: %v", err)
	}
	for _, c := range []struct{ target, zone string }{{"/nowhere/zoneinfo/Asia/Tokyo", "JST"}, {"/nowhere/zoneinfo/Nowhere", ""}, {"/etc/passwd", ""}} {
		_ = os.Remove(path)
		if err := os.Symlink(c.target, path); err != nil {
			t.Fatal(err)
		}
		err := setFromLink(path)
		name, _ := time.Now().Local().Zone()
		if (err != nil) != (c.zone == "") || err == nil && name != c.zone || err != nil && (name != "UTC" || !strings.Contains(err.Error(), "UTC is used instead")) {
			t.Errorf("%s: %s, %v", c.target, name, err)
		}
	}
}
