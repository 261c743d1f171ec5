package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestLinks holds every link in the documents that stays in this repository to a
// file and a heading that there are.
func TestLinks(t *testing.T) {
	count := 0
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && name != "." && strings.HasPrefix(e.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text := prose(t, name)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			count++
			file, anchor, _ := strings.Cut(found[1], "#")
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", name, found[1], err)
			} else if anchor != "" && !anchors(prose(t, to))[anchor] {
				t.Errorf("%s links to %s, and %s has no such heading", name, found[1], to)
			}
		}
		return nil
	})
	if err != nil || count < 50 {
		t.Errorf("%d links were found, %v", count, err)
	}
}

// prose is a document without its blocks of code.
func prose(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fenced.ReplaceAllString(string(data), "")
}

// anchors are those of a document's headings, as the usual renderers make them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		all[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(h[1]))] = true
	}
	return all
}

// mostReadme is how long the README may be: it is read by who does not know yet
// whether to read on.
const mostReadme = 8192

func TestReadmeIsShort(t *testing.T) {
	info, err := os.Stat("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > mostReadme {
		t.Errorf("README.md has %d bytes, more than %d", info.Size(), mostReadme)
	}
}
