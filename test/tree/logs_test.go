package tree

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// throttled are the folders where a peer can cause what is logged.
var throttled = []string{"client", "sender", "server", "wire"}

// unthrottled are the functions there that log without a Throttle, by the
// occasion that bounds how often they do.
var unthrottled = map[string][]string{
	"a start or a stop": {
		"outbox.Open", "outbox.OpenState", "outbox.Outbox.logLeft", "client.Client.Run", "client.Client.run", "client.Client.logLoose", "client.Client.reporter",
		"intake.Open", "intake.Intake.logForgotten", "server.Server.fitFiles", "server.Server.listen", "server.Server.makeSink", "server.Server.openOwner",
		"server.Server.openSinks", "server.Server.logOtherSink", "server.Server.logOtherSink", "server.Server.Run", "server.Server.run", "server.Server.reporter", "server.Server.logLoose", "server.Server.logOwn",
	},
	"a change that somebody made to files of this machine": {
		"client.Client.keepLoading", "client.Client.loadCertificates", "client.Client.reload", "client.checks.load", "client.checks.logBad", "client.checks.logNeverAgain",
		"routes.Routes.keepAddresses", "routes.Routes.delivery", "access.Follower.Run", "server.Server.loadCertificates",
		"access.Follower.LogRead", "access.Follower.logUnread", "server.Server.warnPassedBy",
	},
	"a minute's look at the disk": {"routes.Routes.reopen", "outbox.Outbox.moveTo", "outbox.Outbox.onDisk", "outbox.hangs.watch"},
	"a day":                       {"client.Client.logEnding", "server.Server.logEnding"},
}

// TestNoLogLineEscapesTheThrottle finds calls of a logger itself. Lines of the
// level debug are for who asked for all.
func TestNoLogLineEscapesTheThrottle(t *testing.T) {
	found := map[string]bool{}
	var allowed []string
	for _, functions := range unthrottled {
		allowed = append(allowed, functions...)
	}
	throttles := 0
	for _, s := range tree(t) {
		if s.test() || !slices.ContainsFunc(throttled, func(dir string) bool { return s.dir() == dir || strings.HasPrefix(s.dir(), dir+"/") }) {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := s.file.Name.Name + "." + receiver(f) + f.Name.Name
			ast.Inspect(f, func(n ast.Node) bool {
				switch call, ok := n.(*ast.CallExpr); {
				case !ok:
				case callsThrottle(call):
					throttles++
				case logs(call):
					found[name] = true
					if !slices.Contains(allowed, name) {
						t.Errorf("%s: %s logs without a Throttle: who can have it log a million lines?", s.set.Position(call.Pos()), name)
					}
				}
				return true
			})
		}
	}
	for _, name := range allowed {
		if !found[name] {
			t.Errorf("%s logs nothing without a Throttle: take it off the list", name)
		}
	}
	if throttles < 40 {
		t.Errorf("%d calls of a Throttle were found: this test looks for the wrong thing", throttles)
	}
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	switch kind := f.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		if name, ok := kind.X.(*ast.Ident); ok {
			return name.Name + "."
		}
	case *ast.Ident:
		return kind.Name + "."
	}
	return ""
}

// levels are the methods that begin a line, of a logger and of a Throttle.
var levels = []string{"Trace", "Info", "Warn", "Error", "Fatal", "Panic", "Log", "Err", "WithLevel", "Print", "Printf", "Println"}

// logs tells a logger's Warn() by its name and its arguments: a Throttle's has
// two.
func logs(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(levels, method.Sel.Name) || len(call.Args) > 1 {
		return false
	}
	var on string
	switch x := method.X.(type) {
	case *ast.Ident:
		on = x.Name
	case *ast.SelectorExpr:
		on = x.Sel.Name
	}
	return strings.HasSuffix(strings.ToLower(on), "log") || strings.HasSuffix(strings.ToLower(on), "logger")
}

func callsThrottle(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && len(call.Args) == 2 && slices.Contains([]string{"Info", "Warn", "Error"}, method.Sel.Name)
}
