package client

import (
	"maps"
	"massive-passive/internal/option"
	"slices"
	"testing"

	"github.com/urfave/cli/v2"
)

// parsed are the options that a daemon would have.
func parsed(t *testing.T, args ...string) (o Options) {
	t.Helper()
	command := Command(Env{Daemon: func(c *cli.Context, _ Start) error {
		o = options(c, "")
		return nil
	}})
	for _, f := range command.Flags { // as the program names them
		switch f := f.(type) {
		case *cli.GenericFlag:
			f.EnvVars = []string{"TEST_" + f.Name}
		case *option.ListFlag:
			*f.Variables() = []string{"TEST_" + f.Name}
		}
	}
	app := &cli.App{Flags: command.Flags, Action: command.Action}
	if err := app.Run(append([]string{"client"}, args...)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheDefaultEnvironmentOfTheCommandLineWinsByName(t *testing.T) {
	t.Setenv("TEST_default-env", "# as a file has it\n\nPATH=/bin,/usr/bin\n\tLC_NUMERIC=C\nEMPTY=\n")
	o := parsed(t, "--default-env", "LC_NUMERIC=de_DE", "--default-env=HOME=/a=b")
	d, err := o.defaults()
	if want := map[string]string{"PATH": "/bin,/usr/bin", "LC_NUMERIC": "de_DE", "EMPTY": "", "HOME": "/a=b"}; err != nil || !maps.Equal(d.Env, want) {
		t.Errorf("%v, %v, want %v", d.Env, err, want)
	}
}

func TestDirectoriesOfCheckFiles(t *testing.T) {
	for _, c := range []struct {
		variable string
		args     []string
		want     []string
	}{
		{"", nil, DefaultOptions().ConfDirs},
		{"/a", nil, []string{"/a"}},
		{"/a:/b", nil, []string{"/a", "/b"}},
		{"/a:/b", []string{"--confdir", "/c"}, []string{"/c"}},
		{"", []string{"--confdir", "/c:d", "--confdir=/e,f"}, []string{"/c:d", "/e,f"}},
	} {
		t.Setenv("TEST_confdir", c.variable)
		if got := parsed(t, c.args...).ConfDirs; !slices.Equal(got, c.want) {
			t.Errorf("%q, %q: %q, want %q", c.variable, c.args, got, c.want)
		}
	}
}
