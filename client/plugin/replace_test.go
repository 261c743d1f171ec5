package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const plain = "#!/bin/sh\necho well\n"

// A plugin that is being replaced when it is to run is run when it has been.
func TestAPluginThatIsBeingReplaced(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(t *testing.T, path string) (mend func())
	}{
		{"open for writing", func(t *testing.T, path string) func() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return func() { f.Close() }
		}},
		{"removed first", func(t *testing.T, path string) func() {
			must(t, os.Rename(path, path+".old"))
			return func() { must(t, os.Rename(path+".old", path)) }
		}},
		{"empty yet", func(t *testing.T, path string) func() {
			must(t, os.Truncate(path, 0))
			return func() {
				must(t, os.WriteFile(path+".new", []byte(plain), 0o755))
				must(t, os.Rename(path+".new", path))
			}
		}},
		{"without its mode", func(t *testing.T, path string) func() {
			must(t, os.Chmod(path, 0o644))
			return func() { must(t, os.Chmod(path, 0o755)) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRunner(t, shortGrace)
			path := place(t, "check_plain", plain, 0o755)
			// By its path, and by a search in PATH.
			byName, err := List([]string{"check_plain"}, map[string]string{"PATH": filepath.Dir(path)})
			must(t, err)
			for _, s := range []Spec{{Command: list(t, path)}, {Command: byName}} {
				if o := r.Run(t.Context(), s); o.Trouble != None {
					t.Fatalf("before: %s", o.Output)
				}
				tries := 0
				mend := c.harm(t, path)
				r.ask = func(string) { // asked twice each time
					if tries++; tries == 5 {
						mend()
					}
				}
				if o := r.Run(t.Context(), s); o.Trouble != None || string(o.Output) != "well" {
					t.Errorf("%v: %s", o.Trouble, o.Output)
				}
				r.ask = ask
			}
		})
	}
}

// What stays so is told after a second, and what is missing for good at once.
func TestAPluginThatIsNotReplaced(t *testing.T) {
	r := newRunner(t, shortGrace)
	path := place(t, "check_plain", plain, 0o755)
	s := Spec{Command: list(t, path)}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	start := time.Now()
	if o := r.Run(t.Context(), s); o.Trouble != StartFailure || !strings.Contains(string(o.Output), "open to write to it") || time.Since(start) < replaceWait {
		t.Errorf("after %v: %v, %s", time.Since(start), o.Trouble, o.Output)
	}
	f.Close()
	if o := r.Run(t.Context(), s); o.Trouble != None {
		t.Errorf("%s", o.Output)
	}
	must(t, os.Remove(path))
	tries := 0
	r.ask = func(string) { tries++ }
	for _, most := range []int{1000, 2} { // two questions a try
		tries = 0
		if o := r.Run(t.Context(), s); o.Trouble != NotFound || tries > most || most == 1000 && tries <= 2 {
			t.Errorf("%d questions: %v, %s", tries, o.Trouble, o.Output)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
