package app

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference instead of comparing it")

const referenceDir = "../../docs/reference"

// TestReference holds docs/reference to the options that there are. `make docs`
// writes it.
func TestReference(t *testing.T) {
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString("# Reference\n\nMade from the program itself by `make docs`; `massive-passive help` shows the same.\n\n")
	for _, m := range manuals() {
		if m.word == "help" {
			continue
		}
		pages[m.word+".md"] = m.markdown("# ")
		fmt.Fprintf(&index, "- [massive-passive %s](%s.md): %s\n", m.word, m.word, m.usage)
	}
	for _, name := range topics() {
		text, err := topic(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[name+".md"] = fmt.Sprintf("# %s\n\n```text\n%s```\n", strings.ReplaceAll(name, "-", " "), text)
		fmt.Fprintf(&index, "- [%s](%s.md)\n", strings.ReplaceAll(name, "-", " "), name)
	}
	pages["README.md"] = index.String()
	if *update {
		writeReference(t, pages)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(referenceDir, name))
		if err != nil || string(got) != want {
			t.Errorf("docs/reference/%s does not say what the program says (%v): run `make docs`", name, err)
		}
	}
	entries, err := os.ReadDir(referenceDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, made := pages[e.Name()]; !made {
			t.Errorf("docs/reference/%s is made from nothing: remove it", e.Name())
		}
	}
}

func writeReference(t *testing.T, pages map[string]string) {
	t.Helper()
	if err := os.MkdirAll(referenceDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(referenceDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// markdown is a command's page of the reference.
func (m manual) markdown(heading string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n\n%s.\n\n", heading, m.name, strings.ToUpper(m.usage[:1])+m.usage[1:])
	call := m.name
	if len(m.options) > 0 {
		call += " [options]"
	}
	if len(m.commands) > 0 {
		call += " COMMAND"
	}
	fmt.Fprintf(&b, "```text\n%s\n```\n", strings.TrimSpace(call+" "+m.arguments))
	if m.description != "" {
		fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.TrimSpace(m.description))
	}
	group := ""
	for _, o := range m.options {
		if o.group != group {
			group = o.group
			fmt.Fprintf(&b, "\n#%s%s\n\n| option | meaning | default | variable |\n| --- | --- | --- | --- |\n", heading, group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.calls(), cell(o.usage), code(o.standard), code(o.variable))
	}
	for _, c := range m.commands {
		b.WriteString("\n" + c.markdown("#"+heading))
	}
	return b.String()
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
