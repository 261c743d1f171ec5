package app

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// call runs the program in this process, for commands that end by themselves.
func call(args ...string) (code int, stdout, stderr string) {
	var out, problems strings.Builder
	code = run(args, streams{args: args, stdin: strings.NewReader(""), stdout: &out, stderr: &problems})
	return code, out.String(), problems.String()
}

// everyOption calls do with each option of each command, those below pki too.
func everyOption(do func(m manual, o option)) {
	var walk func(m manual)
	walk = func(m manual) {
		for _, o := range m.options {
			do(m, o)
		}
		for _, c := range m.commands {
			walk(c)
		}
	}
	for _, m := range manuals() {
		walk(m)
	}
}

// Every option is told of in help, man page and completions, and has a
// variable of its own.
func TestEveryOptionIsToldOf(t *testing.T) {
	scripts := map[string]string{}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text, err := completion(shell)
		if err != nil {
			t.Fatal(err)
		}
		scripts[shell] = text
	}
	count := 0
	everyOption(func(m manual, o option) {
		count++
		top, err := findManual(m.word)
		if err != nil {
			t.Fatal(err)
		}
		name := o.names[0]
		if !strings.Contains(m.text(), "  "+o.calls()) || !strings.Contains(top.page("1"), ".B "+roff(o.calls())+"\n") {
			t.Errorf("%s of %s is missing in the help or the man page", name, m.name)
		}
		bare := strings.TrimLeft(name, "-")
		if !strings.Contains(scripts["bash"], name) || !strings.Contains(scripts["zsh"], name+"[") || !strings.Contains(scripts["fish"], " "+bare) {
			t.Errorf("%s of %s is missing in a completion", name, m.name)
		}
		if len(bare) > 1 && bare != "help" && bare != "version" && o.variable == "" {
			t.Errorf("%s of %s has no variable", name, m.name)
		}
		if o.usage == "" {
			t.Errorf("%s of %s has no text", name, m.name)
		}
	})
	if count < 90 {
		t.Errorf("only %d options were looked at", count)
	}
}

// Options of one command must not share a variable.
func TestVariablesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	everyOption(func(m manual, o option) {
		key := m.name + " " + o.variable
		if o.variable != "" && seen[key] {
			t.Errorf("%s has %s twice", m.name, o.variable)
		}
		seen[key] = true
		if !strings.HasPrefix(o.variable, environmentPrefix) && o.variable != "" {
			t.Errorf("%s has %s", m.name, o.variable)
		}
	})
}

// What topics and man pages say of options is true of some command.
func TestTextsNameRealOptions(t *testing.T) {
	var known []string
	everyOption(func(_ manual, o option) { known = append(known, o.names...) })
	texts := map[string]string{}
	for _, name := range topics() {
		text, err := topic(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = text
		code, stdout, stderr := call("massive-passive", "help", name)
		if code != 0 || stdout != text || stderr != "" {
			t.Errorf("help %s: %d, %q", name, code, stderr)
		}
	}
	for _, m := range manuals() {
		if text, err := practiceFiles.ReadFile("man/" + m.word + ".txt"); err == nil {
			texts["man page "+m.word] = string(text)
		}
	}
	for name, text := range texts {
		for _, option := range regexp.MustCompile(`(^|[ (])(--[a-z][a-z0-9-]*)`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, option[2]) {
				t.Errorf("%s names %s, which there is not", name, option[2])
			}
		}
	}
}

// Each man page has the sections that people look for.
func TestManPagesHaveTheirSections(t *testing.T) {
	daemon := []string{"FILES", "EXIT STATUS", "SIGNALS", "EXAMPLES"}
	for word, sections := range map[string][]string{"client": daemon, "server": daemon,
		"send": {"FILES", "EXIT STATUS", "EXAMPLES"}, "status": {"FILES", "EXIT STATUS", "EXAMPLES"}, "pki": {"FILES", "EXIT STATUS", "EXAMPLES"}} {
		code, page, stderr := call("massive-passive", "help", "man", word)
		if code != 0 {
			t.Fatal(stderr)
		}
		for _, section := range append([]string{"NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "LICENSE", "SEE ALSO"}, sections...) {
			if strings.Count(page, "\n.SH "+section+"\n") != 1 {
				t.Errorf("the page of %s has no section %s, or several", word, section)
			}
		}
	}
}

func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		return // TestEveryOptionIsToldOf looked at the text
	}
	script, err := completion("bash")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ words, want string }{
		{"massive-passive ser", "server"},
		{"massive-passive client --check-", "--check-config"},
		{"massive-passive-server --allowed", "--allowed-client-cert-dir"},
		{"massive-passive-pki req", "request"},
		{"massive-passive help cr", "cron"},
	} {
		words := strings.Fields(x.words)
		out, err := exec.Command(bash, "-c", script+"\nCOMP_WORDS=("+x.words+"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _massive_passive; echo \"${COMPREPLY[*]}\"").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != x.want {
			t.Errorf("%q completes %q to %q, %v", x.words, words[len(words)-1], out, err)
		}
	}
}
