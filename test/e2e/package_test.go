//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The versions of the packages that are tried: the one in VERSION, by which the
// README calls them, and one that replaces it.
func packagedFirst() string {
	text, err := os.ReadFile("VERSION")
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(text))
}

func packagedLater() string { return packagedFirst() + ".1" }

// builtPackages are made once for all tests.
var builtPackages = sync.OnceValues(func() (string, error) {
	var said strings.Builder
	for _, more := range []string{"", "VERSION=" + packagedLater()} {
		build := exec.Command("make", strings.Fields("packages ARCHES="+runtime.GOARCH+" "+more)...)
		build.Stdout, build.Stderr = &said, &said
		if err := build.Run(); err != nil {
			return said.String(), err
		}
	}
	return said.String(), nil
})

func buildPackages(t *testing.T) {
	t.Helper()
	if said, err := builtPackages(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// inMachine runs a script of packaging/tests in a machine of its own.
func inMachine(t *testing.T, args ...string) {
	t.Helper()
	buildPackages(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	machine := exec.CommandContext(ctx, "packaging/tests/machine", args...)
	machine.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	machine.Cancel = func() error { return syscall.Kill(-machine.Process.Pid, syscall.SIGKILL) }
	out, err := machine.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "all is well") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestE2EPackageWithoutSystemd(t *testing.T) {
	inMachine(t, "/source/packaging/tests/sysv", packagedFirst(), packagedLater())
}

func TestE2EPackageWithSystemd(t *testing.T) {
	inMachine(t, "--systemd", "/source/packaging/tests/systemd", packagedFirst(), packagedLater())
}

func TestE2EPackageOfAUser(t *testing.T) {
	inMachine(t, "--systemd", "/source/packaging/tests/user", packagedFirst())
}

// The first steps of the README, word by word, up to a green service, and to UNKNOWN
// when the client dies.
func TestE2EPackageFirstStepsWithNagios(t *testing.T) {
	inMachine(t, "--systemd", "/source/packaging/tests/newcomer", packagedFirst(), "nagios")
}

func TestE2EPackageFirstStepsWithIcinga(t *testing.T) {
	inMachine(t, "--systemd", "/source/packaging/tests/newcomer", packagedFirst(), "icinga")
}

// built is the first version of a package, for this machine.
func built(t *testing.T, name, kind string) string {
	t.Helper()
	buildPackages(t)
	patterns := []string{name + "_" + packagedFirst() + "-1_" + runtime.GOARCH + ".deb", name + "_" + packagedFirst() + "-1_all.deb"}
	if kind == "rpm" {
		machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
		patterns = []string{name + "-" + packagedFirst() + "-1." + machine + ".rpm", name + "-" + packagedFirst() + "-1.noarch.rpm"}
	}
	for _, file := range patterns {
		if _, err := os.Stat(filepath.Join("dist", file)); err == nil {
			return filepath.Join("dist", file)
		}
	}
	t.Fatalf("there is none of %q", patterns)
	return ""
}

func TestE2EPackageLintian(t *testing.T) {
	for _, name := range []string{"massive-passive", "massive-passive-init", "massive-passive-send-nsca"} {
		file := built(t, name, "deb")
		out, err := exec.Command("lintian", "--allow-root", "--pedantic", "--fail-on", "error,warning,info,pedantic", file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// Both kinds of package have the same files, but for what their distributions
// want elsewhere.
func TestE2EPackageListings(t *testing.T) {
	elsewhere := []*regexp.Regexp{
		regexp.MustCompile(`^(/usr)?/lib/systemd/system(-generators)?/`),
		regexp.MustCompile(`^/usr/share/zsh/(vendor-completions|site-functions)/`),
	}
	debOnly := regexp.MustCompile(`^/usr/share/(lintian/|doc/[^/]*/(copyright|changelog\.Debian\.gz)$)`)
	rpmOnly := regexp.MustCompile(`^/usr/share/licenses/`)
	normal := func(path string) string {
		for _, place := range elsewhere {
			path = place.ReplaceAllString(path, "ELSEWHERE$2/")
		}
		return path
	}
	for _, name := range []string{"massive-passive", "massive-passive-init", "massive-passive-send-nsca"} {
		deb := listing(t, "dpkg-deb", "--fsys-tarfile", built(t, name, "deb"))
		rpm := listing(t, "rpm", "-qpl", built(t, name, "rpm"))
		for _, path := range deb {
			if !debOnly.MatchString(path) && !slices.ContainsFunc(rpm, func(p string) bool { return normal(p) == normal(path) }) {
				t.Errorf("the .rpm of %s lacks %s", name, path)
			}
		}
		for _, path := range rpm {
			if !rpmOnly.MatchString(path) && !slices.ContainsFunc(deb, func(p string) bool { return normal(p) == normal(path) }) {
				t.Errorf("the .deb of %s lacks %s", name, path)
			}
		}
	}
}

// listing is what a package holds but for directories on the way, which only
// one kind lists.
func listing(t *testing.T, args ...string) (paths []string) {
	t.Helper()
	command := args
	if args[0] == "dpkg-deb" {
		command = []string{"sh", "-c", `"$@" | tar -t`, "sh", args[0], args[1], args[2]}
	}
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	all := strings.Fields(string(out))
	for i, path := range all {
		all[i] = "/" + strings.Trim(strings.TrimPrefix(path, "."), "/")
	}
	for _, path := range all {
		if !slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, path+"/") }) &&
			(args[0] == "rpm" || !strings.HasSuffix(path, "/")) {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Fatalf("%q lists nothing", args)
	}
	return paths
}

// What the man pages, completions and scripts are written in is understood by
// who reads it.
func TestE2EPackageTexts(t *testing.T) {
	dir := t.TempDir()
	buildPackages(t)
	out, err := exec.Command("dpkg-deb", "-x", built(t, "massive-passive", "deb"), dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, command := range []string{
		`for page in "$1"/usr/share/man/man8/*.8.gz; do zcat "$page" | mandoc -T lint -W error || exit 1; done`,
		`for page in "$1"/usr/share/man/man8/*.8.gz; do zcat "$page" | groff -man -Tutf8 -ww 2>&1 >/dev/null | grep . && exit 1; done; true`,
		`zsh -n "$1"/usr/share/zsh/vendor-completions/_massive-passive`,
		`fish -c "source $1/usr/share/fish/vendor_completions.d/massive-passive.fish; complete -C'massive-passive-client --confd'" | grep -q '^--confdir'`,
		`"$1"/usr/sbin/massive-passive help | grep -q Commands`,
		`for script in packaging/daemon packaging/build packaging/init/* packaging/rpm/* $(find packaging/tests -type f) packaging/deb/*inst packaging/deb/*rm; do
			sh -n "$script" || exit 1; done`,
	} {
		if out, err := exec.Command("sh", "-c", command, "sh", dir).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/massive-passive/allowed-client-cert.d")); err != nil {
		t.Error(err)
	}
}
