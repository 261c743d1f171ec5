// Package tree holds the source of both modules to the layout: which package may
// import what, and how long files and functions may be.
package tree

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is what the paths of our own packages begin with.
const module = "massive-passive"

// source is one parsed file of the tree.
type source struct {
	path  string // relative to the root, with slashes
	file  *ast.File
	lines int
	set   *token.FileSet
}

func (s source) dir() string { return path.Dir(s.path) }

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns the paths that the file imports.
func (s source) imports(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, spec := range s.file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", s.path, err)
		}
		list = append(list, name)
	}
	return list
}

// forTests tells that a file is in no program that is installed.
func forTests(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "test/")
}

// tree parses all Go files, whatever their build tags.
func tree(t *testing.T) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		switch base := e.Name(); {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (base == "testdata" || base == "dist" || strings.HasPrefix(base, ".")):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(base, ".go"):
			return nil
		}
		s := source{path: filepath.ToSlash(name), set: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.set, name, nil, parser.SkipObjectResolution); err == nil {
			s.lines = s.set.File(s.file.FileStart).LineCount()
			sources = append(sources, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "client", "client/outbox", "client/routes", "internal/app", "sched", "sched/watch", "sender", "server", "wire", "wire/check"} {
		if !slices.ContainsFunc(sources, func(s source) bool { return s.dir() == dir && !s.test() }) {
			t.Errorf("no package was found in %s: this test looks in the wrong place", dir)
		}
	}
	return sources
}

// ours says which folders of our own a package may import from, the folders
// below them included. The longest entry that fits a package counts.
var ours = map[string][]string{
	".":                    {"internal/app"},
	"test":                 {"test/rig", "client", "internal", "sched", "sender", "server", "wire"}, // a module of its own, which drives the whole program
	"internal/app":         {"client", "sender", "server", "internal", "sched", "wire"},
	"internal/pki":         {"internal/disk", "internal/option", "wire"},
	"internal/status":      {"internal/disk", "internal/option", "wire"},
	"internal/disk":        {"internal/disk"},
	"internal/logx":        {},
	"internal/option":      {},
	"internal/core":        {"internal/disk", "wire/check"},
	"client":               {"client", "sender", "internal/status", "internal/disk", "internal/logx", "internal/option", "sched", "wire"}, // a delivery reads the client's journal
	"client/outbox":        {"internal/status", "internal/disk", "internal/logx", "sender", "wire"},                                       // knows no Client; a Reader is a sender.Source
	"client/routes":        {"client/checkfile", "client/outbox", "internal/status", "internal/logx", "sender", "wire"},
	"sender":               {"sender", "internal/disk", "internal/logx", "internal/option", "sched", "wire"},
	"server":               {"server", "internal/core", "internal/status", "internal/disk", "internal/logx", "internal/option", "sched", "wire"},
	"server/access":        {"internal/disk", "internal/logx", "sched/watch", "wire"},
	"server/intake":        {"server/access", "server/intake/record", "internal/core", "internal/disk", "internal/logx", "wire"}, // knows no door and no sink
	"server/intake/record": {"wire"},
	"server/door":          {"server/access", "server/intake", "internal/logx", "wire"}, // a way in: its peers come by the intake's Submit
	"wire":                 {"internal/disk", "wire"},
	"wire/check":           {},
	"sched":                {"sched/zone"},
	"packaging/demo":       {"wire"},
}

// place is where a module may be imported: folders, or files where it ends in
// .go; tests says whether only tests may.
type place struct {
	paths []string
	tests bool
}

// modules lists every module that anything here may import, and where. What is
// not listed has not been weighed.
var modules = map[string]place{
	"github.com/urfave/cli/v2": {paths: []string{"internal/app", "internal/option", "client/command.go", "sender/command.go", "server/command.go",
		"internal/status/command.go", "internal/pki/command.go", "internal/pki/harness_test.go", "sender/plain_test.go", "client/command_test.go"}},
	"github.com/go-co-op/gocron/v2":  {paths: []string{"sched"}},
	"github.com/google/uuid":         {paths: []string{"sched"}}, // what gocron names its jobs by
	"github.com/jonboulle/clockwork": {paths: []string{"sched"}}, // what gocron takes for a clock
	"github.com/fsnotify/fsnotify":   {paths: []string{"sched/watch"}},
	"github.com/rs/zerolog":          {paths: []string{"test/program", "internal/app", "internal/logx", "client", "client/outbox", "client/routes", "sender", "server", "server/access", "server/door", "server/intake", "server/sink"}},
	"github.com/xrash/smetrics":      {paths: []string{"internal/app", "sched"}}, // urfave/cli brings it
	"golang.org/x/sync":              {paths: []string{"wire"}},
	"golang.org/x/sys": {paths: []string{
		"test/bench", "test/faults", "test/hostile", "test/program", "test/rig", "internal/app", "internal/disk", "client", "client/plugin", "sender", "server", "server/access", "server/intake", "server/sink", "wire/journal", "packaging/demo"}},
	"google.golang.org/protobuf": {paths: []string{"wire", "wire/check"}},
	"go.etcd.io/bbolt":           {paths: []string{"wire/journal"}, tests: true},
	"mvdan.cc/sh/v3":             {paths: []string{"client/plugin"}, tests: true},
}

// wrong says what is wrong with a file importing a package; "" if nothing is.
func wrong(file, imported string) string {
	test := forTests(file)
	switch {
	case imported == module || strings.HasPrefix(imported, module+"/"):
		return wrongOurs(path.Dir(file), strings.TrimPrefix(imported, module+"/"), test)
	case imported == "log" || strings.HasPrefix(imported, "log/"):
		return "is a second logger: zerolog is the one"
	case imported == "testing" && !test:
		return "belongs in tests"
	case !strings.Contains(strings.Split(imported, "/")[0], "."):
		return "" // the standard library
	}
	for name, where := range modules {
		if imported == name || strings.HasPrefix(imported, name+"/") {
			return where.wrong(file, test)
		}
	}
	return "is no module that is known here"
}

func (p place) wrong(file string, test bool) string {
	dir := path.Dir(file)
	at := slices.Contains(p.paths, dir) || slices.Contains(p.paths, dir+"/"+path.Base(file))
	switch {
	case !at:
		return fmt.Sprintf("may be imported in %s only", strings.Join(p.paths, ", "))
	case p.tests && !test:
		return "is for tests only"
	}
	return ""
}

func wrongOurs(dir, imported string, test bool) string {
	if imported == "wire/certs/certstest" && (test || dir == "packaging/demo") {
		return ""
	}
	if imported == "wire/certs/certstest" {
		return "makes certificates that protect nothing: it is for tests and the demo"
	}
	rule := dir
	for {
		if _, ok := ours[rule]; ok || rule == "." {
			break
		}
		rule = path.Dir(rule)
	}
	if rule == "." && dir != "." {
		return fmt.Sprintf("%s is a folder that the layout does not know", dir)
	}
	for _, allowed := range ours[rule] {
		if imported == allowed || strings.HasPrefix(imported, allowed+"/") {
			return ""
		}
	}
	return fmt.Sprintf("does not lie below %s: its packages may import %q of ours", rule, ours[rule])
}

// TestImports holds every file to the layout: imports run downwards, and each
// of the libraries stays in its place.
func TestImports(t *testing.T) {
	for _, s := range tree(t) {
		for _, imported := range s.imports(t) {
			if problem := wrong(s.path, imported); problem != "" {
				t.Errorf("%s imports %q, which %s", s.path, imported, problem)
			}
		}
	}
}

// TestImportRules holds the rules to cases that they must let pass or refuse.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		refused        bool
	}{
		{"main.go", "massive-passive/internal/app", false},
		{"main.go", "massive-passive/server", true},
		{"main.go", "github.com/urfave/cli/v2", true},
		{"internal/app/app.go", "massive-passive/server", false},
		{"internal/app/app.go", "github.com/urfave/cli/v2", false},
		{"internal/pki/run.go", "massive-passive/server", true},
		{"server/command.go", "github.com/urfave/cli/v2", false},
		{"server/server.go", "github.com/urfave/cli/v2", true},
		{"test/rig/daemon.go", "massive-passive/server", false},
		{"test/rig/daemon.go", "testing", false},
		{"test/rig/daemon.go", "massive-passive/test/hostile", true},
		{"hostile_test.go", "massive-passive/server", true},
		{"server/server.go", "massive-passive/server/access", false},
		{"server/server.go", "massive-passive/client", true},
		{"server/door/door.go", "massive-passive/server/intake", false},
		{"server/door/door.go", "massive-passive/server/sink", true},
		{"server/intake/intake.go", "massive-passive/server/door", true},
		{"server/access/access.go", "massive-passive/server/intake", true},
		{"server/server_test.go", "massive-passive/sender", true},
		{"client/client.go", "massive-passive/server/intake/record", true},
		{"client/checkfile/parse.go", "massive-passive/client/plugin", false},
		{"client/checkfile/parse.go", "massive-passive", true},
		{"sender/send.go", "massive-passive/client/checkfile", true},
		{"wire/serve.go", "massive-passive/wire/check", false},
		{"wire/serve.go", "massive-passive/server", true},
		{"wire/check/check.go", "massive-passive/wire", true},
		{"sched/sched.go", "massive-passive/wire/check", true},
		{"sched/watch/watch.go", "massive-passive/sched", true},
		{"sched/sched.go", "github.com/go-co-op/gocron/v2", false},
		{"client/client.go", "github.com/go-co-op/gocron/v2", true},
		{"sched/watch/watch.go", "github.com/fsnotify/fsnotify", false},
		{"sched/sched.go", "github.com/fsnotify/fsnotify", true},
		{"server/server.go", "log/slog", true},
		{"wire/serve.go", "github.com/rs/zerolog", true},
		{"wire/journal/journal.go", "go.etcd.io/bbolt", true},
		{"wire/journal/model_test.go", "go.etcd.io/bbolt", false},
		{"server/server.go", "massive-passive/wire/certs/certstest", true},
		{"server/server_test.go", "massive-passive/wire/certs/certstest", false},
		{"server/server.go", "testing", true},
		{"server/server.go", "net/http", false},
		{"server/server.go", "github.com/sirupsen/logrus", true},
		{"misc/misc.go", "massive-passive/wire", true},
	} {
		if problem := wrong(c.file, c.imported); (problem != "") != c.refused {
			t.Errorf("%s importing %q: %q, want it refused: %v", c.file, c.imported, problem, c.refused)
		}
	}
}

// TestNoPatternIsCompiledAtTheStart keeps regular expressions out of the
// initialisation of packages: each call of send would pay for all of them.
func TestNoPatternIsCompiledAtTheStart(t *testing.T) {
	for _, s := range tree(t) {
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || s.test() {
				continue
			}
			for _, spec := range g.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for _, value := range v.Values {
					if call, ok := value.(*ast.CallExpr); ok && strings.HasPrefix(called(call), "regexp.") {
						t.Errorf("%s: %s is called at every start: put it into sync.OnceValue", s.set.Position(call.Pos()), called(call))
					}
				}
			}
		}
	}
}

// called is the package and the name of the function that a call is of.
func called(call *ast.CallExpr) string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if on, ok := f.X.(*ast.Ident); ok {
		return on.Name + "." + f.Sel.Name
	}
	return ""
}

// The most lines of a file, of a function, and of the ninth decile of all
// functions outside of tests. From its first line to its last, both counted.
const (
	mostFile        = 399
	mostFunction    = 80
	mostNinthDecile = 40
)

// TestLengths holds files and functions short enough to be read at once.
func TestLengths(t *testing.T) {
	var lengths []int
	for _, s := range tree(t) {
		if s.lines > mostFile {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, mostFile)
		}
		if s.test() {
			continue
		}
		for name, n := range functions(s) {
			lengths = append(lengths, n)
			if n > mostFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, name, n, mostFunction)
			}
		}
	}
	if n := ninthDecile(lengths); n > mostNinthDecile {
		t.Errorf("the ninth decile of %d functions has %d lines, more than %d", len(lengths), n, mostNinthDecile)
	}
}

// functions returns the length of each function of a file, function literals
// within it included.
func functions(s source) map[string]int {
	lengths := map[string]int{}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			first, last := s.set.Position(f.Pos()).Line, s.set.Position(f.End()).Line
			lengths[fmt.Sprintf("%s in line %d", f.Name.Name, first)] = last - first + 1
		}
	}
	return lengths
}

// ninthDecile is the least length that nine of ten are not longer than.
func ninthDecile(lengths []int) int {
	slices.Sort(lengths)
	if len(lengths) == 0 {
		return 0
	}
	return lengths[(len(lengths)*9+9)/10-1]
}

func TestNinthDecile(t *testing.T) {
	for _, c := range []struct{ count, want int }{{1, 1}, {9, 9}, {10, 9}, {11, 10}, {20, 18}, {100, 90}} {
		lengths := make([]int, c.count)
		for i := range lengths {
			lengths[i] = c.count - i
		}
		if got := ninthDecile(lengths); got != c.want {
			t.Errorf("of 1 to %d: %d, want %d", c.count, got, c.want)
		}
	}
}
