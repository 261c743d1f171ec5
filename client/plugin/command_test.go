package plugin

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

func TestParsePlain(t *testing.T) {
	env := map[string]string{"TESTERTEST": "moep!", "ARGS": "-w 5 -c 10", "EMPTY": "", "P": "/opt/plugins"}
	for _, c := range []struct {
		line string
		want []string
	}{
		{"/bin/echo 'hello this is an environment test: $TESTERTEST'", []string{"/bin/echo", "hello this is an environment test: moep!"}},
		{" check_load  -w\t5 ", []string{"check_load", "-w", "5"}},
		{"check_load\n", []string{"check_load"}},
		{"c '' \"\"", []string{"c", "", ""}},
		{"c a'b c'\"d e\"f", []string{"c", "ab cd ef"}},
		{"$P/check_x ${TESTERTEST}s \"<$TESTERTEST>\"", []string{"/opt/plugins/check_x", "moep!s", "<moep!>"}},
		{"c $ARGS", []string{"c", "-w 5 -c 10"}},
		{"c $EMPTY", []string{"c", ""}},
		{"c $NOT_THERE ${NOT_THERE} '$NOT_THERE'", []string{"c", "$NOT_THERE", "${NOT_THERE}", "$NOT_THERE"}},
		{"c '$(x) `y` ${z:-1} $1 $' 5$", []string{"c", "$(x) `y` ${z:-1} $1 $", "5$"}},
		{"c a=b --x=y,z a#b a~b %@+^]}{ 'glob*' '\\n'", []string{"c", "a=b", "--x=y,z", "a#b", "a~b", "%@+^]}{", "glob*", "\\n"}},
		{"'A=b' c", []string{"A=b", "c"}},
		{"echo if cd", []string{"echo", "if", "cd"}},
		{"c \"it's\" '\"'", []string{"c", "it's", "\""}},
		{"c \xff\xfe ü", []string{"c", "\xff\xfe", "ü"}},
	} {
		got, err := Parse(c.line, env)
		if err != nil || !slices.Equal(got.Words(), c.want) {
			t.Errorf("Parse(%q) = %q, %v, want %q", c.line, got.Words(), err, c.want)
		}
	}
}

func TestParseForTheShell(t *testing.T) {
	for _, line := range []string{
		"a | b", "a; b", "a & ", "a && b", "a || b", "a > b", "a < b", "a 2>&1", "(a)", "a `b`", "a $(b)",
		"a *.c", "a ?", "a [x]", "a \\b", "a \"\\b\"", "a \"$(b)\"", "a \"`b`\"", "a # b", "a ~", "a ~/x", "a x=~/y", "a p:~",
		"FOO=1 a", "FOO+=1 a", "FOO='1' a", "a ${x:-y}", "a ${x", "a $1", "a $$", "a $?", "a \"$1\"", "a $'x'", "a $\"x\"", "a \"x$\"",
		"a\nb", "cd /tmp", "exit 2", "if true", "! a", "{ a", ". x", ": x", "exec a", "time a", "'cd' x",
	} {
		got, err := Parse(line, map[string]string{"CD": "cd"})
		if want := []string{"/bin/sh", "-c", line}; err != nil || !slices.Equal(got.Words(), want) {
			t.Errorf("Parse(%q) = %q, %v, want %q", line, got.Words(), err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		line string
		env  map[string]string
		want string
	}{
		{"", nil, "empty"},
		{" \t\n", nil, "empty"},
		{"a 'b c", nil, `quote ' that begins at "'b c" has no end`},
		{`a "b c`, nil, `has no end`},
		{"a\x00b", nil, "NUL"},
		{"''", nil, "names no program"},
		{"$X a", map[string]string{"X": ""}, "names no program"},
		{"a", map[string]string{"": "x"}, "without a name"},
		{"a", map[string]string{"X=Y": "x"}, `"X=Y"`},
		{"a", map[string]string{"X": "a\x00"}, "NUL"},
		{"a $X", map[string]string{"X": "a\x00"}, "NUL"},
	} {
		got, err := Parse(c.line, c.env)
		if err == nil || !strings.Contains(err.Error(), c.want) || !got.Equal(Command{}) {
			t.Errorf("Parse(%q, %q) = %q, %v, want an error with %q and no command", c.line, c.env, got.Words(), err, c.want)
		}
	}
}

func TestList(t *testing.T) {
	words := []string{"/bin/x", "$HOME", "a | b", "*"}
	c, err := List(words, map[string]string{"HOME": "/root", "B": "2", "A": "1"})
	if err != nil || !slices.Equal(c.Words(), words) {
		t.Errorf("List = %q, %v, want the words as they stand", c.Words(), err)
	}
	if want := []string{"A=1", "B=2", "HOME=/root"}; !slices.Equal(c.env, want) {
		t.Errorf("environment = %q, want %q", c.env, want)
	}
	words[0] = "/bin/other"
	if c.Words()[0] != "/bin/x" {
		t.Error("the command changed with the slice it was made of")
	}
	for _, bad := range [][]string{nil, {""}, {"a", "b\x00"}} {
		if _, err := List(bad, nil); err == nil {
			t.Errorf("List(%q) gave no error", bad)
		}
	}
}

func TestEqual(t *testing.T) {
	one, _ := Parse("a 'b'", map[string]string{"X": "1", "Y": "2"})
	for _, c := range []struct {
		line string
		env  map[string]string
		want bool
	}{
		{"a  b", map[string]string{"Y": "2", "X": "1"}, true},
		{"a c", map[string]string{"X": "1", "Y": "2"}, false},
		{"a b", map[string]string{"X": "1"}, false},
		{"a b;", map[string]string{"X": "1", "Y": "2"}, false},
	} {
		other, err := Parse(c.line, c.env)
		if err != nil || one.Equal(other) != c.want {
			t.Errorf("Equal to %q %v = %v, %v, want %v", c.line, c.env, !c.want, err, c.want)
		}
	}
}

// FuzzParse holds Parse beside a complete shell parser: a line that it takes
// for plain must be one simple command of literal words for that one too, and
// the same words.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"/bin/echo 'a $B c' \"d e\"f", "a|b", "a=b c", "a $", "a ${x}", "x a=~b", "a 'b", "if x", "a #b", "a \"$\"", "a^b", "a{b,c}", "x !", "a\\\nb",
		"a \"!\"", "x =~", "a }", "a 1>b", "a \"b\"'c'd", "a b\r", "a $A$B${C}", "a $A[1]", "a\v\fb", "a=", "a[1]=b", "a (", "a\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := Parse(line, nil)
		if err != nil {
			if !c.Equal(Command{}) {
				t.Fatalf("error %v and a command %q", err, c.Words())
			}
			return
		}
		if c.byShell || strings.ContainsRune(line, '\r') || !utf8.ValidString(line) {
			return // the other parser drops or refuses these bytes, which no shell does
		}
		want, why := oracle(line)
		if why != "" {
			t.Fatalf("%q was taken for plain: %q; the shell: %s", line, c.words, why)
		}
		if !slices.Equal(c.words, want) {
			t.Fatalf("%q was split to %q, the shell has %q", line, c.words, want)
		}
	})
}

// oracle returns the words of a line that is one simple command without
// anything to expand but variables, which stay as they are written; else why it
// is not.
func oracle(line string) (words []string, why string) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
	if err != nil {
		return nil, err.Error()
	}
	if len(file.Stmts) != 1 {
		return nil, "not one statement"
	}
	s := file.Stmts[0]
	call, ok := s.Cmd.(*syntax.CallExpr)
	switch {
	case !ok:
		return nil, "not a simple command"
	case len(call.Assigns) > 0:
		return nil, "an assignment"
	case len(s.Redirs) > 0 || s.Negated || s.Background || s.Semicolon.IsValid():
		return nil, "more than a command"
	}
	for _, w := range call.Args {
		word, why := literal(w.Parts, "*?[\\")
		if why != "" {
			return nil, why
		}
		words = append(words, word)
	}
	return words, ""
}

// literal puts the parts of a word together; none may hold one of special.
func literal(parts []syntax.WordPart, special string) (text, why string) {
	for i, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(p.Value, special) || i == 0 && special != "\\" && strings.HasPrefix(p.Value, "~") {
				return "", "syntax in " + p.Value
			}
			text += p.Value
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", "a quote with a dollar sign"
			}
			text += p.Value
		case *syntax.DblQuoted:
			inner, why := literal(p.Parts, "\\")
			if why != "" || p.Dollar {
				return "", "in double quotes: " + why
			}
			text += inner
		case *syntax.ParamExp:
			switch {
			case p.Short && IsName(p.Param.Value):
				text += "$" + p.Param.Value
			case !p.Short && IsName(p.Param.Value) && p.Exp == nil && p.Repl == nil && p.Slice == nil && p.Index == nil && !p.Length && !p.Excl:
				text += "${" + p.Param.Value + "}"
			default:
				return "", "an expansion of " + p.Param.Value
			}
		default:
			return "", "an expansion"
		}
	}
	return text, ""
}
