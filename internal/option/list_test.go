package option

import (
	"slices"
	"testing"

	"github.com/urfave/cli/v2"
)

// The command line takes the place of the variable, and that of the default.
func TestListsComeFromOnePlace(t *testing.T) {
	for name, c := range map[string]struct {
		variable string
		args     []string
		want     []string
	}{
		"default":           {"", nil, []string{"standard"}},
		"variable":          {"a:b", nil, []string{"a", "b"}},
		"command line":      {"", []string{"--x", "c,d", "--x", "e:f"}, []string{"c,d", "e:f"}},
		"both":              {"a:b", []string{"--x", "c"}, []string{"c"}},
		"both, and several": {"a", []string{"--x", "c", "--x", "d"}, []string{"c", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv("TEST_X", c.variable)
			}
			f := List("", "x", "", ":", "standard")
			*f.Variables() = []string{"TEST_X"}
			var got []string
			app := &cli.App{Flags: []cli.Flag{f}, Action: func(c *cli.Context) error { got = Values(c, "x"); return nil }}
			if err := app.Run(append([]string{"x"}, c.args...)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
