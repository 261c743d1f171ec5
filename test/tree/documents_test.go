package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// block is one of a document's blocks, with the mark above it if there is one.
	block  = regexp.MustCompile("(?m)^(<!-- (.*) -->\n)?( *)```(.*)$")
	notRun = regexp.MustCompile(`^not run: \S`)
	// quotedRow is a row whose first cell has what the program says, each in backticks.
	quotedRow = regexp.MustCompile("(?m)^\\| ([^|]*`[^|]*) \\|")
	quoted    = regexp.MustCompile("`([^`]+)`")
	// indented is a block of code by indentation, which nothing can tell from text.
	indented = regexp.MustCompile(`(?m)^\n( {4}|\t)\S`)
)

// scenes is where the scripts are by which packaging/tests/document runs pages.
const scenes = "packaging/tests/documents"

// TestCommandsInDocuments holds that every block of commands in the documents is
// run by a test, or carries the reason why it is not; and that what runs the pages
// has none that is not there.
func TestCommandsInDocuments(t *testing.T) {
	run := map[string]bool{}
	for _, name := range documents(t, ".") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		count := commandsRun(t, name, string(data))
		page, isPage := strings.CutPrefix(strings.TrimSuffix(name, ".md"), "docs/")
		scene := filepath.Join(scenes, page+".sh")
		switch _, err := os.Stat(scene); {
		case name == "README.md": // packaging/tests/newcomer runs what stands between its marks
		case !isPage && count > 0:
			t.Errorf("%s has %d blocks of commands that nothing runs: say why above each, as <!-- not run: REASON -->", name, count)
		case isPage && count > 0 && err != nil:
			t.Errorf("%s has %d blocks of commands to run, and there is no %s", name, count, scene)
		case isPage && count > 0:
			run[scene] = true
		}
	}
	for _, scene := range files(t, scenes, ".sh") {
		if !run[scene] {
			t.Errorf("%s is for a page that has no commands to run", scene)
		}
	}
	if len(run) < 15 {
		t.Errorf("only %d pages are run", len(run))
	}
}

// commandsRun counts a document's blocks of commands that carry no reason, and
// reports blocks of which nobody can say whether they are commands.
func commandsRun(t *testing.T, name, text string) (count int) {
	t.Helper()
	open := false
	for _, b := range block.FindAllStringSubmatch(text, -1) {
		mark, indent, language := b[2], b[3], b[4]
		if open = !open; !open {
			if language != "" || indent != "" {
				t.Errorf("%s: a block ends with %q", name, indent+"```"+language)
			}
			continue
		}
		switch {
		case indent != "" || language == "":
			t.Errorf("%s: a block begins with %q: begin it at the line's start, with sh for commands, text or json else", name, indent+"```"+language)
		case language == "sh" && notRun.MatchString(mark):
		case language == "sh" && name == "README.md" && !strings.HasPrefix(mark, "first steps"):
			t.Errorf("%s: the block after %q is not run: packaging/tests/newcomer runs the first steps only", name, mark)
		case language == "sh":
			count++
		}
	}
	if found := indented.FindString(fenced.ReplaceAllString(text, "")); found != "" {
		t.Errorf("%s: a block is indented at %q: put it between ```sh or ```text and ```", name, found)
	}
	return count
}

// documents are what people read in this repository.
func documents(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, name := range files(t, dir, ".md") {
		if filepath.Base(name) != "CHANGELOG.md" && !strings.Contains(name, "testdata/") {
			all = append(all, name)
		}
	}
	return all
}

func files(t *testing.T, dir, extension string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && name != dir && (strings.HasPrefix(e.Name(), ".") || name == "dist") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == extension {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestEveryPageIsLinked holds that the README leads to every page of docs/.
func TestEveryPageIsLinked(t *testing.T) {
	found := map[string]bool{"README.md": true}
	for next := []string{"README.md"}; len(next) > 0; next = next[1:] {
		for _, to := range link.FindAllStringSubmatch(prose(t, next[0]), -1) {
			file, _, _ := strings.Cut(to[1], "#")
			name := filepath.Join(filepath.Dir(next[0]), file)
			if filepath.Ext(name) == ".md" && !strings.Contains(to[1], "://") && !found[name] {
				found[name] = true
				next = append(next, name)
			}
		}
	}
	for _, name := range files(t, "docs", ".md") {
		if !found[name] {
			t.Errorf("no way leads from the README to %s", name)
		}
	}
}

// TestMessagesInDocuments holds that every message that these pages quote, in the
// first column of a table, is in the program; "..." stands for what differs.
func TestMessagesInDocuments(t *testing.T) {
	var program strings.Builder
	for _, name := range files(t, ".", ".go") {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		program.Write(data)
	}
	for _, page := range []string{"docs/operate/why-is-it-stale.md", "docs/how-to/massive-passive-0.3.9.md"} {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, row := range quotedRow.FindAllStringSubmatch(string(data), -1) {
			for _, message := range quoted.FindAllStringSubmatch(row[1], -1) {
				for part := range strings.SplitSeq(message[1], "...") {
					if part = strings.TrimSpace(part); part != "" {
						count++
					}
					if !strings.Contains(program.String(), part) {
						t.Errorf("%s quotes %q, and the program says no such thing as %q", page, message[1], part)
					}
				}
			}
		}
		if count < 5 {
			t.Errorf("%s quotes %d messages", page, count)
		}
	}
}
