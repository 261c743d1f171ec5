package access

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/certs/certstest"

	"github.com/rs/zerolog"
)

// followed is a Follower of a directory with one client, which Run does not run, and
// what it logged.
type followed struct {
	*Follower
	dir string
	log bytes.Buffer
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	set, err := certstest.WriteSet(t.TempDir(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	dir, problems, err := Open(t.Context(), set.AllowedDir, Commands{})
	if err != nil {
		t.Fatal(err)
	}
	f := &followed{dir: set.AllowedDir}
	log := zerolog.New(zerolog.SyncWriter(&f.log))
	f.Follower = &Follower{Directory: dir, Log: log, Files: logx.NewThrottle(log, logx.Limits{}), Asked: func() {}, Read: func(bool) {}}
	f.LogRead(problems, true)
	return f
}

// lines counts the lines of the log with a text in them.
func (f *followed) lines(text string) (n int) {
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// What was read at the start is not told again because the watch makes sure of it.
func TestTheListingIsToldOnce(t *testing.T) {
	f := newFollowed(t)
	const line = "read the directory of allowed clients"
	before := f.lines(line)
	f.reread(t.Context(), false)
	if n := f.lines(line); n != before {
		t.Errorf("told %d times more", n-before)
	}
	f.reread(t.Context(), true)
	if err := os.WriteFile(filepath.Join(f.dir, "junk.pem"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f.reread(t.Context(), false)
	if n := f.lines(line); n != before+2 {
		t.Errorf("asked, and after a change, told %d times", n-before)
	}
}

// Problems of the allowed directory are told once, however often it is touched,
// and told again when they are others.
func TestOnlyNewProblemsAreTold(t *testing.T) {
	f := newFollowed(t)
	policy := filepath.Join(f.dir, "web1.json")
	for step, text := range []string{`{"hsts": []}`, `{"hosts": 1}`} {
		if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for n := range 50 {
			if err := os.Chtimes(policy, time.Time{}, time.Unix(int64(n), 0)); err != nil {
				t.Fatal(err)
			}
			f.reread(t.Context(), false)
		}
		if n := f.lines("until its policy is mended"); n != step+1 {
			t.Errorf("%q is told in %d lines", text, n)
		}
	}
	for n := range 1000 {
		if err := os.WriteFile(filepath.Join(f.dir, fmt.Sprintf("junk%d.pem", n)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := f.lines("")
	for range 5 {
		f.reread(t.Context(), false)
	}
	if n := f.lines("") - before; n > 150 {
		t.Errorf("a thousand bad files made %d lines", n)
	}
	if n := f.lines("until the file of its certificates is mended"); n < 50 {
		t.Errorf("of a thousand bad files %d were told", n)
	}
}
