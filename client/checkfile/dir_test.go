package checkfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadDir(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	service := string(read(t, "testdata/good/number_in_string.cfg"))
	write(t, elsewhere, "real", service)
	write(t, dir, "b.cfg", strings.Replace(service, "disk", "load", 1))
	write(t, dir, "c.cfg", "{")
	write(t, dir, "d.cfg", strings.Replace(service, "disk", "load", 1))
	write(t, dir, "e.cfg", strings.Replace(service, "{", `{"intervall": 1,`, 1))
	write(t, dir, "large.cfg", service+string(bytes.Repeat([]byte(" "), MaxSize)))
	write(t, dir, ".hidden.cfg", "{")
	write(t, dir, "e.cfg~", "{")
	write(t, dir, "README", "{")
	for _, err := range []error{
		os.Symlink(filepath.Join(elsewhere, "real"), filepath.Join(dir, "a.cfg")),
		os.Symlink("/no/such/file", filepath.Join(dir, "link.cfg")),
		os.Mkdir(filepath.Join(dir, "sub.cfg"), 0o755),
		syscall.Mkfifo(filepath.Join(dir, "pipe.cfg"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, warnings, err := ReadDirs([]string{dir}, Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		line := f.Name + ": " + f.Check.Description
		if f.Err != nil {
			line = f.Err.Error()
		}
		got = append(got, line)
	}
	want := []string{
		"a.cfg: disk",
		"b.cfg: load",
		"c.cfg:1:1: not JSON: unexpected end of JSON input; a closing bracket or quote is missing",
		"d.cfg: load",
		"e.cfg: disk",
		"large.cfg: cannot be read: it has more than 1048576 bytes",
		"link.cfg: cannot be read: no such file or directory",
		"pipe.cfg: cannot be read: it is a named pipe, not an ordinary file: put one in its place",
		"sub.cfg: cannot be read: it is a directory, not an ordinary file: put one in its place",
	}
	if !slices.Equal(got, want) {
		t.Errorf("files:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	got = nil
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want = []string{
		`e.cfg:1:2: "intervall": is not a key of a check file and is ignored; did you mean "interval"?`,
		`d.cfg: reports the service "load" of host "web1", as b.cfg does already`,
		`e.cfg: reports the service "disk" of host "web1", as a.cfg does already`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReadDirMissing(t *testing.T) {
	if _, _, err := ReadDirs([]string{t.TempDir(), filepath.Join(t.TempDir(), "none")}, Defaults{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that wraps fs.ErrNotExist", err)
	}
}

func TestDuplicateHostAndService(t *testing.T) {
	host := good(t, "host", Defaults{})
	named := host
	named.File, named.Description = "named.cfg", "another name" // a host check is of its host, whatever it is called
	service := good(t, "byte_order_mark", Defaults{})
	got := Duplicates([]Check{host, service, named})
	if len(got) != 1 || got[0].String() != `named.cfg: reports the host "web1", as host.cfg does already` {
		t.Errorf("warnings %v", got)
	}
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10.0.0.1", "10.0.0.1:5678"},
		{"10.0.0.1:1", "10.0.0.1:1"},
		{"nagios.example.org:65535", "nagios.example.org:65535"},
		{"host_1.local.", "host_1.local.:5678"},
		{"4u", "4u:5678"},
		{"::1", "[::1]:5678"},
		{"[::1]", "[::1]:5678"},
		{"[::1]:80", "[::1]:80"},
		{"[fe80::1%eth0]:80", "[fe80::1%eth0]:80"},
		{"2001:db8::5678", "[2001:db8::5678]:5678"},
	} {
		if got, err := ParseAddress(c.in); got != c.want || err != nil {
			t.Errorf("ParseAddress(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"", "names no host"}, {":80", "names no host"}, {"a:", `port ""`}, {"a:0", `port "0"`}, {"a:65536", `port "65536"`},
		{"a:+80", `port "+80"`}, {"a:http", `port "http"`}, {"a b", `' '`}, {"http://a", `"//a"`}, {"a/b", `'/'`}, {"a..b", "empty"},
		{"10.0.0.256", "IPv4"}, {"10.0.0", "IPv4"}, {"1:2:3", "[::1]:5678"}, {"[a]:80", "between its brackets"}, {"[10.0.0.1]", "between its brackets"},
		{"[::1", `without a "]"`}, {"[::1]80", `after "]"`}, {"[::1]:", `port ""`}, {strings.Repeat("a", 64), "longer than 63"},
		{strings.Repeat("a.", 127), "more than 253"}, {"bücher.example", "'ü'"},
	} {
		if got, err := ParseAddress(c.in); err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("ParseAddress(%q) = %q, %v, want an error with %q", c.in, got, err, c.want)
		}
	}
}

// What looks like a check and is not read is named.
func TestReadDirNamesWhatItPassesOver(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.json", "b.CFG", "c.conf", "d.cfg~", "e.cfg.sample", "README", ".f.json"} {
		write(t, dir, name, "{")
	}
	for _, name := range []string{"web", ".git", "..data", "lost+found"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("web", filepath.Join(dir, "wiki")); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := ReadDirs([]string{dir}, Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		"a.json: is not read: the name of a check file ends in .cfg, not in .json",
		"b.CFG: is not read: the name of a check file ends in .cfg, not in .CFG",
		"c.conf: is not read: the name of a check file ends in .cfg, not in .conf",
		"web: is a directory, and check files in directories below are not read: put them beside it, or name it with another --confdir",
		"wiki: is a directory, and check files in directories below are not read: put them beside it, or name it with another --confdir",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReadDirsTogether(t *testing.T) {
	a, b, link, empty := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "link"), t.TempDir()
	service := string(read(t, "testdata/good/number_in_string.cfg"))
	write(t, a, "one.cfg", service)
	write(t, b, "two.cfg", service)
	write(t, a, "both.cfg", service)
	write(t, b, "both.cfg", "{")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(a, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, below, "three.cfg", "{")
	files, warnings, err := ReadDirs([]string{b, a, link, empty, a + "/", below + "/"}, Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		if got = append(got, f.Name); f.Err != nil {
			got = append(got, f.Err.Error())
		}
	}
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		"both.cfg", "both.cfg: is there twice, as " + b + "/both.cfg and as " + a + "/both.cfg: rename or remove one of them",
		"one.cfg", "three.cfg", "three.cfg:1:1: not JSON: unexpected end of JSON input; a closing bracket or quote is missing", "two.cfg",
		empty + ": holds no *.cfg",
		`two.cfg: reports the service "disk" of host "web1", as one.cfg does already`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
