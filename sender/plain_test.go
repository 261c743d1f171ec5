package sender

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestOptionNamesAreThoseOfTheFlags(t *testing.T) {
	want := map[string]value{}
	for _, f := range flags() {
		kind := text
		switch f.(type) {
		case *cli.BoolFlag:
			kind = none
		case *cli.Float64Flag:
			kind = number
		}
		switch f.Names()[0] {
		case "help", "version", ShowHelp:
			kind = shows
		}
		for _, name := range f.Names() {
			want[name] = kind
		}
	}
	got := map[string]value{}
	for _, o := range optionNames() {
		for _, name := range o.names {
			got[name] = o.value
		}
		if o.names[0] != ShowHelp && !slices.ContainsFunc(flags(), func(f cli.Flag) bool { return slices.Equal(f.Names(), o.names) }) {
			t.Errorf("%q are not the names of one flag", o.names)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPlainSettingsAreThoseOfTheParser reads each command line both ways.
func TestPlainSettingsAreThoseOfTheParser(t *testing.T) {
	for in, want := range map[string]bool{
		"":                       true,
		"-H mon -p 5667 -to 15":  true,
		"mon -p 5667":            true,
		"-Ha,b -H c --server=,d": true,
		"--server= mon":          true,
		"-vv -v -d = -e":         false,
		"-vv -v -d = -e ;":       true,
		"-to=7 -o 8 -D .5":       true,
		"-to x":                  false,
		"-o 1e999":               false,
		"--timeout=":             false,
		"--quiet=false":          false,
		"--quiet --port=":        true,
		"-tsS -ssl-key k --ssl-cert c --legacy-2-7-mode": true,
		"--tls-min-version 1.2 --ssl-verify=ca x y":      true,
		"-- -H x":    true,
		"-":          true,
		"-h":         false,
		"--help":     false,
		"-V":         false,
		"--nonsense": false,
		"-Zq":        false,
		"-H":         false,
	} {
		args := Arrange(append([]string{"send"}, strings.Fields(in)...))
		given, bare, plain := readPlain(args[1:])
		if plain != want {
			t.Errorf("%q: plain is %v", in, plain)
		}
		if !plain {
			continue
		}
		app := &cli.App{Flags: flags(), HideHelp: true, HideVersion: true, Action: func(c *cli.Context) error {
			compareSettings(t, in, given, c)
			if !slices.Equal(bare, c.Args().Slice()) {
				t.Errorf("%q: bare words %q, the parser finds %q", in, bare, c.Args().Slice())
			}
			return nil
		}}
		if err := app.Run(args); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func compareSettings(t *testing.T, in string, given, parsed settings) {
	t.Helper()
	for _, o := range optionNames() {
		name := o.names[0]
		same := given.IsSet(name) == parsed.IsSet(name)
		if same && given.IsSet(name) {
			switch o.value {
			case none:
				same = given.Bool(name) == parsed.Bool(name) && (name != "verbose" || given.Count(name) == parsed.Count(name))
			case number:
				same = given.Float64(name) == parsed.Float64(name)
			case text:
				same = name == "server" || given.String(name) == parsed.String(name)
				same = same && (name != "server" || slices.Equal(given.StringSlice(name), parsed.StringSlice(name)))
			}
		}
		if !same {
			t.Errorf("%q: the parser reads --%s otherwise", in, name)
		}
	}
}
